"""An example: one case of a data set."""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, field

Plain: TypeAlias = str | int | float | bool | None

_encode = msgspec.json.Encoder(order="sorted").encode


class ToolCall(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool that a model called, or should have called."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    result: str = ""  # what the tool said, in trajectories of agents


class Example(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked and what is known of a good answer. Fields an evaluator needs and an example
    lacks make its score an error of the class ``not_applicable``, never a zero."""

    id: str
    input: str | list[dict[str, Any]] = ""  # a question, or messages as chat/completions has them
    variables: dict[str, Any] = field(default_factory=dict[str, Any])  # of the target's prompt
    tools: list[dict[str, Any]] = field(
        default_factory=list[dict[str, Any]]
    )  # offered to the model
    expected: str | None = None  # one good answer
    references: list[str] = field(default_factory=list[str])  # further good answers
    expected_tools: list[ToolCall] = field(default_factory=list[ToolCall])
    relevant: list[str] = field(default_factory=list[str])  # documents a search should find
    grades: dict[str, int] = field(default_factory=dict[str, int])  # their relevance, where not 1
    contexts: list[str] = field(default_factory=list[str])  # passages the answer should rest on
    metadata: dict[str, Plain] = field(default_factory=dict[str, Plain])  # slices are made of these
    cluster: str = ""  # examples of one family vary together; empty: it stands alone
    split: str = ""

    @property
    def question(self) -> str:
        """The last thing a user said, or the whole input where it is a text."""
        if isinstance(self.input, str):
            return self.input
        said = [m.get("content") for m in self.input if m.get("role") == "user"]
        return said[-1] if said and isinstance(said[-1], str) else ""

    @property
    def good_answers(self) -> list[str]:
        """Every answer that is known to be good."""
        return [*([] if self.expected is None else [self.expected]), *self.references]


def digest_of(example: Example) -> str:
    """Return the sha256 of everything an example says but its id and split, 64 hex digits."""
    content = msgspec.structs.replace(example, id="", split="")
    return hashlib.sha256(_encode(content)).hexdigest()
