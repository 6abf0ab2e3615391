"""Tables: rows whose cells stand below each other, with lines drawn around them or without."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from statistics import median
from typing import TypeAlias

from msgspec import Struct

from santral.retrieval.reading.pdf.paragraph import joined
from santral.retrieval.reading.pdf.rule import Grid
from santral.retrieval.reading.pdf.run import Row, Run

#: Rows with several cells that make a table; of two rows only where they have three cells. Chosen.
_LEAST_ROWS, _FEW_ROWS, _LEAST_CELLS = 3, 2, 3
#: Rows further apart than this many times their height are not of one table.
_APART = 3.0

#: A part of a page: rows of prose, or a table.
Stretch: TypeAlias = "list[Row] | Table"


class Table(Struct):
    """Cells in rows and columns, as text."""

    rows: list[list[str]]


def with_grids(runs: Sequence[Run], grids: Sequence[Grid]) -> list[Run]:
    """Return runs with those inside drawn lines put together into one that holds the cells."""
    left = list(runs)
    for grid in grids:
        inside = [run for run in left if _is_within(run, grid)]
        cells = _cells(inside, grid)
        if sum(map(bool, cells[0] if cells else ())) < 1 or len(inside) < _LEAST_CELLS:
            continue
        taken = set(map(id, inside))
        left = [run for run in left if id(run) not in taken]
        size = median(run.size for run in inside)
        box = grid.columns[0], grid.rows[0], grid.columns[-1], grid.rows[-1]
        left.append(Run(" ".join(map(" ".join, cells)), *box, size, cells=cells))
    return left


def stretches(rows: Sequence[Row]) -> Iterator[Stretch]:
    """Yield the rows of a region, those of tables as tables."""
    prose: list[Row] = []
    at = 0
    while at < len(rows):
        cells = rows[at].runs[0].cells
        end = _table_end(rows, at) if cells is None else at + 1
        table = Table(cells) if cells is not None else _table(rows[at:end])
        if table is None:
            prose.append(rows[at])
            at += 1
            continue
        if prose:
            yield prose
            prose = []
        yield table
        at = end
    if prose:
        yield prose


def _table_end(rows: Sequence[Row], at: int) -> int:
    """Return behind which row a table may end that begins here; ``at`` where none can."""
    if len(rows[at].runs) < 2:
        return at
    end, last = at + 1, at + 1
    while end < len(rows):
        height = max(rows[end].bottom - rows[end].top, 1.0)
        is_far = rows[end].top - rows[end - 1].bottom > _APART * height
        if is_far or rows[end].runs[0].cells is not None:
            break
        if len(rows[end].runs) >= 2:
            last = end + 1
        elif end - last >= 2 or not _is_inside(rows[end], rows[at:last]):
            break
        end += 1
    return last


def _is_inside(row: Row, above: Sequence[Row]) -> bool:
    """Whether a single run is one cell's next line: below a cell, not wider than its column."""
    (run,) = row.runs
    columns = _columns(above)
    return sum(run.left < right and run.right > left for left, right in columns) == 1


def _is_within(run: Run, grid: Grid) -> bool:
    is_across = grid.columns[0] <= (run.left + run.right) / 2 <= grid.columns[-1]
    return is_across and grid.rows[0] <= run.middle <= grid.rows[-1]


def _cells(runs: Sequence[Run], grid: Grid) -> list[list[str]]:
    """Return the texts between drawn lines, row by row; lines of a cell are one text."""
    found: list[list[list[str]]] = [
        [[] for _ in grid.columns[1:]] for _ in grid.rows[1:]
    ]  # fmt: skip
    for run in sorted(runs, key=lambda each: (round(each.middle), each.left)):
        row = min(bisect_right(grid.rows, run.middle), len(grid.rows) - 1) - 1
        column = (
            min(bisect_right(grid.columns, (run.left + run.right) / 2), len(grid.columns) - 1) - 1
        )
        found[row][column].append(run.text)
    return [[joined(lines) for lines in row] for row in found]


def _table(rows: Sequence[Row]) -> Table | None:
    if not rows:
        return None
    columns = _columns(rows)
    several = [row for row in rows if len(row.runs) >= 2]
    widest = max((len(row.runs) for row in several), default=0)
    is_table = len(several) >= _LEAST_ROWS or (len(several) >= _FEW_ROWS and widest >= _LEAST_CELLS)
    if not is_table or len(columns) < 2 or len(columns) < widest - 1:
        return None
    found: list[list[str]] = []
    for row in rows:
        cells = [""] * len(columns)
        for run in row.runs:
            place = _place(run, columns)
            cells[place] = f"{cells[place]} {run.text}".strip()
        goes_on = found and sum(map(bool, cells)) == 1 and len(columns) > 1
        if goes_on and len(row.runs) == 1:
            found[-1] = [f"{a} {b}".strip() for a, b in zip(found[-1], cells, strict=True)]
        else:
            found.append(cells)
    return Table(found)


def _columns(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return where columns begin and end: what the cells of all rows cover, apart from spanning ones."""
    runs = [run for row in rows if len(row.runs) >= 2 for run in row.runs]
    typical = max(len(row.runs) for row in rows)
    if any(len(row.runs) == typical for row in rows):
        runs = [run for row in rows if len(row.runs) >= max(2, typical - 1) for run in row.runs]
    columns: list[tuple[float, float]] = []
    for left, right in sorted((run.left, run.right) for run in runs):
        if columns and left < columns[-1][1]:
            columns[-1] = (columns[-1][0], max(columns[-1][1], right))
        else:
            columns.append((left, right))
    return columns


def _place(run: Run, columns: Sequence[tuple[float, float]]) -> int:
    """Return the column that a run shares most with, else the nearest."""

    def shared(number: int) -> float:
        left, right = columns[number]
        return min(run.right, right) - max(run.left, left)

    return max(range(len(columns)), key=shared)
