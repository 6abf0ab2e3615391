"""Rows of a Parquet file, read and written by DuckDB in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec

#: Rows that are read at once. Chosen.
_ROWS = 1_000
#: Longest row as JSON: an example, every cell of it JSON in JSON. Chosen.
_MOST_BYTES = 8_000_000
_encode = msgspec.json.Encoder().encode


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file by the names of its columns.

    Raises:
        OSError: it is not there, or no file of Parquet.
    """
    try:
        with duckdb.connect(":memory:") as conn:
            found = conn.execute("SELECT * FROM read_parquet(?)", [str(path)])
            names = [column[0] for column in found.description or ()]
            while rows := found.fetchmany(_ROWS):
                for row in rows:
                    yield dict(zip(names, row, strict=True))
    except duckdb.Error as error:
        raise OSError(str(error)) from error


def write_rows(path: Path, names: Sequence[str], rows: Iterable[Sequence[str | None]]) -> int:
    """Write rows of texts under these names; return how many.

    Raises:
        OSError: the file cannot be written.
    """
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    target, lines = (str(name).replace("'", "''") for name in (path, _lines_of(path)))
    try:
        count = _write_lines(_lines_of(path), names, rows)
        with duckdb.connect(":memory:") as conn:
            conn.execute(
                f"COPY (SELECT * FROM read_json('{lines}', columns={{{columns}}}, "  # noqa: S608 - own names
                f"format='newline_delimited', maximum_object_size={_MOST_BYTES})) "
                f"TO '{target}' (FORMAT parquet)"
            )
    except duckdb.Error as error:
        raise OSError(str(error)) from error
    finally:
        _lines_of(path).unlink(missing_ok=True)
    return count


def _lines_of(path: Path) -> Path:
    """Return where rows wait as lines of JSON: a thousand times faster than an INSERT for each."""
    return path.with_name(f"{path.name}.lines")


def _write_lines(path: Path, names: Sequence[str], rows: Iterable[Sequence[str | None]]) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            file.write(_encode(dict(zip(names, row, strict=True))) + b"\n")
            count += 1
    return count
