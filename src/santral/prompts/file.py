"""The prompt file: TOML front matter between ``+++`` lines, then one heading per message.

    +++
    description = "Answers from the documents, with citations."
    [variables.product]
    type = "string"
    [settings]
    temperature = 0.2
    +++
    ## system
    You answer questions about {{ product }}.

A line that is exactly ``## system``, ``## developer``, ``## user`` or ``## assistant`` begins a
message; every other line, other headings too, is its text.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import get_args

import msgspec

from santral.prompts.front import check_schema, declare, fault, hint, line_of, read_front
from santral.prompts.template import PromptTemplateError, compile_template
from santral.prompts.version import MessageTemplate, PromptRole, PromptVersion, SemVer, Variable

#: A prompt file larger than this is a mistake, not a prompt. Chosen.
MAX_FILE_BYTES = 1_000_000

_HEADINGS = {f"## {role}": role for role in get_args(PromptRole)}


def read_prompt(path: Path, name: str) -> PromptVersion:
    """Read and compile one version.

    Raises:
        ConfigError: the file cannot be used; the message begins with ``path:line``.
    """
    text = _text(path)
    order = _order(path)
    front, front_lines, body_start = read_front(path, text)
    variables = {n: declare(path, front_lines, n, spec) for n, spec in front.variables.items()}
    check_schema(path, front_lines, front.output_schema)
    messages = _messages(path, text, body_start, front_lines, variables)
    return PromptVersion(
        name=name,
        version=order.text,
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
        description=front.description,
        variables=variables,
        settings=msgspec.to_builtins(front.settings),
        output_schema=front.output_schema,
        messages=messages,
        order=order,
    )


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise fault(path, 1, f"the file has {len(data)} bytes, more than {MAX_FILE_BYTES}")
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise fault(path, line, "the file is not UTF-8 text") from None
    except OSError as error:
        raise fault(path, 1, f"the file cannot be read: {error.strerror}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _order(path: Path) -> SemVer:
    try:
        return SemVer(path.stem)
    except ValueError as error:
        raise fault(path, 1, f"the file must be named after its version: {error}") from None


def _messages(
    path: Path, text: str, start: int, front_lines: list[str], variables: dict[str, Variable]
) -> tuple[MessageTemplate, ...]:
    messages: list[MessageTemplate] = []
    used: set[str] = set()
    for role, line, body in _sections(path, text, start):
        try:
            template, names = compile_template(body)
        except PromptTemplateError as error:
            raise fault(path, line + error.line - 1, f"template: {error.reason}") from None
        for name, at in names.items():
            if name not in variables:
                near = hint(name, variables)
                raise fault(path, line + at - 1, f"'{name}' is not under [variables]{near}")
        used |= names.keys()
        messages.append(MessageTemplate(role, body, line, template))
    for name in variables:
        if name not in used:
            at = line_of(front_lines, ["variables", name])
            raise fault(path, at, f"the variable '{name}' is declared but no message uses it")
    return tuple(messages)


def _sections(path: Path, text: str, start: int) -> list[tuple[PromptRole, int, str]]:
    """Return role, first line and text of each message."""
    lines = text.split("\n")
    heads = [n for n in range(start - 1, len(lines)) if lines[n].rstrip() in _HEADINGS]
    before = lines[start - 1 : heads[0] if heads else len(lines)]
    stray = next((n for n, line in enumerate(before, start) if line.strip()), None)
    if stray or not heads:
        raise fault(
            path, stray or start, "a message must begin with ## system, ## user or ## assistant"
        )
    sections: list[tuple[PromptRole, int, str]] = []
    for head, end in zip(heads, [*heads[1:], len(lines)], strict=True):
        first = next((n for n in range(head + 1, end) if lines[n].strip()), None)
        if first is None:
            raise fault(path, head + 1, "the message is empty")
        body = "\n".join(lines[first:end]).rstrip()
        sections.append((_HEADINGS[lines[head].rstrip()], first + 1, body))
    return sections
