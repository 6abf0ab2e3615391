"""``santral providers``: who can be called."""

from __future__ import annotations

import typer

from santral.providers.registry import VENDORS, Vendor
from santral.tenants.table import print_table

providers_app = typer.Typer(help="Providers that can be called.", no_args_is_help=True)

_AUTH = {"bearer": "required", "optional": "optional", "none": "none", "own": "its own way"}


@providers_app.callback()
def _group() -> None:  # pyright: ignore[reportUnusedFunction] - makes typer keep the command names
    """Keep a group with a single command a group."""


@providers_app.command("list")
def list_providers() -> None:
    """Show every provider kind, its address, whether it needs a key, and its quirks."""
    print_table(("kind", "provider", "address", "key", "quirks"), map(_row, VENDORS.values()))


def _row(vendor: Vendor) -> tuple[str, ...]:
    address = vendor.base_url or ("in this process" if vendor.auth == "none" else "set base_url")
    return vendor.kind, vendor.title, address, _AUTH[vendor.auth], _quirks(vendor)


def _quirks(vendor: Vendor) -> str:
    return "; ".join(vendor.quirks())
