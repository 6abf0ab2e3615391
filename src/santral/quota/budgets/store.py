"""What budgets have used by the hour, and alerts, in the control database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Text, cast, func, literal, select, update

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.tables import alerts, ledger
from santral.quota.budgets.alert import Alert
from santral.quota.ledger.store import IS_BILLED
from santral.quota.rule import ScopeKind
from santral.quota.used import UsedRow

_OF: Mapping[ScopeKind, ColumnElement[str]] = {
    "tenant": ledger.c.tenant_id,
    "key": ledger.c.key_id,
    "user": ledger.c.user_id,
    "route": ledger.c.route,
    "model": ledger.c.model,
    "tag": cast(ledger.c.tags, Text),
}


async def spent_by_hour(
    conn: Connection, kind: ScopeKind, now_s: int, hours: int
) -> dict[int, list[UsedRow]]:
    """Return what was spent in each of the last hours, 0 the running one, by tenant and by whom."""
    hour = ((now_s - ledger.c.occurred_s) // 3600).label("hour")
    column = _OF[kind]
    other = ledger.c.deployment if kind == "model" else literal("")
    statement = (
        select(
            hour,
            ledger.c.tenant_id,
            column.label("id"),
            other.label("other"),
            func.coalesce(func.sum(ledger.c.cost_nanousd), 0).label("nanousd"),
        )
        .where(ledger.c.occurred_s > now_s - hours * 3600)
        .where(ledger.c.occurred_s <= now_s)
        .where(IS_BILLED)
        .group_by(hour, ledger.c.tenant_id, column, *([other] if kind == "model" else ()))
    )
    found: dict[int, list[UsedRow]] = {}
    for row in await conn.execute(statement):
        used = UsedRow(row.tenant_id, row.id, 0, 0, int(row.nanousd), row.other)
        found.setdefault(int(row.hour), []).append(used)
    return found


async def insert_alerts(conn: Connection, made: Sequence[Alert]) -> None:
    """Write alerts; one of the same rule, scope, window and kind stays as it is."""
    if made:
        values = [msgspec.structs.asdict(alert) for alert in made]
        await conn.execute(upsert(conn, alerts).on_conflict_do_nothing(), values)


async def told_since(conn: Connection, since: datetime) -> set[tuple[str, str, datetime, str]]:
    """Return rule, scope, window and kind of the alerts of windows that began since then."""
    statement = select(
        alerts.c.limit_id, alerts.c.scope_id, alerts.c.window_start, alerts.c.kind
    ).where(alerts.c.window_start >= since)
    return {(row[0], row[1], row[2], row[3]) for row in await conn.execute(statement)}


async def due_alerts(conn: Connection, now: datetime, limit: int) -> list[Alert]:
    """Return alerts whose next try is due, those that wait longest first."""
    statement = (
        select(alerts)
        .where(alerts.c.delivered_at.is_(None))
        .where(alerts.c.next_try_at <= now)
        .order_by(alerts.c.next_try_at, alerts.c.id)
        .limit(limit)
    )
    return [_alert(row) for row in await conn.execute(statement)]


async def list_alerts(
    conn: Connection, tenant_ids: Sequence[str] | None, limit: int
) -> list[Alert]:
    """Return the latest alerts of some tenants, or of all."""
    statement = select(alerts).order_by(alerts.c.created_at.desc(), alerts.c.id).limit(limit)
    if tenant_ids is not None:
        statement = statement.where(alerts.c.tenant_id.in_(tenant_ids))
    return [_alert(row) for row in await conn.execute(statement)]


async def save_try(conn: Connection, alert: Alert) -> None:
    """Write what became of a try to deliver."""
    statement = (
        update(alerts)
        .where(alerts.c.id == alert.id)
        .values(
            delivered_at=alert.delivered_at,
            next_try_at=alert.next_try_at,
            tries=alert.tries,
            error=alert.error,
        )
    )
    await conn.execute(statement)


def _alert(row: Any) -> Alert:
    return Alert(**row._mapping)
