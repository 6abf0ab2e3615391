"""What differs between two versions of a prompt: by message, variable, setting, tool and schema."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct, structs

from santral.prompts.file import Draft, Section

Part: TypeAlias = Literal[
    "message", "variable", "setting", "tool", "output_schema", "description", "owner", "test"
]
Kind: TypeAlias = Literal["added", "removed", "changed"]


class Change(Struct, frozen=True):
    """One difference: what of the prompt, what became of it, and its text before and after.

    ``lines`` are those of a unified diff without its head: each begins with a blank, ``-`` or ``+``.
    """

    part: Part
    name: str
    kind: Kind
    before: str
    after: str
    lines: tuple[str, ...]


def diff(before: Draft, after: Draft) -> list[Change]:
    """Return what differs, as both are written: includes are not followed."""
    found: list[Change] = []
    for part, old, new in _parts(before, after):
        for name in dict.fromkeys((*old, *new)):
            change = _change(part, name, old.get(name), new.get(name))
            if change is not None:
                found.append(change)
    return found


def text_of(changes: list[Change]) -> Iterator[str]:
    """Yield the lines by which people read differences in a terminal."""
    for change in changes:
        name = change.part if change.name == change.part else f"{change.part} {change.name}"
        yield f"{name}: {change.kind}"
        yield from (f"  {line}" for line in change.lines)


def _parts(
    before: Draft, after: Draft
) -> Iterator[tuple[Part, Mapping[str, str], Mapping[str, str]]]:
    yield "message", _messages(before), _messages(after)
    yield "variable", _variables(before), _variables(after)
    yield "setting", _plain(before.settings), _plain(after.settings)
    yield "tool", _named(before.tools), _named(after.tools)
    yield "output_schema", _schema(before), _schema(after)
    yield "description", _single("description", before), _single("description", after)
    yield "owner", _single("owner", before), _single("owner", after)
    yield "test", _named(before.tests), _named(after.tests)


def _change(part: Part, name: str, old: str | None, new: str | None) -> Change | None:
    if old == new:
        return None
    kind: Kind = "added" if old is None else "removed" if new is None else "changed"
    rows = [] if old is None else old.split("\n")
    lines = difflib.unified_diff(rows, [] if new is None else new.split("\n"), lineterm="", n=2)
    shown = tuple(line for line in lines if not line.startswith(("---", "+++", "@@")))
    return Change(part, name, kind, old or "", new or "", shown)


def _messages(draft: Draft) -> dict[str, str]:
    """Messages by their heading and, where there are several of one, their number."""
    counted: dict[str, int] = {}
    found: dict[str, str] = {}
    for section in draft.sections:
        heading = _heading(section)
        counted[heading] = counted.get(heading, 0) + 1
        number = counted[heading]
        found[heading if number == 1 else f"{heading} {number}"] = section.text
    return found


def _heading(section: Section) -> str:
    if section.is_constraint:
        return "constraints"
    return f"example {section.role}" if section.is_example else section.role


def _variables(draft: Draft) -> dict[str, str]:
    return {name: _json(structs.asdict(variable)) for name, variable in draft.variables.items()}


def _plain(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: _json(value) for name, value in values.items()}


def _named(entries: tuple[Any, ...]) -> dict[str, str]:
    return {entry.name: _json(msgspec.to_builtins(entry)) for entry in entries}


def _schema(draft: Draft) -> dict[str, str]:
    return {} if draft.output_schema is None else {"output_schema": _json(draft.output_schema)}


def _single(name: Literal["description", "owner"], draft: Draft) -> dict[str, str]:
    value: str = getattr(draft, name)
    return {name: value} if value else {}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
