"""``santral judges``: hold judges against people, and see which of them may gate."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
import numpy as np
import typer
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from santral.config.load import LoadedConfig, load
from santral.db.engine import Engine
from santral.db.session import control_database, with_database
from santral.errors import BadRequest
from santral.evals import kept as kept_runs
from santral.evals.baseline import read_runs
from santral.evals.calibration import kept
from santral.evals.calibration.calibrate import Plan, calibrate, known_judge
from santral.evals.calibration.correct import corrected_rate
from santral.evals.calibration.opened import opened_judge, read_labels
from santral.evals.calibration.report import cells, rows_of
from santral.evals.calibration.sample import draw, rows
from santral.evals.judges.draft import draft_steps
from santral.evals.place import Place
from santral.evals.run import Run
from santral.evals.standing import Standing, read_standing
from santral.evals.suite_file import read_suite
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT, TenantId

SuitePath = Annotated[Path, typer.Argument(metavar="SUITE", help="The suite that has the judge.")]
Judge = Annotated[str, typer.Argument(metavar="JUDGE", help="Its name in the suite.")]
RunRef = Annotated[str, typer.Argument(metavar="RUN", help="A run's id or file.")]
Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose judges.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")]
Seed = Annotated[int, typer.Option(help="Another one draws otherwise.")]
Measured = Annotated[
    str, typer.Option("--measure", "-m", help="What the judge's scores are called.")
]


class OpenPlace(Protocol):
    """Builds what this process evaluates with."""

    def __call__(
        self, loaded: LoadedConfig, engine: Engine | None, url: str = "", key: str = ""
    ) -> Place: ...


class _Asked(Struct, frozen=True, kw_only=True):
    """What the options of ``judges calibrate`` say."""

    suite: Path
    judge: str
    labels: str
    label: str
    tenant: TenantId
    plan: Plan
    seed: int
    is_kept: bool


def judges_commands(open_place: OpenPlace) -> typer.Typer:
    """Return the commands; ``open_place`` builds what a process evaluates with."""
    app = typer.Typer(
        no_args_is_help=True,
        help="Judges are instruments: hold them against people before they gate.",
    )

    @app.command("calibrate")
    def calibrate_(
        suite: SuitePath,
        judge: Judge,
        labels: Annotated[
            str, typer.Option(help="Answers that people labelled: a file, or NAME@VERSION.")
        ],
        label: Annotated[
            str, typer.Option(help="What the label is called in the metadata.")
        ] = "label",
        repeats: Annotated[int, typer.Option(min=1, max=10, help="How often each is judged.")] = 2,
        pass_at: Annotated[
            float | None, typer.Option(help="Values from here on pass, where that is not plain.")
        ] = None,
        out: Annotated[
            Path | None,
            typer.Option("--out", "-o", help="Write it as a file, to keep beside the suite."),
        ] = None,
        store: Annotated[bool, typer.Option(help="Keep it in the control database.")] = True,
        seed: Seed = 1,
        tenant: Tenant = DEFAULT_TENANT,
        json: AsJson = False,
    ) -> None:
        """Ask a judge about answers that people labelled; say how far it agrees and whether it may gate.

        Exit status 1 where it may not.
        """
        asked = _Asked(
            suite=suite, judge=judge, labels=labels, label=label, tenant=TenantId(tenant),
            plan=Plan(repeats=repeats, pass_at=pass_at), seed=seed, is_kept=store,
        )  # fmt: skip
        standing = _calibrated(open_place, asked)
        if out is not None:
            out.write_bytes(msgspec.json.format(msgspec.json.encode(standing)) + b"\n")
        _print(standing, is_json=json)
        if not standing.may_gate:
            raise typer.Exit(1)

    @app.command("steps")
    def steps(
        criteria: Annotated[str, typer.Argument(help="What is judged.")],
        route: Annotated[str, typer.Option(help="Who drafts them.")],
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Draft the steps of a G-Eval judge from its criteria; read them, then put them in the suite."""
        drafted = asyncio.run(_steps(open_place, TenantId(tenant), criteria, route))
        typer.echo(f"steps = {msgspec.json.format(msgspec.json.encode(drafted)).decode()}")

    app.command("list")(_list)
    app.command("show")(_show)
    app.command("sample")(_sample)
    app.command("correct")(_correct)
    del calibrate_, steps  # the app holds them
    return app


def _list(tenant: Tenant = DEFAULT_TENANT, json: AsJson = False) -> None:
    """List the calibrations that are kept, the newest first."""
    by = local_operator()
    found = with_database(
        os.environ, lambda engine: kept.calibrations_of(engine, TenantId(tenant), by=by)
    )
    if json:
        typer.echo(msgspec.json.encode([one.measured for one in found]).decode())
        return
    print_table(
        ("judge", "kind", "models", "may gate", "agreement", "labels", "when", "digest"),
        [cells(one.measured) for one in found],
    )


def _show(
    judge: Annotated[str, typer.Argument(metavar="JUDGE", help="Its name.")],
    tenant: Tenant = DEFAULT_TENANT,
    json: AsJson = False,
) -> None:
    """Show what the newest calibration of a judge measured."""
    by = local_operator()
    found = with_database(
        os.environ,
        lambda engine: kept.calibrations_of(engine, TenantId(tenant), judge, by=by, limit=1),
    )
    _print(found[0].measured, is_json=json)


