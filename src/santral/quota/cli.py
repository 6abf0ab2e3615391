"""``santral limits``: what may be used."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from santral.config.load import load
from santral.db.session import with_database
from santral.quota.change import ScopeRow, set_limits, show_limits
from santral.quota.limit import LimitBook, Limits, Scope, limits_from
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT

limits_app = typer.Typer(no_args_is_help=True, help="Set and show limits of tenants and keys.")


@limits_app.command("set")
def set_(
    tenant: Annotated[str, typer.Argument(help="The tenant, by its id.")],
    key: Annotated[str | None, typer.Option(help="One of its keys, by id or prefix.")] = None,
    requests_per_second: Annotated[
        float | None, typer.Option(min=0, help="Sustained rate; 0 removes the limit.")
    ] = None,
    burst: Annotated[
        int | None, typer.Option(min=0, help="Requests at once; 0 takes the rate.")
    ] = None,
    tokens_per_day: Annotated[
        int | None, typer.Option(min=0, help="Input and output, UTC day; 0 removes the limit.")
    ] = None,
) -> None:
    """Change the limits that are named and keep the others; gateways follow within two seconds."""
    if requests_per_second is None and burst is None and tokens_per_day is None:
        raise typer.BadParameter("name at least one limit to change")
    asked = (requests_per_second, burst, tokens_per_day)
    key = key and key.rstrip("…")  # as lists show a prefix
    row = with_database(
        os.environ, lambda engine: set_limits(engine, tenant, key, asked, datetime.now(UTC))
    )
    _print([row])


@limits_app.command("show")
def show(
    tenant: Annotated[str, typer.Argument(help="The tenant, by its id.")] = DEFAULT_TENANT,
) -> None:
    """Print the limits in force for a tenant, and those that its keys have besides."""
    rows = with_database(os.environ, lambda engine: show_limits(engine, tenant))
    default = limits_from(load(None, os.environ).config.limits)
    book = LimitBook({Scope("tenant", tenant): rows[0].limits}, default)
    in_force = ScopeRow(tenant_id=tenant, key_id=None, key_name=None, limits=book.tenant(tenant))
    _print([in_force, *rows[1:]])


def _print(rows: list[ScopeRow]) -> None:
    print_table(
        ("tenant", "key", "requests/s", "burst", "tokens/day"),
        [
            (
                row.tenant_id,
                f"{row.key_name} ({row.key_id})" if row.key_id else "",
                _number(row.limits.requests_per_second),
                _number(_burst(row.limits)),
                _number(row.limits.tokens_per_day),
            )
            for row in rows
        ],
    )


def _burst(limits: Limits) -> float | None:
    return None if limits.requests_per_second is None else limits.capacity


def _number(value: float | None) -> str:
    return "unlimited" if value is None else f"{value:.15g}"
