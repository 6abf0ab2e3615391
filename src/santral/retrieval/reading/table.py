"""Tables as text: a row a line, its cells apart by bars, the header first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: Columns read at most. Chosen: wider than any that people look at.
MAX_COLUMNS = 1_000


def table_text(rows: Iterable[Sequence[str]]) -> str:
    """Return a table without its empty rows and the empty cells at the end of rows."""
    lines: list[str] = []
    for row in rows:
        cells = [" ".join(cell.split()) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            lines.append(" | ".join(cells).lstrip())
    return "\n".join(lines)
