"""A prompt version: its identity, order, variables, tools, tests and message templates."""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Annotated, Any, Literal, TypeAlias

from jinja2 import Template
from msgspec import Meta, Struct, field

PromptRole: TypeAlias = Literal["system", "developer", "user", "assistant"]
VariableType: TypeAlias = Literal["string", "integer", "number", "boolean", "strings"]
VariableValue: TypeAlias = str | int | float | bool | list[str]

# Source: https://semver.org, the regular expression of its FAQ.
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)


@total_ordering
class SemVer:
    """A semantic version, ordered by precedence; build metadata makes no difference.

    Source: https://semver.org, section 11.
    """

    __slots__ = ("_key", "is_prerelease", "text")

    def __init__(self, text: str) -> None:
        match = _SEMVER.fullmatch(text)
        if match is None:
            raise ValueError(f"'{text}' is not a semantic version like 1.4.0 or 2.0.0-rc.1")
        major, minor, patch, pre, _ = match.groups()
        self.text = text
        self.is_prerelease = pre is not None
        # Numbers sort before words and below them; a release sorts after all its pre-releases.
        parts = (
            [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in pre.split(".")] if pre else []
        )
        self._key = (int(major), int(minor), int(patch), not self.is_prerelease, tuple(parts))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SemVer) and self._key == other._key

    def __lt__(self, other: SemVer) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"SemVer({self.text!r})"


class Variable(Struct, frozen=True, kw_only=True):
    """What a caller may give a prompt; one without a default must be given."""

    name: str
    type: VariableType
    description: str = ""
    default: VariableValue | None = None
    max_length: int  # characters of a string, and of each item of a list
    max_items: int
    is_untrusted: bool = False  # from outside: a model is told where it begins and ends

    @property
    def is_required(self) -> bool:
        return self.default is None


class MessageTemplate(Struct, frozen=True):
    """One message of a prompt. Without ``template`` the text is sent as it stands."""

    role: PromptRole
    text: str
    line: int  # of its first character in the file
    template: Template | None = None
    is_example: bool = False  # one half of an example, not of this conversation


class PromptTool(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """``[[tools]]``: a function that the model may call."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])  # a JSON Schema
    strict: bool | None = None


class PromptTest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[[tests]]``: variables, and what must hold of the messages that they make.

    ``answer`` is a recorded answer: what must hold of answers must hold of it.
    """

    name: str
    variables: dict[str, Any] = field(default_factory=dict[str, Any])
    contains: list[str] = field(default_factory=list[str])
    not_contains: list[str] = field(default_factory=list[str])
    equals: str | None = None  # all messages, an empty line between two
    max_characters: int | None = None
    refused: str | None = None  # filling in is refused with words that hold this
    answer: str | None = None
    answer_contains: list[str] = field(default_factory=list[str])
    answer_not_contains: list[str] = field(default_factory=list[str])
    schema_valid: bool | None = None  # whether the answer matches the output schema


class PromptVersion(Struct, frozen=True, kw_only=True):
    """One immutable version of a prompt, compiled and ready to compose."""

    name: str
    version: str
    content_hash: str  # sha256 of the file with line feeds, 64 hex digits
    composed_hash: str  # the same where nothing is included; else of what is included, too
    description: str
    changelog: str = ""
    owner: str = ""
    variables: dict[str, Variable]
    settings: dict[str, Any]  # top-level fields of the chat request, e.g. temperature
    output_schema: dict[str, Any] | None
    tools: tuple[PromptTool, ...] = ()
    tests: tuple[PromptTest, ...] = ()
    messages: tuple[MessageTemplate, ...]
    includes: tuple[str, ...] = ()  # what it was composed of: name@1.2.0, nearest first
    order: SemVer

    @property
    def reference(self) -> str:
        """How people name this version: ``name@1.2.0``."""
        return f"{self.name}@{self.version}"
