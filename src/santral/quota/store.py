"""Limits in the control database."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import Row, delete, func, select

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.store import bump_revision
from santral.db.tables import ledger, limits
from santral.quota.ledger.store import IS_BILLED, TOKENS
from santral.quota.limit import Limits, Scope, ScopeKind
from santral.tenants.tenant import TenantId


async def put_limits(
    conn: Connection, tenant_id: TenantId, scope: Scope, own: Limits, now: datetime
) -> None:
    """Set what ``scope`` of a tenant may use, in place of what was set before."""
    values = {
        "requests_per_second": own.requests_per_second,
        "burst": own.burst,
        "tokens_per_day": own.tokens_per_day,
        "updated_at": now,
    }
    statement = upsert(conn, limits).values(
        tenant_id=tenant_id, scope_kind=scope.kind, scope_id=scope.id, **values
    )
    await conn.execute(
        statement.on_conflict_do_update(index_elements=list(limits.primary_key), set_=values)
    )
    await bump_revision(conn)


async def drop_limits(conn: Connection, tenant_id: TenantId, scope: Scope) -> None:
    """Leave ``scope`` of a tenant without limits of its own."""
    statement = (
        delete(limits)
        .where(limits.c.tenant_id == tenant_id)
        .where(limits.c.scope_kind == scope.kind)
        .where(limits.c.scope_id == scope.id)
    )
    await conn.execute(statement)
    await bump_revision(conn)


async def limits_of_tenant(conn: Connection, tenant_id: TenantId) -> dict[Scope, Limits]:
    """Return the limits that a tenant and its keys have of their own."""
    rows = await conn.execute(select(limits).where(limits.c.tenant_id == tenant_id))
    return dict(map(_limits, rows))


async def limits_of(conn: Connection) -> dict[Scope, Limits]:
    """Return the limits of every tenant and key: what a gateway holds in memory."""
    return dict(map(_limits, await conn.execute(select(limits))))


async def tokens_today(conn: Connection, day: date) -> dict[Scope, int]:
    """Return the tokens that every tenant and key used on the UTC ``day``: seeds of the limiter."""
    statement = (
        select(ledger.c.tenant_id, ledger.c.key_id, func.sum(TOKENS))
        .where(ledger.c.day == day)
        .where(IS_BILLED)
        .group_by(ledger.c.tenant_id, ledger.c.key_id)
    )
    used: dict[Scope, int] = {}
    for tenant, key, tokens in await conn.execute(statement):
        for scope in (Scope("tenant", tenant), Scope("key", key)):
            used[scope] = used.get(scope, 0) + int(tokens)
    return used


def _limits(row: Row[Any]) -> tuple[Scope, Limits]:
    scope = Scope(cast("ScopeKind", row.scope_kind), row.scope_id)
    return scope, Limits(row.requests_per_second, row.burst, row.tokens_per_day)
