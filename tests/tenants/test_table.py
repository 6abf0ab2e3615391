"""Tables of the command line: what is shown can be copied."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from santral.tenants.table import fitted

ROWS = [
    ("2026-11-22 14:22:43", "8dc7b0e23532", "404 collection_not_found"),
    ("2026-11-22 14:20:32", "c6ecd5a2ddc2", "200"),
]
COLUMNS = ("time", "trace", "status")
PROGRAM = f"from santral.tenants.table import print_table; print_table({COLUMNS!r}, {ROWS!r})"


def on_a_terminal(width: int) -> str:
    """Return what a terminal of this width is sent."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(width), "TERM": "xterm"}
    subprocess.run([sys.executable, "-c", PROGRAM], stdout=theirs, env=environment, check=True)
    os.close(theirs)
    shown = os.read(ours, 65_536).decode().replace("\r\n", "\n")
    os.close(ours)
    return shown


@pytest.mark.parametrize("width", [30, 45, 80])
def test_no_id_is_cut_at_any_width(width: int) -> None:
    shown = on_a_terminal(width)
    for word in (word for row in ROWS for cell in row for word in cell.split()):
        assert word in shown
    assert "…" not in shown


def test_columns_give_way_at_spaces_until_words_would_break() -> None:
    assert fitted(COLUMNS, ROWS, 100) == [19, 12, 24]
    assert sum(fitted(COLUMNS, ROWS, 50)) == 46, "two gaps of two"
    assert fitted(COLUMNS, ROWS, 10) == [10, 12, 20], "words stay whole, the line grows too long"
    assert fitted(("a", "b"), [], 1) == [1, 1]
    assert fitted(("a",), [("",)], 80) == [1]


def test_in_a_pipe_cells_stand_between_tabs() -> None:
    piped = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    assert piped.stdout.decode().splitlines() == ["\t".join(row) for row in (COLUMNS, *ROWS)]
