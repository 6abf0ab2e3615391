"""``santral eval``: run suites, hold changes against a baseline, look at what was measured."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from santral.db.session import with_database
from santral.errors import BadRequest, SantralError
from santral.evals import kept
from santral.evals.asked import Asked, Made, OpenPlace, evaluate_asked
from santral.evals.baseline import read_runs
from santral.evals.bias.cli import add_bias
from santral.evals.printed import cells_of, print_made, print_run
from santral.evals.progress import shown_progress
from santral.evals.run import Run, encode_run
from santral.evals.suite_file import read_suite
from santral.evals.verdict.compare import compare
from santral.evals.verdict.comparison import exit_code
from santral.evals.verdict.gate import Gate
from santral.evals.verdict.report.render import FILE_NAMES, Format, parse_formats
from santral.evals.written import write_results
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT, TenantId

#: Exit status of what could not be run, of too little to conclude from, and after Ctrl-C.
_INFRASTRUCTURE, _NOT_ENOUGH, _INTERRUPTED = 2, 3, 130

SuitePath = Annotated[Path, typer.Argument(metavar="SUITE", help="A suite: a TOML file.")]
Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose run it is.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="Its id, from `eval list`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")]
ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The santral.toml to read.", show_default="./santral.toml"),
]


def eval_commands(open_place: OpenPlace) -> typer.Typer:
    """Return the commands; ``open_place`` builds what a process evaluates with."""
    app = typer.Typer(
        no_args_is_help=True, help="Evaluate prompts, models and routes, and gate changes."
    )

    @app.command("run")
    def run(
        suite: SuitePath,
        baseline: Annotated[
            str,
            typer.Option(
                help="Hold the run against this: a run's id or file, last, or a commit such as "
                "origin/main, of which the run on whose base this work began is taken or made."
            ),
        ] = "",
        fail_on_regression: Annotated[
            bool, typer.Option("--fail-on-regression", help="Exit with the verdict: 0, 1, 2 or 3.")
        ] = False,
        report: Annotated[
            str, typer.Option(help=f"Reports to write, with commas: {', '.join(FILE_NAMES)}.")
        ] = "",
        out: Annotated[Path, typer.Option(help="Folder for reports and the run's file.")] = Path(
            "santral-evals"
        ),
        url: Annotated[str, typer.Option(help="Ask the gateway at this address.")] = "",
        key: Annotated[
            str,
            typer.Option(envvar="SANTRAL_KEY", help="Virtual key for --url.", show_default=False),
        ] = "",
        resume: Annotated[
            str, typer.Option(metavar="RUN|last", help="Go on with a run that was stopped.")
        ] = "",
        replay: Annotated[
            str,
            typer.Option(
                metavar="RUN|FILE", help="Score the answers of a run again; nobody is asked."
            ),
        ] = "",
        limit: Annotated[int | None, typer.Option(min=1, help="Only so many examples.")] = None,
        cache: Annotated[bool, typer.Option(help="Take answers that were paid for before.")] = True,
        store: Annotated[bool, typer.Option(help="Keep the run in the control database.")] = True,
        tenant: Tenant = DEFAULT_TENANT,
        config: ConfigPath = None,
        json: AsJson = False,
    ) -> None:
        """Run a suite: ask every target about every example, score the answers, give a verdict.

        Works with no server: the gateway runs in this process. Exit status: 0 pass, 1 regression (with
        --fail-on-regression), 2 it could not be run, 3 stopped early or not enough data.
        """
        asked = Asked(
            suite=suite, tenant=TenantId(tenant), baseline=baseline, resume=resume, replay=replay,
            limit=limit, is_kept=store, is_fresh=not cache, url=url, key=key, config=config,
        )  # fmt: skip
        formats = _formats(report)
        if fail_on_regression and not baseline:
            raise typer.BadParameter("--fail-on-regression needs a --baseline to hold against.")
        console = Console(stderr=True, highlight=False)
        made = _ran(console, open_place, asked)
        if formats or not store:
            for path in write_results(out, formats, made.runs, made.comparisons):
                console.print(f"Written: {path}", soft_wrap=True, markup=False)
        print_made(made.runs, made.comparisons, is_json=json)
        status = _status(made, fail_on_regression)
        if status:
            raise typer.Exit(status)

    del run  # the application holds it
    _add_looks(app)
    add_bias(app, open_place)
    return app


def _add_looks(app: typer.Typer) -> None:
    """Add the commands over runs that were made."""

    @app.command("list")
    def list_(
        suite: Annotated[str, typer.Option(help="Only this suite, by name.")] = "",
        target: Annotated[str, typer.Option(help="Only this target.")] = "",
        limit: Annotated[int, typer.Option(min=1, max=kept.MAX_LISTED, help="Most lines.")] = 20,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Print the latest runs, the newest first."""
        by = local_operator()
        found = with_database(
            os.environ,
            lambda engine: kept.list_kept(
                engine, tenant, by=by, suite=suite, target=target, limit=limit
            ),
        )
        columns = ("run", "suite", "target", "state", "dataset", "began", "usd", "measures")
        print_table(columns, map(cells_of, found))

    @app.command("show")
    def show(run: RunId, tenant: Tenant = DEFAULT_TENANT, json: AsJson = False) -> None:
        """Print what a run measured, with intervals, and what went wrong."""
        by = local_operator()
        found = with_database(os.environ, lambda engine: kept.load_kept(engine, tenant, run, by=by))
        print_run(found, is_json=json)

    @app.command("compare")
    def compare_(
        base: Annotated[str, typer.Argument(help="A run's id or file: before the change.")],
        head: Annotated[str, typer.Argument(help="A run's id or file: after it.")],
        suite: Annotated[Path | None, typer.Option(help="The suite whose [gate] decides.")] = None,
        report: Annotated[str, typer.Option(help="Reports to write.")] = "",
        out: Annotated[Path, typer.Option(help="Folder for reports.")] = Path("santral-evals"),
        tenant: Tenant = DEFAULT_TENANT,
        json: AsJson = False,
    ) -> None:
        """Compare two runs. Exit status as of `eval run --fail-on-regression`."""
        gate = read_suite(suite).suite.gate if suite is not None else Gate()
        runs = [_one_run(ref, tenant) for ref in (base, head)]
        rng = np.random.default_rng(runs[1].head.seed)
        made = Made(runs=[runs[1]], comparisons=[compare(runs[0], runs[1], gate, rng=rng)])
        formats = _formats(report)
        if formats:
            write_results(out, formats, made.runs, made.comparisons)
        print_made(made.runs, made.comparisons, is_json=json)
        if status := exit_code(*made.comparisons):
            raise typer.Exit(status)

    @app.command("export")
    def export(
        run: RunId,
        out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")],
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Write a run into a file: it compares anywhere, and can be replayed."""
        if out.exists():
            raise BadRequest(f"{out} is there already. Name another file.", code="file_exists")
        out.write_bytes(encode_run(_one_run(run, tenant)))
        typer.echo(f"Written: {out}")

    @app.command("delete")
    def delete(run: RunId, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Delete a run with its samples."""
        by = local_operator()
        gone = with_database(
            os.environ, lambda engine: kept.delete_kept(engine, tenant, run, by=by)
        )
        typer.echo(f"Deleted {gone.id} ({gone.suite}, {gone.target}).")

    del list_, show, compare_, export, delete  # the application holds them


def _ran(console: Console, open_place: OpenPlace, asked: Asked) -> Made:
    """Evaluate; what cannot be run ends the command with a status of its own."""
    begun: list[str] = []
    try:
        with shown_progress(console) as tell:
            return asyncio.run(evaluate_asked(open_place, asked, tell, begun.append))
    except KeyboardInterrupt:
        again = f" Go on with: santral eval run {asked.suite} --resume {begun[0]}" if begun else ""
        kept_ = again if asked.is_kept else ""
        console.print(f"Stopped.{kept_}", soft_wrap=True, markup=False)
        raise typer.Exit(_INTERRUPTED) from None
    except SantralError as error:
        console.print(f"santral: {error.message}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(_INFRASTRUCTURE) from None


def _one_run(ref: str, tenant: str) -> Run:
    if ref.endswith(".json"):
        runs = read_runs(Path(ref))
        if len(runs) > 1:
            raise BadRequest(f"{ref} holds {len(runs)} runs: name a file with one.")
        return runs[0]
    by = local_operator()
    return with_database(os.environ, lambda engine: kept.load_kept(engine, tenant, ref, by=by))


def _formats(text: str) -> list[Format]:
    try:
        return parse_formats(text)
    except BadRequest as error:
        raise typer.BadParameter(error.message, param_hint="--report") from None


def _status(made: Made, fails: bool) -> int:
    if any(run.head.stop_reason for run in made.runs):
        return _NOT_ENOUGH
    return exit_code(*made.comparisons) if fails else 0
