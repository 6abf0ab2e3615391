"""Prints what evaluations measured and concluded, for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import typer

from santral.evals.progress import usd
from santral.evals.run import Run
from santral.evals.store import StoredRun
from santral.evals.summary import Measured, Summary, summary_of
from santral.evals.verdict.comparison import Comparison
from santral.tenants.table import print_table


def print_made(runs: Sequence[Run], comparisons: Sequence[Comparison], *, is_json: bool) -> None:
    if is_json:
        said = {"runs": [summary_of(run) for run in runs], "comparisons": comparisons}
        typer.echo(msgspec.json.encode(said).decode())
        return
    for run in runs:
        print_run(run, is_json=False)
    for comparison in comparisons:
        _print_comparison(comparison)


def print_run(run: Run, *, is_json: bool) -> None:
    summary = summary_of(run)
    if is_json:
        said = {"head": run.head, "summary": summary}
        typer.echo(msgspec.json.format(msgspec.json.encode(said), indent=2).decode())
        return
    head = run.head
    typer.echo(f"{head.id}  {head.suite} / {head.target}  {head.dataset}  {_extent(summary)}")
    print_table(
        ("measure", "value", "95 %", "examples", "without a value", "what it says"),
        [_measure_cells(one) for one in summary.measures],
    )
    failures = ", ".join(f"{code} {count}" for code, count in sorted(summary.failures.items()))
    if failures:
        typer.echo(f"No answer: {failures}.")
    for name, value in head.corpus.items():
        typer.echo(f"{name}: {_number(value)}, of all answers together")
    for warning in summary.warnings:
        typer.echo(warning)
    if head.stop_reason:
        typer.echo(f"Stopped early: {head.stop_reason}. Only what is above was measured.")


def _extent(summary: Summary) -> str:
    price = "unknown" if summary.cost_nanousd is None else f"${usd(summary.cost_nanousd)}"
    replayed = f", {summary.replayed} of them not asked again" if summary.replayed else ""
    return f"{summary.examples} examples, {summary.samples} answers{replayed}, cost {price}"


def _measure_cells(one: Measured) -> tuple[str, ...]:
    value = "–" if one.value is None else _number(one.value)
    low, high = one.low, one.high
    interval = "–" if low is None or high is None else f"{_number(low)} to {_number(high)}"
    errors = ", ".join(f"{why} {count}" for why, count in sorted(one.errors.items()))
    return (one.name, f"{value} {one.unit}".strip(), interval, str(one.n), errors or "–", one.note)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _print_comparison(found: Comparison) -> None:
    typer.echo(f"\nAgainst {found.base.id or found.base.git_sha}: {found.outcome}")
    print_table(
        ("measure", "n", "base", "head", "change", "verdict", "in words"),
        [
            (
                one.measure.name,
                str(one.n),
                "–" if one.base is None else _number(one.base),
                "–" if one.head is None else _number(one.head),
                "–" if one.difference is None else f"{one.difference:+.4g}",
                one.tier.replace("_", " "),
                one.words,
            )
            for one in found.measures
        ],
    )
    for note in found.notes:
        typer.echo(note)


def cells_of(run: StoredRun) -> Sequence[str]:
    summary = msgspec.convert(run.summary, Summary) if run.summary else None
    measures = [
        f"{one.name} {_number(one.value)}"
        for one in (summary.measures if summary else [])
        if one.value is not None
    ]
    return (
        run.id,
        run.suite,
        run.target,
        run.state,
        run.head.dataset,
        f"{run.created_at:%Y-%m-%d %H:%M}",
        usd(run.cost_nanousd),
        ", ".join(measures[:4]),
    )
