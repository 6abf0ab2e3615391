"""``santral search``: see what a question finds, and why."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Protocol, TypeAlias

import msgspec
import typer
from rich.console import Console

from santral.config.load import load
from santral.config.schema import Config
from santral.db.engine import Engine
from santral.db.session import control_database
from santral.errors import BadRequest
from santral.retrieval.search.look import Look, look
from santral.retrieval.search.question import Question
from santral.retrieval.search.result import Ranked, SearchResult
from santral.retrieval.search.retriever import Retriever
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT
from santral.traces.readable import visible
from santral.wire.delta import Source

#: Letters of a passage that a line shows. Chosen: two lines of a terminal.
_LETTERS = 160


class Opened(Protocol):
    """The retrieval of this process, as the composition root opens it."""

    @property
    def retriever(self) -> Retriever:
        """What searches."""
        ...


OpenRetrieval: TypeAlias = Callable[[Config, Engine], AbstractAsyncContextManager[Opened]]


def search_command(open_retrieval: OpenRetrieval) -> Callable[..., None]:
    """Return the command; ``open_retrieval`` opens every collection with its models."""

    def search(
        query: Annotated[str, typer.Argument(help="What to look for.", show_default=False)],
        collection: Annotated[
            str, typer.Option("--collection", "-C", help="The collection.")
        ] = "docs",
        tenant: Annotated[str, typer.Option("--tenant", "-t", help="Whose.")] = DEFAULT_TENANT,
        top_k: Annotated[
            int, typer.Option("--top-k", min=1, max=100, help="Passages to show.")
        ] = 5,
        filters: Annotated[
            list[str] | None,
            typer.Option("--filter", "-f", help="FIELD=VALUE, e.g. source=handbook/; repeatable."),
        ] = None,
        settings: Annotated[
            list[str] | None,
            typer.Option(
                "--set",
                metavar="OPTION=VALUE",
                help="An option of the search, e.g. rerank=learned or neighbours=1; repeatable.",
            ),
        ] = None,
        groups: Annotated[
            list[str] | None,
            typer.Option("--as-group", help="See what this group sees; repeatable."),
        ] = None,
        explain: Annotated[
            bool, typer.Option("--explain", help="Show every chunk with the score of each step.")
        ] = False,
        json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ) -> None:
        """Show the passages that a question finds; with --explain, why."""
        given = {"top_k": top_k, **_pairs(settings or [], "OPTION=VALUE")}
        given["filter"] = _pairs(filters or [], "FIELD=VALUE")
        wanted = Look(
            tenant_id=tenant,
            collection=collection,
            question=Question(query),
            given=given,
            groups=None if groups is None else tuple(groups),
            is_explained=explain,
            place="--set",
        )
        result = asyncio.run(_look(open_retrieval, wanted))
        if json:
            print_json(result, is_explained=explain)
        else:
            _show(result, wanted, top_k)

    return search


async def _look(open_retrieval: OpenRetrieval, wanted: Look) -> SearchResult:
    config = load(None, os.environ).config
    async with control_database(config) as engine, open_retrieval(config, engine) as opened:
        return await look(engine, opened.retriever, wanted, by=local_operator())


def _pairs(given: Sequence[str], form: str) -> dict[str, Any]:
    """Return what stands before and behind the first ``=`` of each; values as JSON where they are."""
    parsed: dict[str, Any] = {}
    for item in given:
        name, sign, value = item.partition("=")
        if not sign or not name.strip():
            raise BadRequest(f"'{item}' cannot be read. Write {form}.", code="bad_search_option")
        try:
            parsed[name.strip()] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            parsed[name.strip()] = value.strip()
    return parsed


def print_json(result: SearchResult, *, is_explained: bool) -> None:
    """Print a result as JSON: its sources, and with ``is_explained`` every chunk."""
    shown = msgspec.to_builtins(
        {
            "sources": result.sources,
            "support": result.support,
            "is_weak": result.is_weak,
            "generation": result.generation,
            "queries": result.queries,
            "troubles": result.troubles,
            "timings_ms": result.timings_ms,
            "ranked": [_explained(one) for one in result.ranked] if is_explained else [],
        }
    )
    typer.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())


def _explained(one: Ranked) -> dict[str, Any]:
    chunk, document = one.candidate.chunk, one.candidate.document
    return {
        "chunk_id": chunk.id,
        "document": document.source,
        "section": chunk.section,
        "page": chunk.page,
        "text": chunk.text,
        "score": one.score,
        "signals": one.signals,
        "raw": one.raw,
        "steps": one.steps,
    }


def _show(result: SearchResult, wanted: Look, top_k: int) -> None:
    console = Console()
    _say(console, result)
    if not result.ranked:
        name = f"{wanted.tenant_id}/{wanted.collection}"
        _line(console, f"Nothing in {name} matches. Fill it with: santral ingest PATH")
    elif wanted.is_explained:
        header = ("score", "bm25", "4-grams", "dense", "steps", "passage")
        print_table(header, map(_row, result.ranked[: max(top_k, 5)]))
    else:
        print_table(("", "score", "passage"), map(_passage, result.sources))


def _say(console: Console, result: SearchResult) -> None:
    """Say what was asked and how well it is supported, and what went wrong."""
    if result.queries:
        asked = " | ".join(visible(text) for text in result.queries)
        spent = sum(result.timings_ms.values())
        _line(console, f"asked: {asked}")
        _line(console, f"support {result.support:.2f}, {spent:.1f} ms")
    if result.is_weak:
        _line(console, "Too weak for min_score: nothing would be given to a model.", "yellow")
    for trouble in result.troubles:
        _line(console, f"{trouble} did not work and was left out.", "yellow")


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _row(one: Ranked) -> tuple[str, ...]:
    steps = ", ".join(f"{name} {score:.2f}" for name, score in one.steps.items())
    signals = (f"{one.signals[name]:.2f}" for name in ("bm25", "ngrams", "dense"))
    chunk, document = one.candidate.chunk, one.candidate.document
    return (
        f"{one.score:.2f}", *signals, steps,
        _readable(document.source, chunk.section, chunk.page, chunk.text),
    )  # fmt: skip


def _passage(source: Source) -> tuple[str, ...]:
    place = _readable(source.document, source.section, source.page, source.text)
    return f"[{source.number}]", f"{source.score:.2f}", place


def _readable(document: str, section: str, page: int | None, text: str) -> str:
    """Return place and beginning of a passage; other people's text cannot steer the terminal."""
    at = " > ".join(part for part in (document, section) if part)
    where = at if page is None else f"{at}, page {page}"
    return f"{visible(where)}: {visible(' '.join(text.split())[:_LETTERS])}"