def _sample(
    run: RunRef,
    measure: Measured,
    out: Annotated[Path, typer.Option("--out", "-o", help="JSONL file to write.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Most answers.")] = 60,
    label: Annotated[str, typer.Option(help="What the label is to be called.")] = "label",
    seed: Seed = 1,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Draw answers for people to label, some of every range of a judge's scores, which they do not
    see."""
    if out.exists():
        raise BadRequest(f"{out} is there already. Name another file.", code="file_exists")
    found = _run(run, TenantId(tenant))
    drawn = draw(found, measure, count, np.random.default_rng(seed))
    lines = [msgspec.json.encode(row) + b"\n" for row in rows(found, drawn, label)]
    out.write_bytes(b"".join(lines))
    typer.echo(
        f"Wrote {len(lines)} answers to {out}. Fill in metadata.{label} (two people: {label}.1 and "
        f"{label}.2), then: santral judges calibrate SUITE JUDGE --labels {out} --label {label}"
    )


def _correct(
    run: RunRef,
    measure: Measured,
    calibration: Annotated[
        Path | None, typer.Option(help="A file of `calibrate --out`; the newest kept one else.")
    ] = None,
    pass_at: Annotated[float, typer.Option(help="Values from here on pass.")] = 1.0,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Say at which rate people would have passed the answers of a run."""
    found = _run(run, TenantId(tenant))
    standing = _standing(calibration, found, measure, TenantId(tenant))
    values = [value for each in found.values(measure).values() for value in each]
    estimate = corrected_rate(values, standing, pass_at)
    share = sum(value >= pass_at for value in values) / len(values)
    typer.echo(
        f"The judge passes {share:.1%} of {len(values)}; people would pass {estimate.value:.1%} "
        f"({estimate.interval.low:.1%} to {estimate.interval.high:.1%})."
    )


def _calibrated(open_place: OpenPlace, asked: _Asked) -> Standing:
    bars = Progress(
        TextColumn("judging"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
    with bars:
        task = bars.add_task("judging", total=None)

        def tell(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        return asyncio.run(_calibrate(open_place, asked, tell))


async def _calibrate(
    open_place: OpenPlace, asked: _Asked, tell: Callable[[int, int], None]
) -> Standing:
    loaded = load(None, os.environ)
    suite, by = read_suite(asked.suite), local_operator()
    async with control_database(loaded.config) as engine:
        place = open_place(loaded, engine)
        async with opened_judge(place, suite, asked.judge, asked.tenant) as (judge, use):
            labels = await read_labels(place, asked.tenant, asked.labels, asked.label, use, by=by)
            floor = known_judge(judge).settings.floor
            plan = msgspec.structs.replace(asked.plan, floor=floor)
            rng, now = np.random.default_rng(asked.seed), place.clock()
            standing = await calibrate(judge, labels, plan, rng, now, tell)
        if asked.is_kept:
            made = f"cal_{place.random_bytes(8).hex()}"
            await kept.keep(engine, asked.tenant, made, standing, now, by=by)
        return standing


async def _steps(
    open_place: OpenPlace, tenant: TenantId, criteria: str, route: str
) -> Sequence[str]:
    loaded = load(None, os.environ)
    async with control_database(loaded.config) as engine:
        place = open_place(loaded, engine)
        async with place.open_ask(loaded, engine, tenant) as ask:
            return await draft_steps(ask, route, criteria)


def _run(ref: str, tenant: TenantId) -> Run:
    if ref.endswith(".json"):
        found = read_runs(Path(ref))
        if len(found) > 1:
            raise BadRequest(f"{ref} holds {len(found)} runs: name a file with one.")
        return found[0]
    by = local_operator()
    return with_database(os.environ, lambda engine: kept_runs.load_kept(engine, tenant, ref, by=by))


def _standing(path: Path | None, run: Run, measure: str, tenant: TenantId) -> Standing:
    """Return the calibration of the judge that made a measure of a run: of its very version."""
    version = run.head.evaluators.get(measure, "")
    if path is not None:
        found = [read_standing(path)]
    else:
        by = local_operator()
        listed = with_database(
            os.environ, lambda engine: kept.calibrations_of(engine, tenant, by=by)
        )
        found = [one.measured for one in listed]
    same = [one for one in found if version.endswith(f":{one.digest[:12]}")]
    if not same:
        raise BadRequest(
            f"No calibration is of the judge that made '{measure}' in this run ({version or 'unknown'}). "
            "Calibrate it with: santral judges calibrate",
            code="no_such_calibration",
        )
    return same[0]


def _print(standing: Standing, *, is_json: bool) -> None:
    if is_json:
        typer.echo(msgspec.json.encode(standing).decode())
        return
    typer.echo(
        f"{standing.judge} ({standing.kind}, {', '.join(standing.models)}), {standing.digest[:12]}"
    )
    print_table(("what", "value"), rows_of(standing))
    typer.echo(standing.reason)
