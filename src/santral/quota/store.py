"""Limits and ledger rows in the control database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, cast

import msgspec
from sqlalchemy import ColumnElement, Row, case, delete, func, select

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.store import bump_revision
from santral.db.tables import ledger, limits
from santral.quota.entry import SHADOW, Balance, LedgerRow
from santral.quota.limit import Limits, Scope, ScopeKind
from santral.tenants.tenant import TenantId

_TOKENS: ColumnElement[int] = (
    ledger.c.input_uncached
    + ledger.c.cache_read
    + ledger.c.cache_write
    + ledger.c.cache_write_1h
    + ledger.c.input_audio
    + ledger.c.input_image
    + ledger.c.output_text
    + ledger.c.reasoning
    + ledger.c.output_audio
    + ledger.c.output_image
)

#: Rows that a tenant pays for: a mirrored request is the operator's own experiment.
_IS_BILLED: ColumnElement[bool] = ledger.c.kind != SHADOW

_SUMS = (
    func.count().label("attempts"),
    func.coalesce(func.sum(_TOKENS), 0).label("tokens"),
    func.coalesce(func.sum(ledger.c.cost_nanousd), 0).label("cost_nanousd"),
    func.coalesce(func.sum(case((ledger.c.cost_nanousd.is_(None), 1), else_=0)), 0).label(
        "unpriced"
    ),
    func.coalesce(func.sum(case((ledger.c.is_estimated, 1), else_=0)), 0).label("estimated"),
)


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


async def insert_rows(conn: Connection, rows: Sequence[LedgerRow]) -> None:
    """Add ledger rows; those whose (request, attempt, kind) is there already stay as they are."""
    if rows:
        values = [msgspec.structs.asdict(row) for row in rows]
        await conn.execute(upsert(conn, ledger).on_conflict_do_nothing(), values)


async def tokens_today(conn: Connection, day: date) -> dict[Scope, int]:
    """Return the tokens that every tenant and key used on the UTC ``day``: seeds of the limiter."""
    statement = (
        select(ledger.c.tenant_id, ledger.c.key_id, func.sum(_TOKENS))
        .where(ledger.c.day == day)
        .where(_IS_BILLED)
        .group_by(ledger.c.tenant_id, ledger.c.key_id)
    )
    used: dict[Scope, int] = {}
    for tenant, key, tokens in await conn.execute(statement):
        for scope in (Scope("tenant", tenant), Scope("key", key)):
            used[scope] = used.get(scope, 0) + int(tokens)
    return used


async def balance(conn: Connection, tenant_id: TenantId, day: date | None = None) -> Balance:
    """Return the sum of a tenant's rows, of one UTC day or of all."""
    statement = select(*_SUMS).where(ledger.c.tenant_id == tenant_id).where(_IS_BILLED)
    if day is not None:
        statement = statement.where(ledger.c.day == day)
    return _balance((await conn.execute(statement)).one())


async def balances_by_day(
    conn: Connection, tenant_id: TenantId, day: date | None = None
) -> list[tuple[date, str, str, Balance]]:
    """Return the sums of a tenant's rows by day, route and model, the latest day first."""
    group = (ledger.c.day, ledger.c.route, ledger.c.model)
    statement = select(*group, *_SUMS).where(ledger.c.tenant_id == tenant_id).where(_IS_BILLED)
    if day is not None:
        statement = statement.where(ledger.c.day == day)
    statement = statement.group_by(*group).order_by(ledger.c.day.desc(), *group[1:])
    rows = await conn.execute(statement)
    return [(row.day, row.route, row.model, _balance(row)) for row in rows]


def _balance(row: Any) -> Balance:
    return Balance(  # PostgreSQL sums into decimals
        attempts=int(row.attempts),
        tokens=int(row.tokens),
        cost_nanousd=int(row.cost_nanousd),
        unpriced=int(row.unpriced),
        estimated=int(row.estimated),
    )


def _limits(row: Row[Any]) -> tuple[Scope, Limits]:
    scope = Scope(cast("ScopeKind", row.scope_kind), row.scope_id)
    return scope, Limits(row.requests_per_second, row.burst, row.tokens_per_day)
