"""Reads suites: strict, whole or not at all, each fault with its line and what would be right."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import Struct

from santral.errors import BadRequest, nearest
from santral.evals.suite import Suite, SuiteFile

_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")
_AT = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
_HEADER = re.compile(r"^\s*\[{1,2}\s*(?P<name>[^\]]+?)\s*\]{1,2}")

#: Largest suite read. Chosen: a thousand evaluators written out.
_MAX_BYTES = 1024 * 1024


def read_suite(path: Path) -> SuiteFile:
    """Read a suite.

    Raises:
        BadRequest: it cannot be read, or says something that means nothing; names file and line.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _fault(path, 1, f"the suite cannot be read: {error.strerror or error}.") from None
    if len(raw) > _MAX_BYTES:
        raise _fault(path, 1, f"the suite has more than {_MAX_BYTES} bytes.")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise _fault(path, 1, "the suite is not UTF-8.") from None
    suite = parse_suite(text, path)
    return SuiteFile(suite=suite, path=path, digest=hashlib.sha256(raw).hexdigest())


def parse_suite(text: str, path: Path) -> Suite:
    """Return the suite that ``text`` says; ``path`` names it in faults, and where it has no name.

    Raises:
        BadRequest: as ``read_suite``.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise _fault(path, int(line[1]) if line else 1, f"not valid TOML: {error}.") from None
    table.setdefault("name", path.stem)
    try:
        suite = msgspec.convert(table, Suite)
    except msgspec.ValidationError as error:
        place, reason = _explained(str(error))
        raise _fault(path, _line(text, place), f"{_dotted(place)}{reason}") from None
    for place, reason in _contradictions(suite):
        raise _fault(path, _line(text, place), f"{_dotted(place)}{reason}")
    return suite


def _contradictions(suite: Suite) -> Iterator[tuple[list[str | int], str]]:
    seen: set[str] = set()
    for number, target in enumerate(suite.targets):
        place: list[str | int] = ["targets", number]
        if target.name in seen:
            yield [*place, "name"], f"there are two targets '{target.name}': name one otherwise."
        seen.add(target.name)
        if target.is_recorded and (target.route or target.prompt or target.settings):
            yield (
                [*place, "recorded"],
                "a recorded target asks nobody: leave out what it asks with.",
            )
        if not target.is_recorded and not target.route:
            yield place, "say which route answers, or recorded = true."


def _explained(message: str) -> tuple[list[str | int], str]:
    """Return where a fault is and what is wrong, from what msgspec says of it."""
    at = _AT.search(message)
    place = _parts(at["path"]) if at else []
    what = message[: at.start()] if at else message
    unknown, missing = _UNKNOWN.search(what), _MISSING.search(what)
    if unknown:
        known = _known_fields(place)
        hint = nearest(unknown["name"], known) or f" There are: {', '.join(known)}."
        return [*place, unknown["name"]], f"there is no such setting.{hint}"
    if missing:
        return place, f"'{missing['name']}' is missing."
    return place, f"{what[:1].lower()}{what[1:]}."


def _parts(path: str) -> list[str | int]:
    """Return ``.targets[0].name`` as its parts; the name of a key is not told, only that it is one."""
    found = re.findall(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]", path)
    return [int(number) if number.isdigit() else name or "…" for name, number in found]


def _known_fields(place: list[str | int]) -> tuple[str, ...]:
    shape: Any = Suite
    for part in place:
        if isinstance(part, int):
            continue
        hint = next((f.type for f in msgspec.structs.fields(shape) if f.encode_name == part), None)
        shape = _struct_in(hint) or shape
    return tuple(field.encode_name for field in msgspec.structs.fields(shape))


def _struct_in(hint: Any) -> type[Struct] | None:
    if isinstance(hint, type) and issubclass(hint, Struct):
        return hint
    return next((found for inner in get_args(hint) if (found := _struct_in(inner))), None)


def _line(text: str, place: list[str | int]) -> int:
    """Return the line of a setting, or of the table around it: the third ``[[targets]]`` for 2."""
    lines = text.splitlines()
    start, end = 0, len(lines)
    names = [part for part in place if isinstance(part, str)]
    if len(place) > 1 and isinstance(place[1], int):
        heads = [n for n, row in enumerate(lines) if _header(row) == place[0]]
        if place[1] < len(heads):
            start = heads[place[1]]
            end = next((n for n in range(start + 1, len(lines)) if _header(lines[n])), end)
    for name in reversed(names):
        key = re.compile(rf"^\s*(?:\[+\s*)?(?:[\w.\"-]+\.)?\"?{re.escape(name)}\"?\s*(?:=|\])")
        found = next((n for n in range(start, end) if key.match(lines[n])), None)
        if found is not None:
            return found + 1
    return start + 1


def _header(row: str) -> str:
    found = _HEADER.match(row)
    return found["name"] if found else ""


def _dotted(place: list[str | int]) -> str:
    shown = ".".join(str(part + 1) if isinstance(part, int) else part for part in place)
    return f"{shown}: " if shown else ""


def _fault(path: Path, line: int, reason: str) -> BadRequest:
    return BadRequest(f"{path}:{line}: {reason}", code="bad_suite")
