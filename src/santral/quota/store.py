"""Rules of limits in the control database, and what the ledger says was used under each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, cast, delete, func, literal, select

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.store import bump_revision
from santral.db.tables import ledger, limit_rules
from santral.quota.ledger.store import IS_BILLED, TOKENS
from santral.quota.rule import Rule, Scope, ScopeKind
from santral.quota.used import UsedRow
from santral.tenants.tenant import TenantId

#: What tells one rule from another; a second one for the same place replaces the first.
_PLACE = ("tenant_id", "scope_kind", "scope_id", "measure", "window", "is_rolling")

_OF: dict[ScopeKind, ColumnElement[str]] = {
    "tenant": ledger.c.tenant_id,
    "key": ledger.c.key_id,
    "user": ledger.c.user_id,
    "route": ledger.c.route,
    "model": ledger.c.model,
    "tag": cast(ledger.c.tags, Text),
}


async def put_rule(conn: Connection, tenant_id: TenantId, rule: Rule, now: datetime) -> Rule:
    """Set a rule in place of the one for the same scope, measure and window; return it with its id.

    A rule that was there keeps its id, and so what was used under it.
    """
    values: dict[str, Any] = {
        "scope_kind": rule.scope.kind,
        "scope_id": rule.scope.id,
        "measure": rule.measure,
        "window": rule.window,
        "is_rolling": rule.is_rolling,
        "amount": rule.amount,
        "rate": rule.rate,
        "burst": rule.burst,
        "time_zone": rule.time_zone,
        "wait_s": rule.wait_s,
        "fall_to": rule.fall_to or None,
        "warn_at": list(rule.warn_at),
        "webhook": rule.webhook or None,
        "uncoordinated": rule.uncoordinated,
        "is_dry_run": rule.is_dry_run,
        "updated_at": now,
    }
    statement = upsert(conn, limit_rules).values(id=rule.id, tenant_id=tenant_id, **values)
    changes = {name: value for name, value in values.items() if name not in _PLACE}
    stored = await conn.execute(
        statement.on_conflict_do_update(index_elements=list(_PLACE), set_=changes).returning(
            *limit_rules.c
        )
    )
    await bump_revision(conn)
    return _rule(stored.one())


async def drop_rule(conn: Connection, tenant_id: TenantId, rule_id: str) -> bool:
    """Remove a rule of a tenant; return whether it was there."""
    statement = (
        delete(limit_rules)
        .where(limit_rules.c.tenant_id == tenant_id)
        .where(limit_rules.c.id == rule_id)
    )
    if (await conn.execute(statement)).rowcount == 0:
        return False
    await bump_revision(conn)
    return True


async def rules_of_tenant(conn: Connection, tenant_id: TenantId) -> list[Rule]:
    """Return the rules that a tenant has made, for itself and what is beneath it."""
    statement = select(limit_rules).where(limit_rules.c.tenant_id == tenant_id)
    return _ordered(await conn.execute(statement))


async def find_rule(conn: Connection, rule_id: str) -> Rule | None:
    """Return a rule of any tenant by its id; for those who check whose it is."""
    row = (await conn.execute(select(limit_rules).where(limit_rules.c.id == rule_id))).first()
    return None if row is None else _rule(row)


async def all_rules(conn: Connection) -> list[Rule]:
    """Return the rules of every tenant: what a gateway holds in memory."""
    return _ordered(await conn.execute(select(limit_rules)))


async def used_since(
    conn: Connection, kind: ScopeKind, since_s: int, until_s: int | None = None
) -> list[UsedRow]:
    """Return what was used from a moment on, by tenant and by whom of ``kind``: seeds of limiters.

    The times are in seconds since 1970, ``until_s`` is the first that does not count. Of ``tag`` the row's whole tags stand for whom, as JSON; of ``model`` its deployment comes with it.
    """
    column = _OF[kind]
    other = ledger.c.deployment if kind == "model" else literal("")
    statement = (
        select(
            ledger.c.tenant_id,
            column.label("id"),
            func.count(func.distinct(ledger.c.request_id)).label("requests"),
            func.coalesce(func.sum(TOKENS), 0).label("tokens"),
            func.coalesce(func.sum(ledger.c.cost_nanousd), 0).label("nanousd"),
            other.label("other"),
        )
        .where(ledger.c.occurred_s >= since_s)
        .where(IS_BILLED)
        .group_by(ledger.c.tenant_id, column, *([other] if kind == "model" else ()))
    )
    if until_s is not None:
        statement = statement.where(ledger.c.occurred_s < until_s)
    return [
        UsedRow(
            row.tenant_id, row.id, int(row.requests), int(row.tokens), int(row.nanousd), row.other
        )
        for row in await conn.execute(statement)
    ]


def _ordered(rows: Iterable[Row[Any]]) -> list[Rule]:
    return sorted(map(_rule, rows), key=lambda rule: (rule.tenant_id, rule.place))


def _rule(row: Row[Any]) -> Rule:
    return Rule(
        id=row.id,
        tenant_id=row.tenant_id,
        scope=Scope(row.scope_kind, row.scope_id),
        measure=row.measure,
        window=row.window,
        is_rolling=row.is_rolling,
        amount=row.amount,
        rate=row.rate,
        burst=row.burst,
        time_zone=row.time_zone,
        wait_s=row.wait_s,
        fall_to=row.fall_to or "",
        warn_at=tuple(row.warn_at),
        webhook=row.webhook or "",
        uncoordinated=row.uncoordinated,
        is_dry_run=row.is_dry_run,
    )
