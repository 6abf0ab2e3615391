"""``santral traces``: what happened, in the terminal."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Annotated

import typer
from rich.console import Console

from santral.config.load import load
from santral.tenants.table import print_table
from santral.traces.ask import KEY_VARIABLE, Source, choose_source
from santral.traces.draw import COLUMNS, draw_trace, summary_row

traces_app = typer.Typer(no_args_is_help=True, help="List, show and follow traces.")

#: How often ``tail -f`` asks, in seconds. Chosen: a trace is visible within two.
_FOLLOW_EVERY_S = 1.0
#: How far ``tail`` looks back: a request is listed by its start, and may take this long.
_FOLLOW_WINDOW = "15m"
_MOST_FOLLOWED = 200

Route = Annotated[str, typer.Option(help="Only this route.")]
Status = Annotated[str, typer.Option(help="Only ok, error, a class such as 4xx, or a status.")]
Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Only this tenant.")]
Key = Annotated[str, typer.Option(help=f"Admin key; default {KEY_VARIABLE}.", show_default=False)]
Url = Annotated[str, typer.Option(help="Control process to ask; default from santral.toml.")]


@traces_app.command("list")
def list_traces(
    route: Route = "",
    status: Status = "",
    tenant: Tenant = "",
    error: Annotated[str, typer.Option(help="Only codes that hold this text.")] = "",
    since: Annotated[str, typer.Option(help="Age such as 15m, 24h, 7d, or an ISO time.")] = "24h",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most lines.")] = 20,
    key: Key = "",
    url: Url = "",
) -> None:
    """Print the newest traces, newest first."""
    filters = {"route": route, "status": status, "tenant": tenant, "error": error, "since": since}
    page = _source(url, key).list_traces({**filters, "limit": str(limit)})
    if not page.traces:
        typer.echo(
            f"No traces since {since} that match. Look further back with --since 7d.", err=True
        )
        return
    print_table(COLUMNS, map(summary_row, page.traces))
    if page.next is not None:
        typer.echo(f"There are more: raise --limit (now {limit}).", err=True)


@traces_app.command("show")
def show_trace(
    trace_id: Annotated[str, typer.Argument(help="A trace id, its first digits, or a request id.")],
    key: Key = "",
    url: Url = "",
) -> None:
    """Print one trace as a tree: times, tokens, cost, attempts, verdicts, sources, payload."""
    Console(highlight=False).print(draw_trace(_source(url, key).get_trace(trace_id)))


@traces_app.command("tail")
def tail(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    route: Route = "",
    status: Status = "",
    tenant: Tenant = "",
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, max=200, help="To begin with.")
    ] = 10,
    key: Key = "",
    url: Url = "",
) -> None:
    """Print the last traces, oldest first, and with -f those that follow."""
    filters = {"route": route, "status": status, "tenant": tenant}
    tracker = Tail(_source(url, key), filters)
    for row in tracker.first(lines):
        typer.echo("  ".join(row))
    try:
        while follow:
            time.sleep(_FOLLOW_EVERY_S)
            for row in tracker.fresh():
                typer.echo("  ".join(row))
    except KeyboardInterrupt:
        typer.echo("", err=True)


class Tail:
    """Knows which traces were printed, so that each is printed once, also when it ends late."""

    def __init__(self, source: Source, filters: dict[str, str]) -> None:
        self._source = source
        self._filters = filters
        self._seen: deque[str] = deque(maxlen=_MOST_FOLLOWED * 10)

    def first(self, lines: int) -> list[tuple[str, ...]]:
        """Return the last ``lines`` traces, and remember those before them too."""
        return self._new("24h")[-lines:]

    def fresh(self) -> list[tuple[str, ...]]:
        """Return the traces that came since the last look."""
        return self._new(_FOLLOW_WINDOW)

    def _new(self, since: str) -> list[tuple[str, ...]]:
        question = {**self._filters, "since": since, "limit": str(_MOST_FOLLOWED)}
        seen = set(self._seen)
        new = [t for t in self._source.list_traces(question).traces if t.trace_id not in seen]
        self._seen += [trace.trace_id for trace in new]
        return [summary_row(trace) for trace in reversed(new)]


def _source(url: str, key: str) -> Source:
    return choose_source(load(None, os.environ).config, os.environ, url, key)
