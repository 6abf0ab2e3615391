"""Progress of an evaluation on a terminal: a bar for each target, what it has cost, how long it takes."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from santral.evals.place import TellTarget
from santral.evals.runner import Told


@contextmanager
def shown_progress(console: Console) -> Generator[TellTarget]:
    """Show how far targets are where somebody looks; elsewhere nothing is printed."""
    if not console.is_terminal:
        yield lambda _target, _told: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[spent]}", style="dim", markup=False),
    )
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(target: str, told: Told) -> None:
            if target not in tasks:
                tasks[target] = bars.add_task(target, spent="")
            spent = f"${usd(told.spent_nanousd)}"
            failed = f", {told.failed} failed" if told.failed else ""
            bars.update(tasks[target], completed=told.done, total=told.total, spent=spent + failed)

        yield tell


def usd(nanousd: int) -> str:
    """Return an amount in dollars as people read it: cents, and finer where there are none."""
    amount = nanousd / 1e9
    return f"{amount:.2f}" if amount >= 1 or not nanousd else f"{amount:.6f}".rstrip("0")
