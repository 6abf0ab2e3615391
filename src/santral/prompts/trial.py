"""The tests that stand in a prompt file: what must hold of its messages, and of a recorded answer."""

from __future__ import annotations

import json
from functools import partial

import jsonschema_rs
from msgspec import Struct

from santral.errors import BadRequest
from santral.prompts.compose import compose
from santral.prompts.version import PromptTest, PromptVersion

#: Characters of a text that a failure shows. Chosen.
_SHOWN = 200


class Failure(Struct, frozen=True):
    """A test that does not hold, and why."""

    test: str
    reason: str


def run_tests(version: PromptVersion) -> list[Failure]:
    """Return what does not hold of the tests of a version; no model is asked."""
    return [
        Failure(test.name, reason) for test in version.tests for reason in _reasons(version, test)
    ]


def _reasons(version: PromptVersion, test: PromptTest) -> list[str]:
    try:
        messages = compose(version, test.variables)
    except BadRequest as error:
        return _of_refusal(test, error.message)
    if test.refused is not None:
        return ["the variables were to be refused, and the prompt was filled in"]
    return [*_of_messages(test, messages), *_of_answer(version, test)]


def _of_refusal(test: PromptTest, message: str) -> list[str]:
    if test.refused is None:
        return [message]
    return [] if test.refused in message else [f"refused, but not for {test.refused!r}: {message}"]


def _of_messages(test: PromptTest, messages: list[dict[str, str]]) -> list[str]:
    said = "\n\n".join(message["content"] for message in messages)
    reasons = _of_text(said, test.contains, test.not_contains, "the messages")
    if test.equals is not None and said.strip() != test.equals.strip():
        reasons.append(f"the messages are {_short(said)} and not {_short(test.equals)}")
    if test.max_characters is not None and len(said) > test.max_characters:
        reasons.append(f"the messages have {len(said)} characters, more than {test.max_characters}")
    return reasons


def _of_answer(version: PromptVersion, test: PromptTest) -> list[str]:
    if test.answer is None:
        return []
    told = partial(_of_text, test.answer)
    reasons = told(test.answer_contains, test.answer_not_contains, "the answer")
    if test.schema_valid is not None:
        fault = _schema_fault(version, test.answer)
        if test.schema_valid and fault:
            reasons.append(f"the answer does not match the output schema: {fault}")
        if not test.schema_valid and not fault:
            reasons.append("the answer matches the output schema, and was not to")
    return reasons


def _of_text(text: str, wanted: list[str], unwanted: list[str], what: str) -> list[str]:
    return [
        *(f"{what} do not contain {_short(part)}" for part in wanted if part not in text),
        *(f"{what} contain {_short(part)}" for part in unwanted if part in text),
    ]


def _schema_fault(version: PromptVersion, answer: str) -> str:
    if version.output_schema is None:
        return "the prompt has none"
    try:
        value = json.loads(answer)
        jsonschema_rs.validator_for(version.output_schema, offline=True).validate(value)
    except json.JSONDecodeError as error:
        return f"it is no JSON: {error}"
    except jsonschema_rs.ValidationError as error:
        return str(error).split("\n", 1)[0]
    return ""


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
