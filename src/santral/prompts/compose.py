"""Composition: a prompt version and the caller's variables become messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import TemplateError

from santral.errors import BadRequest
from santral.prompts.template import render
from santral.prompts.variables import bind
from santral.prompts.version import MessageTemplate, PromptVersion, VariableValue

#: Characters of all messages together. Chosen: 300k tokens, beyond the context of common models.
MAX_COMPOSED_CHARACTERS = 1_000_000


def compose(version: PromptVersion, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of the prompt, each with ``role`` and ``content``.

    Variables are data: template syntax or headings inside a value stay text.

    Raises:
        BadRequest: variables are missing, unknown, of another type or too long (each is named), or
            the messages grow over ``MAX_COMPOSED_CHARACTERS``.
    """
    values = bind(version, variables)
    room = MAX_COMPOSED_CHARACTERS
    messages: list[dict[str, Any]] = []
    for message in version.messages:
        text = message.text if message.template is None else _fill(version, message, values, room)
        room -= len(text)
        if text:  # a message whose condition left nothing is not sent
            messages.append({"role": message.role, "content": text})
    return messages


def _fill(
    version: PromptVersion, message: MessageTemplate, values: dict[str, VariableValue], room: int
) -> str:
    assert message.template is not None  # noqa: S101 - for the type checker: the caller looked
    pieces: list[str] = []
    try:
        for piece in render(message.template, values):
            room -= len(piece)
            if room < 0:
                raise _fault(version, f"grew over {MAX_COMPOSED_CHARACTERS} characters")
            pieces.append(piece)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        # What checks on load cannot see: 'a' + 1, an index outside a list.
        raise _fault(version, f"failed in the message at line {message.line}: {error}") from None
    return "".join(pieces).strip()


def _fault(version: PromptVersion, what: str) -> BadRequest:
    return BadRequest(
        f"Prompt '{version.name}' {version.version} {what}; check its variables.",
        code="prompt_not_composed",
        param="santral.prompt.variables",
    )
