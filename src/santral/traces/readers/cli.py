"""``santral documents readers``: who was answered from a document."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from santral.config.load import load
from santral.tenants.table import print_table
from santral.traces.ask import KEY_VARIABLE, choose_source
from santral.traces.readers.ask import readers_of
from santral.traces.readers.reader import MAX_READERS

documents_app = typer.Typer(no_args_is_help=True, help="See who was answered from a document.")


@documents_app.callback()
def documents() -> None:
    """See who was answered from a document."""


@documents_app.command("readers")
def list_readers(
    document: Annotated[
        str, typer.Argument(help="The document's id: citations and traces show it.")
    ],
    collection: Annotated[str, typer.Option("--collection", help="The collection.")] = "docs",
    tenant: Annotated[
        str, typer.Option("--tenant", "-t", help="Only requests of this tenant.")
    ] = "",
    since: Annotated[str, typer.Option(help="Age such as 24h, 7d, or an ISO time.")] = "30d",
    limit: Annotated[int, typer.Option(min=1, max=MAX_READERS, help="Most lines.")] = 100,
    key: Annotated[
        str, typer.Option(help=f"Admin key; default {KEY_VARIABLE}.", show_default=False)
    ] = "",
    url: Annotated[str, typer.Option(help="Control process to ask; default santral.toml's.")] = "",
) -> None:
    """Print the requests that were answered from a document, the newest first."""
    source = choose_source(load(None, os.environ).config, os.environ, url, key)
    asked = {"tenant": tenant, "since": since, "limit": str(limit)}
    found = readers_of(source, collection, document, asked)
    if not found:
        typer.echo(f"Nobody was answered from {document} of {collection} since {since}.", err=True)
        return
    print_table(
        ("when", "tenant", "key", "user", "route", "passage", "cited", "trace"),
        [
            (
                f"{datetime.fromtimestamp(one.started_at_us / 1e6, UTC):%Y-%m-%d %H:%M:%S}",
                one.tenant_id,
                one.key_id,
                one.user,
                one.route,
                f"{one.rank}: {one.chunk_id}",
                "yes" if one.is_cited else "no",
                one.trace_id,
            )
            for one in found
        ],
    )
