"""``santral budgets show`` and ``santral alerts``: how fast money goes, and who was told."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from santral.config.load import load
from santral.db.session import with_database
from santral.quota.answer import amount_text
from santral.quota.budgets.alert import Alert
from santral.quota.budgets.show import Outlook, show_alerts, show_budgets
from santral.quota.budgets.watch import sender_of, signing_key
from santral.quota.ledger.showback import usd
from santral.quota.limits import default_rules
from santral.tenants.operator import local_operator
from santral.tenants.table import print_table
from santral.tenants.tenant import DEFAULT_TENANT

alerts_app = typer.Typer(
    no_args_is_help=True, help="Alerts about limits: list them, try a receiver."
)

_BUDGETS = ("id", "binds", "budget", "spent", "left", "last hour", "last 24 h")
_ALERTS = ("created", "tenant", "limit", "scope", "what", "delivery", "tries", "error")


def print_budgets(
    tenant: Annotated[
        str, typer.Argument(help="Whose; `*` is the installation's.")
    ] = DEFAULT_TENANT,
) -> None:
    """Print what is spent of each budget, how fast, and when it will be used up, with its range."""
    declared = default_rules(load(None, os.environ).config.limits)
    now_s = int(datetime.now(UTC).timestamp())
    rows = with_database(
        os.environ,
        lambda engine: show_budgets(engine, tenant, declared, now_s, by=local_operator()),
    )
    print_table(
        (*_BUDGETS, "begins anew", "used up", "between", "and", "outlook"), map(_budget, rows)
    )


@alerts_app.command("list")
def list_alerts(
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="Of one tenant.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most lines.")] = 50,
) -> None:
    """Print the latest alerts, newest first, and what became of them."""
    rows = with_database(
        os.environ, lambda engine: show_alerts(engine, tenant, limit, by=local_operator())
    )
    print_table(_ALERTS, map(_alert, rows))


@alerts_app.command("test")
def try_receiver(
    webhook: Annotated[str, typer.Argument(help="The address to send a test to.")],
) -> None:
    """Send a signed test alert to a receiver and print what it answered; exit 1 where it did not take it."""
    sender = sender_of(load(None, os.environ).config)
    now = datetime.now(UTC)
    alert = Alert(
        id="alr_test",
        tenant_id=DEFAULT_TENANT,
        limit_id="lim_test",
        scope_id=DEFAULT_TENANT,
        window_start=now,
        kind="test",
        body={
            "id": "alr_test",
            "kind": "test",
            "text": "Santral: this is a test. Alerts about limits will arrive like this one.",
            "webhook": webhook,
        },
        created_at=now,
    )
    done = asyncio.run(sender.send(alert))
    if done.delivered_at is None:
        typer.echo(f"{webhook} did not take it: {done.error}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{webhook} took it.")


@alerts_app.command("key")
def print_key() -> None:
    """Print the key by which receivers check the signature of alerts."""
    typer.echo(signing_key(load(None, os.environ).config))


def _budget(row: Outlook) -> tuple[str, ...]:
    seen = row.forecast
    return (
        row.rule.id,
        f"{row.rule.scope.kind} {row.scope_id}",
        amount_text(row.rule),
        usd(seen.spent),
        usd(seen.left),
        usd(seen.last_hour),
        usd(seen.last_day),
        _moment(seen.end_s) or "rolls",
        _moment(seen.likely_s) or "never",
        _moment(seen.earliest_s) or "never",
        _moment(seen.latest_s) or "never",
        seen.outlook,
    )


def _alert(alert: Alert) -> tuple[str, ...]:
    if alert.delivered_at is not None:
        delivery = f"delivered {alert.delivered_at:%Y-%m-%d %H:%M}"
    elif alert.next_try_at is not None:
        delivery = f"next try {alert.next_try_at:%Y-%m-%d %H:%M:%S}"
    else:
        delivery = "not sent" if not alert.tries else "given up"
    return (
        f"{alert.created_at:%Y-%m-%d %H:%M:%S}",
        alert.tenant_id,
        alert.limit_id,
        alert.scope_id,
        alert.kind,
        delivery,
        str(alert.tries),
        alert.error,
    )


def _moment(seconds: int | None) -> str:
    if seconds is None:
        return ""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):  # further away than calendars reach
        return ""
