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
    {% include "house-rules@production" %}

A line that is exactly ``## system``, ``## developer``, ``## user`` or ``## assistant`` begins a
message, ``## example user`` and ``## example assistant`` one half of an example, ``## constraints``
what is added to the end of the first system message. Every other line, other headings too, is text.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, cast, get_args

import msgspec
from msgspec import Struct

from santral.prompts.front import (
    Place,
    check_schema,
    declare,
    fault,
    line_of,
    read_front,
    read_tests,
    read_tools,
)
from santral.prompts.template import MAX_KEPT, PromptTemplateError, names_in
from santral.prompts.version import PromptRole, PromptTest, PromptTool, SemVer, Variable

#: A prompt file larger than this is a mistake, not a prompt. Chosen.
MAX_FILE_BYTES = 1_000_000

#: ``{% include "name" %}``, ``{% include "name@label" %}`` or ``{% include "name@1.2.0" %}``.
INCLUDE = re.compile(
    r"""\{%-?\s*include\s+(?P<quote>["'])(?P<reference>[^"'\n]*)(?P=quote)\s*-?%\}"""
)
_REFERENCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}(@[A-Za-z0-9][A-Za-z0-9.+_-]{0,63})?")

_CONSTRAINTS, _EXAMPLE = "constraints", "example "
_HEADINGS = {
    f"## {kind}": kind
    for role in get_args(PromptRole)
    for kind in ((role, _EXAMPLE + role) if role in ("user", "assistant") else (role,))
} | {f"## {_CONSTRAINTS}": _CONSTRAINTS}


class Section(Struct, frozen=True):
    """What stands under one heading, includes not yet resolved."""

    role: PromptRole
    line: int  # of its first character in the file
    text: str
    is_example: bool = False
    is_constraint: bool = False


class Include(Struct, frozen=True):
    """A place where the text of another prompt is to stand."""

    reference: str
    line: int


class Draft(Struct, frozen=True, kw_only=True):
    """A prompt file as it was read and checked by itself; ``link`` makes a version of it."""

    place: str  # what errors call it
    text: str  # the whole file, with line feeds
    name: str
    content_hash: str
    order: SemVer
    description: str
    changelog: str
    owner: str
    variables: dict[str, Variable]
    lines: dict[str, int]  # where each variable is declared
    used: frozenset[str]  # the variables that its own text names
    unknown: dict[str, int]  # those that it names and does not declare, by line
    settings: dict[str, Any]
    output_schema: dict[str, Any] | None
    tools: tuple[PromptTool, ...]
    tests: tuple[PromptTest, ...]
    sections: tuple[Section, ...]
    includes: tuple[Include, ...]

    @property
    def version(self) -> str:
        return self.order.text

    @property
    def reference(self) -> str:
        """How people name it: ``name@1.2.0``."""
        return f"{self.name}@{self.version}"


def read_draft(path: Path, name: str) -> Draft:
    """Read one version from its file.

    Raises:
        ConfigError: the file cannot be used; the message begins with ``path:line``.
    """
    return parse_draft(_text(path), name, path.stem, path)


@lru_cache(MAX_KEPT)
def parse_draft(text: str, name: str, version: str, place: Place) -> Draft:
    """Read one version from the text of its file; the same again costs a look.

    Raises:
        ConfigError: it cannot be used; the message begins with ``place:line``.
    """
    if len(text) > MAX_FILE_BYTES:
        raise fault(place, 1, f"the file has {len(text)} characters, more than {MAX_FILE_BYTES}")
    text = plain_lines(text)
    order = _order(place, version)
    front, front_lines, body_start = read_front(place, text)
    variables = {n: declare(place, front_lines, n, spec) for n, spec in front.variables.items()}
    check_schema(place, front_lines, front.output_schema)
    sections = _sections(place, text, body_start)
    includes = _includes(place, sections)
    names = _names(place, sections)
    unknown = {name: at for name, at in names.items() if name not in variables}
    return Draft(
        place=str(place),
        text=text,
        name=name,
        content_hash=content_hash(text),
        order=order,
        description=front.description,
        changelog=front.changelog,
        owner=front.owner,
        variables=variables,
        lines={name: line_of(front_lines, ["variables", name]) for name in variables},
        used=frozenset(names),
        unknown=unknown,
        settings=msgspec.to_builtins(front.settings),
        output_schema=front.output_schema,
        tools=read_tools(place, front_lines, front.tools),
        tests=read_tests(place, front_lines, front.tests),
        sections=sections,
        includes=includes,
    )


