"""Rows for people and for pipes: a drawn table on a terminal, tabs between the cells elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

#: What stands between two columns.
_GAP = 2


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print ``rows`` under ``columns``; nothing is ever cut, so that an id can be copied."""
    console = Console()
    cells = [tuple(row) for row in rows]
    if not console.is_terminal:
        for row in (columns, *cells):
            console.file.write("\t".join(row) + "\n")
        return
    widths = fitted(columns, cells, console.width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold dim")
    for name, width in zip(columns, widths, strict=True):
        table.add_column(name, width=width, overflow="fold")
    for row in cells:
        table.add_row(*map(escape, row))
    # A table that stays too wide is printed whole: a terminal breaks lines, it does not cut them.
    Console(width=max(console.width, _total(widths))).print(table)


def fitted(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return how wide each column is, so that all fit into ``width`` if words can stay whole."""
    stacks = list(zip(columns, *rows, strict=True))
    widths = [max(map(cell_len, stack)) for stack in stacks]
    least = [
        max(cell_len(word) for cell in stack for word in cell.split() or [""]) for stack in stacks
    ]
    while _total(widths) > width:
        room = [have - least[i] for i, have in enumerate(widths)]
        if not any(room):
            break
        widths[room.index(max(room))] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)
