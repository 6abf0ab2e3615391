"""``santral search``: see what a question finds in a collection."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from santral.config.load import load
from santral.errors import BadRequest
from santral.retrieval.search.search import Explained, Searcher
from santral.tenants.table import print_table
from santral.traces.readable import visible

CollectionName = Annotated[str, typer.Option("--collection", help="The collection.")]
TenantName = Annotated[str, typer.Option("--tenant", help="The tenant that owns it.")]
ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The santral.toml to read.", show_default="./santral.toml"),
]


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
