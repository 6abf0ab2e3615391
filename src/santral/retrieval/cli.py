"""``santral ingest`` and ``santral search``: fill a collection, and see what a question finds in it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from santral.audit.note import note
from santral.config.collections import CollectionConfig
from santral.config.load import load
from santral.config.schema import Config
from santral.db.engine import writing
from santral.db.session import control_database
from santral.errors import BadRequest
from santral.retrieval.ingest.before.ingest import ingest as take_in
from santral.retrieval.ingest.before.report import IngestReport, Progress
from santral.retrieval.search.search import Explained, Searcher
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.traces.readable import visible

#: Quarantined files listed one by one. Chosen: a screen of them; all are in the documents table.
_MAX_LISTED = 20

#: Exit status after Ctrl-C. Source: POSIX shells, 128 + SIGINT.
_INTERRUPTED = 130

_STAGES = {"read": "reading", "index": "analysing", "fit": "fitting", "publish": "publishing"}

Paths = Annotated[list[Path], typer.Argument(help="Files and folders.", show_default=False)]
CollectionName = Annotated[str, typer.Option("--collection", help="The collection.")]
TenantName = Annotated[str, typer.Option("--tenant", help="The tenant that owns it.")]
ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The santral.toml to read.", show_default="./santral.toml"),
]


def ingest(
    paths: Paths,
    collection: CollectionName = "docs",
    tenant: TenantName = "default",
    config: ConfigPath = None,
) -> None:
    """Bring a collection up to date with files: Markdown, text, HTML, PDF.

    Unchanged files are skipped, changed ones replaced, those that vanished below a folder removed.
    Ctrl-C leaves the last good index in force; run it again to go on. Exit status 1 when not one
    file could be read.
    """
    settings = load(config, os.environ).config
    console = Console()
    try:
        with _shown(console) as show:
            report = asyncio.run(_ingest(settings, tenant, collection, paths, show))
    except KeyboardInterrupt:
        console.print("Stopped. The last good index stays in force; run it again to go on.")
        raise typer.Exit(_INTERRUPTED) from None
    _print_report(console, report, f"{tenant}/{collection}")
    if report.quarantined and not (report.read or report.unchanged):
        raise typer.Exit(1)


def search(
    query: Annotated[str, typer.Argument(help="What to look for.", show_default=False)],
    collection: CollectionName = "docs",
    tenant: TenantName = "default",
    top_k: Annotated[int, typer.Option("--top-k", min=1, max=100, help="Chunks to show.")] = 5,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", help="FIELD=VALUE, for example source=handbook/."),
    ] = None,
    config: ConfigPath = None,
) -> None:
    """Show the chunks that a question finds, with the score of every signal."""
    settings = load(config, os.environ).config
    searcher = Searcher(settings.data.folder, settings.collections)
    searcher.refresh()
    console = Console()
    for problem in searcher.problems:
        console.print(visible(problem), style="yellow", markup=False, soft_wrap=True)
    found = searcher.explain(tenant, collection, query, top_k=top_k, filters=_parsed(filters or []))
    if not found:
        console.print(
            f"Nothing in {tenant}/{collection} matches. Fill it with: santral ingest PATH",
            markup=False,
            soft_wrap=True,
        )
        return
    if console.is_terminal:
        console.print(_table(found))
    else:
        print_table(("score", "bm25", "4-grams", "dense", "source", "text"), map(_cells, found))


async def _ingest(
    settings: Config,
    tenant: str,
    collection: str,
    paths: Sequence[Path],
    show: Callable[[Progress], None],
) -> IngestReport:
    declared = settings.collections.get(collection) or CollectionConfig.model_validate({})
    async with control_database(settings) as engine:
        report = await take_in(
            engine, settings.data.folder, tenant, collection, paths, config=declared, progress=show
        )
        async with writing(engine) as conn:
            await note(
                conn,
                local_operator().actor,
                "collections.ingest",
                f"collection:{collection}",
                tenant_id=tenant,
                after={
                    "read": report.read,
                    "removed": report.removed,
                    "quarantined": len(report.quarantined),
                    "documents": report.documents,
                    "generation": report.generation,
                },
            )
        return report


@contextmanager
def _shown(console: Console) -> Generator[Callable[[Progress], None]]:
    """Show progress as a bar on a terminal, and as one line per stage elsewhere."""
    if console.is_terminal:
        columns = (TextColumn("{task.description:<11}"), BarColumn(), MofNCompleteColumn())
        name = TextColumn("{task.fields[name]}", style="dim", markup=False)
        with Bars(*columns, TimeElapsedColumn(), name, console=console) as bars:
            yield _bars(bars)
        return
    begun: set[str] = set()

    def line(progress: Progress) -> None:
        if progress.stage not in begun and progress.total:
            begun.add(progress.stage)
            unit = "files" if progress.stage == "read" else "chunks"
            console.print(f"{_STAGES[progress.stage]} {progress.total} {unit}")

    yield line


def _bars(bars: Bars) -> Callable[[Progress], None]:
    tasks: dict[str, TaskID] = {}

    def update(progress: Progress) -> None:
        if progress.stage not in tasks:
            tasks[progress.stage] = bars.add_task(_STAGES[progress.stage], total=None, name="")
        bars.update(
            tasks[progress.stage],
            completed=progress.done,
            total=progress.total,
            name=visible(progress.name)[-40:],
        )

    return update


def _print_report(console: Console, report: IngestReport, name: str) -> None:
    speed = f", {report.chunks_per_s:.0f} chunks/s" if report.is_published else ""
    console.print(
        f"{name}: {report.read} files read, {report.unchanged} unchanged, "
        f"{report.removed} removed, {len(report.quarantined)} quarantined, "
        f"{report.ignored} ignored (neither text nor HTML nor PDF).",
        highlight=False,
        soft_wrap=True,
    )
    for item in report.quarantined[:_MAX_LISTED]:
        line = f"  quarantined {visible(item.source)}: {visible(item.reason)}"
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if len(report.quarantined) > _MAX_LISTED:
        console.print(f"  and {len(report.quarantined) - _MAX_LISTED} more", style="yellow")
    state = "is published" if report.is_published else "was up to date"
    console.print(
        f"The index {state}: {report.chunks} chunks of {report.documents} documents, "
        f"{report.elapsed_s:.1f} s{speed}.",
        highlight=False,
        soft_wrap=True,
    )


def _parsed(filters: Sequence[str]) -> dict[str, str]:
    parsed: dict[str, str] = {}
    for item in filters:
        field, sign, value = item.partition("=")
        if not sign:
            raise BadRequest(f"'{item}' is not a filter. Write FIELD=VALUE.", code="bad_filter")
        parsed[field.strip()] = value.strip()
    return parsed


def _cells(item: Explained) -> tuple[str, ...]:
    place = " > ".join(part for part in (item.source, item.section) if part)
    return *_scores(item), visible(place), visible(" ".join(item.text.split())[:200])


def _scores(item: Explained) -> list[str]:
    scores = [item.score, *(item.signals[name] for name in ("bm25", "ngrams", "dense"))]
    return [f"{score:.2f}" for score in scores]


def _table(found: Sequence[Explained]) -> Table:
    table = Table("score", "bm25", "4-grams", "dense", "passage")
    for item in found:
        # Passages are other people's text: never read as markup.
        *scores, place, text = _cells(item)
        table.add_row(*scores, Text(f"{place}\n{text}"))
    return table
