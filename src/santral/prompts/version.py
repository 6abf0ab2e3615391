"""A prompt version: its identity, order, variables and message templates."""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Any, Literal, TypeAlias

from jinja2 import Template
from msgspec import Struct

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

    @property
    def is_required(self) -> bool:
        return self.default is None


class MessageTemplate(Struct, frozen=True):
    """One message of a prompt. Without ``template`` the text is sent as it stands."""

    role: PromptRole
    text: str
    line: int  # of its first character in the file
    template: Template | None = None


class PromptVersion(Struct, frozen=True, kw_only=True):
    """One immutable version of a prompt, compiled and ready to compose."""

    name: str
    version: str
    content_hash: str  # sha256 of the file with line feeds, 64 hex digits
    description: str
    variables: dict[str, Variable]
    settings: dict[str, Any]  # top-level fields of the chat request, e.g. temperature
    output_schema: dict[str, Any] | None
    messages: tuple[MessageTemplate, ...]
    order: SemVer

    @property
    def reference(self) -> str:
        """How people name this version: ``name@1.2.0``."""
        return f"{self.name}@{self.version}"
