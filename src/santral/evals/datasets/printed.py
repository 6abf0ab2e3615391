"""What is said of a data set in the terminal: changes, doubts, what labelling functions did."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress as Bars

from santral.evals.datasets.dataset import Changed
from santral.evals.datasets.label import Labelled
from santral.evals.datasets.rework import Check
from santral.tenants.table import print_table

#: Rows of each table. Chosen: a screen of them; --json has all.
_MOST = 20


def print_changed(changed: Changed) -> None:
    """Print what an act has done to examples."""
    typer.echo(f"Examples: {changed}.")


def print_left_out(left_out: Mapping[str, int], cost_nanousd: int = 0) -> None:
    """Print what was not made and why, and what asking a model has cost, beside the results."""
    for why, count in left_out.items():
        typer.echo(f"{count} left out: {why}", err=True)
    if cost_nanousd:
        typer.echo(f"Spent ${cost_nanousd / 1e9:.4f}.", err=True)


def print_check(found: Check) -> None:
    """Print what is doubtful about examples."""
    typer.echo(
        f"{found.examples} examples: {len(found.duplicates)} nearly the same as another, "
        f"{len(found.leaks)} in two splits, {len(found.exposed)} given away by a prompt, "
        f"{sum(found.personal.kinds.values())} with personal data."
    )
    if found.duplicates:
        rows = [(one.example, one.original, f"{one.similarity:.2f}") for one in found.duplicates]
        print_table(("example", "nearly the same as", "similarity"), rows[:_MOST])
    if found.leaks:
        leaks = [(one.one, one.other, " and ".join(one.splits)) for one in found.leaks]
        print_table(("example", "leaks to", "splits"), leaks[:_MOST])
    if found.exposed:
        given = [(one.example, one.what, one.prompt) for one in found.exposed]
        print_table(("example", "what", "given away by"), given[:_MOST])
    if found.personal.places:
        held = [
            (one.example, one.field, ", ".join(f"{kind} {n}" for kind, n in one.kinds.items()))
            for one in found.personal.places
        ]
        print_table(("example", "field", "personal data"), held[:_MOST])


def print_labelled(found: Labelled) -> None:
    """Print what functions did, how pairs of them agree, and what came of it."""
    print_table(
        ("function", "coverage", "overlaps", "conflicts", "accuracy (estimated)", "failed"),
        [
            (
                one.name,
                f"{one.coverage:.1%}",
                f"{one.overlaps:.1%}",
                f"{one.conflicts:.1%}",
                f"{one.accuracy:.2f}",
                str(one.failed),
            )
            for one in found.functions
        ],
    )
    if found.agreement:
        print_table(
            ("pair", "agreement"), [(pair, f"{x:.1%}") for pair, x in found.agreement.items()]
        )
    labelled = sum(one.label is not None for one in found.labels)
    ties = sum(one.label is not None and one.majority is None for one in found.labels)
    typer.echo(
        f"{labelled} of {len(found.labels)} examples have a label; in {ties} the majority is a tie."
    )


def print_json(value: object) -> None:
    """Print it as it is answered by the API, in lines that can be read."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


@contextmanager
def shown_bar(what: str, total: int | None = None) -> Generator[Callable[[int], None]]:
    """Show a bar in a terminal; yield what tells it how many are done."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with Bars(console=console, transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield lambda done: bars.update(task, completed=done, description=f"{what} {done:,}")
