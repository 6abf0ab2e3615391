"""Blocks of CSV, JSON and JSON Lines: each record with the names of its columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec

from santral.retrieval.document import Block, UnreadableError
from santral.retrieval.reading.file import Contents, File
from santral.retrieval.reading.table import MAX_COLUMNS

_DELIMITERS = ",;\t|"
_SAMPLE_LINES = 20
#: Nested deeper, a value stands as it is written. Chosen: names of six parts tell nobody anything.
_DEEPEST = 6
_NUMBER = re.compile(r"[-+]?[\d.,]+%?$")


def read_csv(file: File) -> Contents:
    """Read rows of values: a list item for each, ``Name: Ada; Town: İzmir``.

    Raises:
        UnreadableError: more columns than anybody reads, or a quoted value without an end.
    """
    lines = file.text.splitlines(keepends=True)
    delimiter = "\t" if file.suffix == ".tsv" else _delimiter(lines[:_SAMPLE_LINES])
    widest = max((line.count(delimiter) for line in lines), default=0)
    if widest >= MAX_COLUMNS:
        raise UnreadableError(f"it has more than {MAX_COLUMNS:,} columns")
    try:
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if any(map(str.strip, row))]
    except csv.Error as error:
        raise UnreadableError(f"it is no CSV: {error}") from None
    header = [_squeezed(name) for name in rows[0]] if rows else []
    if len(rows) > 1 and _is_header(header):
        return Contents(blocks=[_record(zip(header, row, strict=False)) for row in rows[1:]])
    return Contents(blocks=[_record(("", value) for value in row) for row in rows])


def read_jsonl(file: File) -> Contents:
    """Read JSON Lines, or one JSON value: a list item for each record.

    Raises:
        UnreadableError: neither the whole nor its lines are JSON; names the line.
    """
    text = file.text.lstrip("\ufeff")
    try:
        whole = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return Contents(blocks=[_value(value) for value in _lines(text)])
    records = cast("list[Any]", whole) if isinstance(whole, list) else [whole]
    return Contents(blocks=[_value(value) for value in records])


def _delimiter(lines: Sequence[str]) -> str:
    """Return what stands equally often, and most often, in every line."""
    counts = {
        delimiter: [line.count(delimiter) for line in lines if line.strip()]
        for delimiter in _DELIMITERS
    }

    def agreement(delimiter: str) -> tuple[int, int]:
        found = counts[delimiter]
        most = max(set(found), key=found.count, default=0)
        return (found.count(most) if most else 0), most

    return max(_DELIMITERS, key=agreement)


def _is_header(row: Sequence[str]) -> bool:
    """Whether a row names columns: no two alike, none empty but the first, none a number."""
    names = [name for name in row[1:] if name]
    return (
        len(names) == len(row) - 1
        and len(set(row)) == len(row)
        and not any(_NUMBER.match(name) for name in row if name)
    )


def _record(values: Iterator[tuple[str, str]] | Any) -> Block:
    fields = ((name, _squeezed(value)) for name, value in values)
    text = "; ".join(f"{name}: {value}" if name else value for name, value in fields if value)
    return Block("item", f"- {text}" if text else "")


def _lines(text: str) -> Iterator[Any]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield msgspec.json.decode(line)
            except msgspec.DecodeError as error:
                raise UnreadableError(f"line {number} is not JSON: {error}") from None


def _value(value: Any) -> Block:
    if isinstance(value, str):
        return Block("paragraph", value)
    return _record(_fields("", value, 0))


def _fields(name: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    """Yield the names and values of a record, those inside others as ``address.town``."""
    if depth < _DEEPEST and isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            yield from _fields(f"{name}.{key}" if name else key, item, depth + 1)
    elif isinstance(value, list) and depth < _DEEPEST:
        items = cast("list[Any]", value)
        if any(isinstance(item, dict | list) for item in items):
            for number, item in enumerate(items, 1):
                yield from _fields(f"{name}.{number}" if name else str(number), item, depth + 1)
        else:
            yield name, ", ".join(map(_shown, items))
    elif value is not None:
        yield name, _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _squeezed(text: str) -> str:
    return " ".join(text.split())