def content_hash(text: str) -> str:
    """Return the sha256 of a file with line feeds, 64 hex digits."""
    return hashlib.sha256(plain_lines(text).encode()).hexdigest()


def plain_lines(text: str) -> str:
    """Return a text with line feeds, however its lines ended."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise fault(path, 1, f"the file has {len(data)} bytes, more than {MAX_FILE_BYTES}")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise fault(path, line, "the file is not UTF-8 text") from None
    except OSError as error:
        raise fault(path, 1, f"the file cannot be read: {error.strerror}") from None


def _order(place: Place, version: str) -> SemVer:
    try:
        return SemVer(version)
    except ValueError as error:
        raise fault(place, 1, f"the file must be named after its version: {error}") from None


def _includes(place: Place, sections: tuple[Section, ...]) -> tuple[Include, ...]:
    found: list[Include] = []
    for section in sections:
        for match in INCLUDE.finditer(section.text):
            line = section.line + section.text.count("\n", 0, match.start())
            reference = match["reference"]
            if not _REFERENCE.fullmatch(reference):
                raise fault(
                    place,
                    line,
                    f"include names '{reference}': write NAME, NAME@LABEL or NAME@1.2.0",
                )
            found.append(Include(reference, line))
    return tuple(found)


def _names(place: Place, sections: tuple[Section, ...]) -> dict[str, int]:
    """Return the variables that the text names, each with the line of its first place."""
    names: dict[str, int] = {}
    for section in sections:
        try:
            found = names_in(INCLUDE.sub("", section.text))
        except PromptTemplateError as error:
            line = section.line + error.line - 1
            raise fault(place, line, f"template: {error.reason}") from None
        for name, at in found.items():
            names.setdefault(name, section.line + at - 1)
    return names


def _sections(place: Place, text: str, start: int) -> tuple[Section, ...]:
    lines = text.split("\n")
    heads = [n for n in range(start - 1, len(lines)) if lines[n].rstrip() in _HEADINGS]
    before = lines[start - 1 : heads[0] if heads else len(lines)]
    stray = next((n for n, line in enumerate(before, start) if line.strip()), None)
    if stray or not heads:
        raise fault(
            place, stray or start, "a message must begin with ## system, ## user or ## assistant"
        )
    sections: list[Section] = []
    for head, end in zip(heads, [*heads[1:], len(lines)], strict=True):
        first = next((n for n in range(head + 1, end) if lines[n].strip()), None)
        if first is None:
            raise fault(place, head + 1, "the message is empty")
        body = "\n".join(lines[first:end]).rstrip()
        sections.append(_section(_HEADINGS[lines[head].rstrip()], first + 1, body))
    _check_order(place, sections)
    return tuple(sections)


def _section(kind: str, line: int, text: str) -> Section:
    if kind == _CONSTRAINTS:
        return Section("system", line, text, is_constraint=True)
    role = cast("PromptRole", kind.removeprefix(_EXAMPLE))
    return Section(role, line, text, is_example=kind.startswith(_EXAMPLE))


def _check_order(place: Place, sections: list[Section]) -> None:
    """Refuse halves of examples that stand alone, and constraints in two places."""
    if all(section.is_constraint for section in sections):
        raise fault(place, sections[0].line, "constraints alone are no prompt")
    constraints = [section for section in sections if section.is_constraint]
    if len(constraints) > 1:
        raise fault(
            place, constraints[1].line, "there are two ## constraints: keep them in one place"
        )
    examples = [section for section in sections if section.is_example]
    for number, section in enumerate(examples):
        wanted = "assistant" if number % 2 else "user"
        if section.role != wanted:
            raise fault(place, section.line, f"here must stand ## example {wanted}")
    if len(examples) % 2:
        raise fault(place, examples[-1].line, "an ## example assistant must follow")
