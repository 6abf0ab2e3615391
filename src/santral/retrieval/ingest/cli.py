"""``santral ingest`` and the commands over documents: start a job, follow it, say what it did."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from santral.config.load import load
from santral.config.schema import Config
from santral.db.engine import Engine
from santral.db.session import control_database, with_database
from santral.errors import StoreError
from santral.jobs.job import Job
from santral.retrieval.document import StoredDocument
from santral.retrieval.ingest.documents import (
    DocumentShown,
    delete_documents,
    list_documents,
    retry_documents,
    show_document,
)
from santral.retrieval.ingest.report import IngestReport
from santral.retrieval.ingest.start import start_ingest
from santral.retrieval.store import DocumentFilter
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT
from santral.traces.readable import visible

#: Sees a job to its end, and tells how far it is.
FinishJob: TypeAlias = Callable[[Config, Engine, Job, Callable[[Job], None]], Awaitable[Job]]
StartJob: TypeAlias = Callable[[Engine], Awaitable[Job]]

#: Documents listed one by one after an ingest. Chosen: a screen of them; `documents list` has all.
_MAX_LISTED = 20
#: Exit status after Ctrl-C. Source: POSIX shells, 128 + SIGINT.
_INTERRUPTED = 130

Paths = Annotated[list[Path], typer.Argument(help="Files and folders.", show_default=False)]
CollectionName = Annotated[str, typer.Option("--collection", help="The collection.")]
Tenant = Annotated[str, typer.Option("--tenant", "-t", help="The tenant that owns it.")]
ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The santral.toml to read.", show_default="./santral.toml"),
]
Name = Annotated[str, typer.Argument(metavar="COLLECTION", help="The collection.")]
Ids = Annotated[list[str], typer.Argument(metavar="DOCUMENT...", help="Their ids.")]


def ingest_command(finish: FinishJob, finish_here: FinishJob) -> Callable[..., None]:
    """Return ``santral ingest``; ``finish`` asks the control process where one runs."""

    def ingest(
        paths: Paths,
        collection: CollectionName = "docs",
        tenant: Tenant = DEFAULT_TENANT,
        config: ConfigPath = None,
        now: Annotated[
            bool,
            typer.Option("--now", help="Work in this process, also where a control process runs."),
        ] = False,
    ) -> None:
        """Bring a collection up to date with files: Markdown, PDF, Office, HTML, mail, tables, code.

        Unchanged files are skipped, changed ones replaced, those that vanished below a folder removed,
        those that moved keep their id. A job does it: in the control process where one runs, else
        here. Ctrl-C leaves the last good index in force; run it again to go on. Exit status 1 when not
        one file could be read.
        """
        settings = load(config, os.environ).config
        console = Console()
        given = [str(Path(os.path.abspath(path.expanduser()))) for path in paths]

        def start(engine: Engine) -> Awaitable[Job]:
            by = local_operator()
            return start_ingest(engine, tenant, collection, _now(), by=by, paths=given)

        report = _followed(console, settings, start, finish_here if now else finish)
        _print_report(console, report, f"{tenant}/{collection}")
        if report.quarantined and not (report.read or report.unchanged or report.retold):
            raise typer.Exit(1)

    return ingest


def add_upkeep(app: typer.Typer, finish: FinishJob) -> None:
    """Add the commands that keep a collection to ``santral collections``."""

    def run(name: str, tenant: str, *, is_purge: bool) -> None:
        def start(engine: Engine) -> Awaitable[Job]:
            by = local_operator()
            return start_ingest(engine, tenant, name, _now(), by=by, is_purge=is_purge)

        console = Console()
        report = _followed(console, load(None, os.environ).config, start, finish)
        _print_index(console, report)

    @app.command("update")
    def update(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Bring every version of a collection up to date with its documents."""
        run(name, tenant, is_purge=False)

    @app.command("purge")
    def purge(name: Name, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Write index and database anew, so that nothing that was deleted is left in a file."""
        run(name, tenant, is_purge=True)

    del update, purge  # the application holds them


def add_documents(app: typer.Typer, finish: FinishJob) -> None:
    """Add the commands over single documents to ``santral documents``."""

    @app.command("list")
    def list_(
        name: Name,
        tenant: Tenant = DEFAULT_TENANT,
        status: Annotated[str, typer.Option(help="indexed or quarantined.")] = "",
        kind: Annotated[str, typer.Option(help="markdown, pdf, html, …")] = "",
        source: Annotated[str, typer.Option(help="How the name begins, e.g. handbook/hr/.")] = "",
        limit: Annotated[int, typer.Option(min=1, max=500, help="Most lines.")] = 100,
    ) -> None:
        """Print the documents of a collection by name, quarantined ones with their reason."""
        chosen = DocumentFilter(status=status, kind=kind, source=source)

        def ask(engine: Engine) -> Awaitable[list[StoredDocument]]:
            by = local_operator()
            return list_documents(engine, tenant, name, chosen, by=by, limit=limit)

        columns = ("document", "name", "kind", "status", "groups", "reason")
        print_table(columns, map(_cells, with_database(os.environ, ask)))

    @app.command("show")
    def show(
        name: Name,
        document: Annotated[str, typer.Argument(help="Its id, or the key it was pushed under.")],
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Print one document: what is known of it, and its chunks."""

        def ask(engine: Engine) -> Awaitable[DocumentShown]:
            return show_document(engine, tenant, name, document, by=local_operator())

        shown = with_database(os.environ, ask)
        known: dict[str, Any] = msgspec.to_builtins(shown.document)
        typer.echo(msgspec.json.format(msgspec.json.encode(known), indent=2).decode())
        print_table(
            ("chunk", "section", "page", "place", "tokens", "text"),
            [
                (
                    str(chunk.position),
                    visible(chunk.section),
                    str(chunk.page or ""),
                    f"{chunk.start}-{chunk.end}",
                    str(chunk.tokens),
                    visible(" ".join(chunk.text.split())[:200]),
                )
                for chunk in shown.chunks
            ],
        )

    del list_, show  # the application holds them
    _add_changes(app, finish)


def _add_changes(app: typer.Typer, finish: FinishJob) -> None:
    @app.command("delete")
    def delete(name: Name, documents: Ids, tenant: Tenant = DEFAULT_TENANT) -> None:
        """Delete documents, from the index too; what a source still has comes back with its next run."""

        def start(engine: Engine) -> Awaitable[Job]:
            by = local_operator()
            return delete_documents(engine, tenant, name, documents, _now(), by=by)

        console = Console()
        report = _followed(console, load(None, os.environ).config, start, finish)
        _print_index(console, report)

    @app.command("retry")
    def retry(
        name: Name,
        documents: Annotated[
            list[str] | None, typer.Argument(metavar="[DOCUMENT...]", help="Their ids.")
        ] = None,
        tenant: Tenant = DEFAULT_TENANT,
    ) -> None:
        """Read documents again: all quarantined ones where none is named."""

        def start(engine: Engine) -> Awaitable[list[Job]]:
            by = local_operator()
            return retry_documents(engine, tenant, name, documents or [], _now(), by=by)

        config, console = load(None, os.environ).config, Console()
        jobs = with_database(os.environ, start)
        for job in jobs:
            report = _followed(console, config, _known(job), finish)
            _print_report(console, report, f"{tenant}/{name}")
        if not jobs:
            typer.echo("No document is quarantined.")

    del delete, retry  # the application holds them


def _known(job: Job) -> StartJob:
    async def start(engine: Engine) -> Job:
        return job

    return start


def _followed(console: Console, config: Config, start: StartJob, finish: FinishJob) -> IngestReport:
    """Start a job, show how far it is, and return its report; raises what made it fail."""

    async def work(tell: Callable[[Job], None]) -> Job:
        async with control_database(config) as engine:
            return await finish(config, engine, await start(engine), tell)

    try:
        with _shown(console) as tell:
            job = asyncio.run(work(tell))
    except KeyboardInterrupt:
        console.print(
            "Stopped. What was published stays in force; run it again to go on. A control process "
            "that has taken the job goes on with it: santral jobs list",
            soft_wrap=True,
        )
        raise typer.Exit(_INTERRUPTED) from None
    if job.state != "done" or job.result is None:
        raise StoreError(job.error or f"The job {job.id} was {job.state}.", code="ingest_failed")
    return msgspec.convert(job.result, IngestReport)


@contextmanager
def _shown(console: Console) -> Generator[Callable[[Job], None]]:
    """Show progress as a bar on a terminal, and as one line for each step elsewhere."""
    if not console.is_terminal:
        told: set[str] = set()

        def line(job: Job) -> None:
            if job.progress.step and job.progress.step not in told:
                told.add(job.progress.step)
                typer.echo(job.progress.step)

        yield line
        return
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, TimeElapsedColumn(), console=console, transient=True) as bars:
        task = bars.add_task("waiting", total=None)

        def update(job: Job) -> None:
            step = job.progress
            text = step.step or f"{job.state} {job.error}".strip()
            bars.update(task, description=text, completed=step.done, total=step.total or None)

        yield update


