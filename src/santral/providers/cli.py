"""``santral providers`` and ``santral prices``: who can be called, and what it costs."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from santral.providers.prices import PICO_PER_USD_PER_MILLION, Price, PriceBook
from santral.providers.registry import VENDORS, Vendor
from santral.tenants.table import print_table

providers_app = typer.Typer(help="Providers that can be called.", no_args_is_help=True)
prices_app = typer.Typer(help="What models cost.", no_args_is_help=True)

_AUTH = {"bearer": "required", "optional": "optional", "none": "none", "own": "its own way"}


@providers_app.callback()
@prices_app.callback()
def _group() -> None:  # pyright: ignore[reportUnusedFunction] - makes typer keep the command names
    """Keep a group with a single command a group."""


@providers_app.command("list")
def list_providers() -> None:
    """Show every provider kind, its address, whether it needs a key, and its quirks."""
    print_table(("kind", "provider", "address", "key", "quirks"), map(_row, VENDORS.values()))


@prices_app.command("show")
def show_prices(
    name: Annotated[str, typer.Argument(help="Part of a kind or model to look for.")] = "",
    file: Annotated[
        Path | None, typer.Option(help="A price file instead of the shipped one.")
    ] = None,
) -> None:
    """Show prices in US dollars per million tokens, newest first."""
    book = PriceBook.load(file)
    rows = [row for row in book.prices() if name.lower() in f"{row.kind}/{row.model}".lower()]
    if not rows:
        typer.echo(
            f"No price for '{name}' in version {book.version}: its cost is unknown, not zero."
        )
        raise typer.Exit(1)
    typer.echo(f"USD per million tokens, version {book.version}", err=True)
    amounts = ("input", "cache read", "cache write", "output", "reasoning")
    print_table(
        ("kind", "model", "from", *amounts),
        [(row.kind, row.model, _day(row), *_amounts(row)) for row in rows],
    )


def _row(vendor: Vendor) -> tuple[str, ...]:
    address = vendor.base_url or ("in this process" if vendor.auth == "none" else "set base_url")
    return vendor.kind, vendor.title, address, _AUTH[vendor.auth], _quirks(vendor)


def _quirks(vendor: Vendor) -> str:
    return "; ".join(vendor.quirks())


def _day(row: Price) -> str:
    return datetime.fromtimestamp(row.starts_at_us / 1e6, UTC).date().isoformat()


def _amounts(row: Price) -> list[str]:
    amounts = (row.input, row.cache_read, row.cache_write, row.output, row.reasoning)
    return [f"{Decimal(amount) / PICO_PER_USD_PER_MILLION:f}" for amount in amounts]
