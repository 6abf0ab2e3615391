"""Files of examples: JSON lines, CSV and Parquet, read row by row.

A file has a version without anybody numbering it: the manifest hash of what it holds.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from santral.errors import BadRequest
from santral.evals.datasets.formula import plain
from santral.evals.datasets.parquet.store import read_rows
from santral.evals.datasets.shape import MAX_BYTES, MAX_EXAMPLES, Rest, example_of, mapped
from santral.evals.example import Example, digest_of

#: Where a row stands (``line 3``), and what it says, or why nothing can be read there.
Row: TypeAlias = tuple[str, Mapping[str, Any] | BadRequest]

_TOO_WIDE = BadRequest(
    "It has more cells than the first line has names. Put quotes around cells with a separator in them."
)
_encode = msgspec.json.Encoder().encode


class Fault(Struct, frozen=True):
    """A row that is no example."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


def read_examples(path: Path) -> list[Example]:
    """Return the examples of a file, in its order.

    Raises:
        BadRequest: it cannot be read, or a row is no example; names the row.
    """
    return list(iterate_examples(path))


def iterate_examples(
    path: Path,
    mapping: Mapping[str, str] | None = None,
    *,
    rest: Rest = "refuse",
    skip: Callable[[Fault], None] | None = None,
) -> Iterator[Example]:
    """Yield the examples of a file; ``mapping`` is field to column.

    With ``skip``, a row that is none is told to it and left out.

    Raises:
        BadRequest: the file cannot be read, or a row is no example and nobody skips it.
    """
    rows = iterate_rows(path)
    yield from examples_of_rows(rows, path.name, mapping, rest=rest, skip=skip)


def examples_of_rows(
    rows: Iterable[Row],
    source: str,
    mapping: Mapping[str, str] | None = None,
    *,
    rest: Rest = "refuse",
    skip: Callable[[Fault], None] | None = None,
) -> Iterator[Example]:
    """Yield the examples that rows say; no id comes twice. See ``iterate_examples``."""
    seen: dict[str, str] = {}
    for place, row in rows:
        try:
            if isinstance(row, BadRequest):
                raise row
            made = example_of(mapped(row, mapping) if mapping else row, rest=rest)
            example = _once(made, row, mapping or {}, seen, place)
        except BadRequest as error:
            if skip is None:
                raise _wrong(source, place, error) from None
            skip(Fault(place, error.message))
            continue
        seen[example.id] = place
        if len(seen) > MAX_EXAMPLES:
            raise BadRequest(f"{source} holds more than {MAX_EXAMPLES:,} examples.")
        yield example


def iterate_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file with where they stand, by its ending.

    Raises:
        BadRequest: it is not there, cannot be read, or its ending is none of those known.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BadRequest(f"{path.name} is none of {', '.join(_READERS)}. Save it as one of these.")
    try:
        yield from reader(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadRequest(f"{path} cannot be read: {error}") from None


def manifest_hash(examples: Iterable[Example]) -> str:
    """Return what names a version: equal for the same ids, contents and splits in any order."""
    return manifest_of((example.id, digest_of(example), example.split) for example in examples)


def manifest_of(rows: Iterable[tuple[str, str, str]]) -> str:
    """Return the manifest hash over id, content hash and split of each example."""
    digest = hashlib.sha256()
    for row in sorted(rows):
        digest.update(_encode(row))
        digest.update(b"\n")
    return digest.hexdigest()


def _lines(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(2 * MAX_BYTES):
            number += 1
            if line.strip():
                yield f"line {number}", _row_of(line)


def _row_of(line: bytes) -> Mapping[str, Any] | BadRequest:
    if len(line) >= 2 * MAX_BYTES:
        return BadRequest(f"It is longer than {2 * MAX_BYTES:,} bytes.")
    try:
        return msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"), type=dict[str, Any])
    except msgspec.MsgspecError as error:
        return BadRequest(f"It is no JSON object: {error}.")


def _table(path: Path) -> Iterator[Row]:
    csv.field_size_limit(min(2 * MAX_BYTES, sys.maxsize))
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=separator, restkey="")
        for row in reader:
            yield f"line {reader.line_num}", _TOO_WIDE if "" in row else _unmarked(row)


def _unmarked(row: Mapping[str, str | None]) -> Mapping[str, Any]:
    """Return a row whose cells are no formulas any more; a short row ends with None."""
    return {name: None if cell is None else plain(cell) for name, cell in row.items()}


def _parquet(path: Path) -> Iterator[Row]:
    for number, row in enumerate(read_rows(path), 1):
        yield f"row {number}", _plain(row)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of Parquet as JSON would say it: no NaN, and dates as texts."""
    return {
        name: value if isinstance(value, str | int | bool) else _json(value)
        for name, value in row.items()
    }


def _json(value: Any) -> Any:
    return msgspec.json.decode(_encode(value))  # NaN becomes null


def _once(
    example: Example,
    row: Mapping[str, Any],
    mapping: Mapping[str, str],
    seen: Mapping[str, str],
    place: str,
) -> Example:
    """Return an example under an id that no other has; one that was written twice is a fault."""
    if example.id not in seen:
        return example
    if row.get(mapping.get("id", "id")):
        raise BadRequest(
            f"The id '{example.id[:64]}' stands in {seen[example.id]} already.", param="id"
        )
    number = 2
    while f"{example.id}-{number}" in seen:
        number += 1
    return msgspec.structs.replace(example, id=f"{example.id}-{number}")


def _wrong(source: str, place: str, error: BadRequest) -> BadRequest:
    return BadRequest(
        f"{source}, {place}: {error.message}", param=error.param, code=error.detail_code
    )


_READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": _lines,
    ".ndjson": _lines,
    ".csv": _table,
    ".tsv": _table,
    ".parquet": _parquet,
}

#: Endings of files that can be read.
ENDINGS: Sequence[str] = tuple(_READERS)