def _print_report(console: Console, report: IngestReport, name: str) -> None:
    _say(
        console,
        f"{name}: {report.read} files read, {report.unchanged} unchanged, {report.removed} removed, "
        f"{report.moved} moved, {report.quarantined_documents} quarantined, "
        f"{report.ignored} ignored (of no format that is read).",
    )
    for trouble in report.troubles[:_MAX_LISTED]:
        line = f"  quarantined {visible(trouble.source)}: {visible(trouble.reason)}"
        _say(console, line, style="yellow")
    more = report.quarantined_documents + report.problems - _MAX_LISTED
    if more > 0:
        _say(console, f"  and {more} more: santral documents list --status quarantined", "yellow")
    _print_index(console, report)


def _print_index(console: Console, report: IngestReport) -> None:
    state = "is published" if report.is_published else "was up to date"
    speed = f", {report.chunks_per_s:.0f} chunks/s" if report.is_published else ""
    _say(
        console,
        f"The index {state}: {report.chunks} chunks of {report.documents} documents, "
        f"{report.elapsed_s:.1f} s{speed}.",
    )
    if report.embedding_tokens:
        _say(console, f"Vectors took {report.embedding_tokens} tokens of the endpoint.")
    if report.warning:
        _say(console, report.warning, "yellow")


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _cells(document: StoredDocument) -> tuple[str, ...]:
    return (
        document.id,
        visible(document.source),
        document.kind,
        "duplicate" if document.duplicate_of else document.status,
        ", ".join(map(visible, document.metadata.allowed_groups)) or "everybody",
        visible(document.reason),
    )


def _now() -> datetime:
    return datetime.now(UTC)
