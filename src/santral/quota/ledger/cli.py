"""``santral ledger``: what was spent."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Annotated

import typer

from santral.db.session import with_database
from santral.quota.ledger.write import show_ledger
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT

ledger_app = typer.Typer(no_args_is_help=True, help="Show what was spent.")

_NANO = 10**9


@ledger_app.callback()
def ledger() -> None:
    """Show what was spent."""  # a callback, so that its only command keeps its name


@ledger_app.command("show")
def show_spent(
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="By its id.")] = DEFAULT_TENANT,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="One UTC day; default all.")
    ] = None,
) -> None:
    """Print what a tenant used by day, route and model."""
    one_day = None if day is None else day.date()
    rows = with_database(os.environ, lambda engine: show_ledger(engine, tenant, one_day))
    print_table(
        ("day", "route", "model", "attempts", "tokens", "USD", "unpriced", "estimated"),
        [
            (
                on.isoformat(),
                route,
                model,
                str(sums.attempts),
                str(sums.tokens),
                _usd(sums.cost_nanousd),
                str(sums.unpriced),
                str(sums.estimated),
            )
            for on, route, model, sums in rows
        ],
    )


def _usd(nanousd: int) -> str:
    return f"{nanousd // _NANO}.{nanousd % _NANO:09d}"
