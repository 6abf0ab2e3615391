"""Set and show limits: the same for command line and admin API."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TypeVar

import msgspec
from msgspec import Struct

from santral.db.engine import Connection, Engine, reading, writing
from santral.errors import BadRequest, NotFound
from santral.quota import store
from santral.quota.limit import Limits, Scope
from santral.tenants.issue import known_tenant
from santral.tenants.store import list_keys
from santral.tenants.tenant import Tenant, TenantId

Number = TypeVar("Number", int, float)

#: Above this a limit is no limit and a likely slip; also what a 64-bit column and a float agree on.
_MOST = 10**15


class ScopeRow(Struct, frozen=True, kw_only=True):
    """The limits of one scope as administrators see them."""

    tenant_id: str
    key_id: str | None
    key_name: str | None
    limits: Limits


#: Rate, burst and tokens per day to change: ``None`` keeps what is set, 0 removes it.
Asked = tuple[float | None, int | None, int | None]


async def replace_limits(
    engine: Engine, tenant: str, key: str | None, own: Limits, now: datetime
) -> ScopeRow:
    """Set what a tenant, or one of its keys (id or prefix), may use, in place of all it had.

    Raises:
        NotFound: no such tenant or key.
        BadRequest: the limits contradict each other.
    """
    async with writing(engine) as conn:
        owner = await known_tenant(conn, tenant)
        return await _write(conn, await _scope_row(conn, owner, key, own), now)


async def set_limits(
    engine: Engine, tenant: str, key: str | None, asked: Asked, now: datetime
) -> ScopeRow:
    """Change the limits that are asked for and keep the others.

    Raises:
        NotFound: no such tenant or key.
        BadRequest: the limits contradict each other.
    """
    async with writing(engine) as conn:
        owner = await known_tenant(conn, tenant)
        row = await _scope_row(conn, owner, key, Limits())
        had = (await store.limits_of_tenant(conn, owner.id)).get(_scope(row), Limits())
        merged = Limits(
            _merged(asked[0], had.requests_per_second),
            _merged(asked[1], had.burst),
            _merged(asked[2], had.tokens_per_day),
        )
        if merged.requests_per_second is None and not asked[1]:
            merged = Limits(None, None, merged.tokens_per_day)  # its reserve goes with the rate
        return await _write(conn, msgspec.structs.replace(row, limits=merged), now)


async def show_limits(engine: Engine, tenant: str) -> list[ScopeRow]:
    """Return the limits that a tenant and its keys have of their own, the tenant's first.

    Raises:
        NotFound: no such tenant.
    """
    async with reading(engine) as conn:
        owner = await known_tenant(conn, tenant)
        own = await store.limits_of_tenant(conn, owner.id)
        mine = own.get(Scope("tenant", owner.id), Limits())
        first = ScopeRow(tenant_id=owner.id, key_id=None, key_name=None, limits=mine)
        return [first] + [
            ScopeRow(tenant_id=owner.id, key_id=key.id, key_name=key.name, limits=found)
            for key in await list_keys(conn, owner.id)
            if (found := own.get(Scope("key", key.id))) is not None
        ]


def check(own: Limits) -> None:
    """Refuse limits that no request could meet, or that mean nothing.

    Raises:
        BadRequest: naming the limit.
    """
    rate = own.requests_per_second
    if rate is not None and not (math.isfinite(rate) and 0 < rate <= _MOST):
        raise BadRequest("requests_per_second must be above zero.", param="requests_per_second")
    if own.burst is not None and not 1 <= own.burst <= 1_000_000_000:
        raise BadRequest("burst must be 1 or more: it is requests at once.", param="burst")
    if own.burst is not None and rate is None:
        raise BadRequest(
            "burst needs requests_per_second: it is the reserve of that rate.", param="burst"
        )
    if own.tokens_per_day is not None and not 1 <= own.tokens_per_day <= _MOST:
        raise BadRequest("tokens_per_day must be 1 or more.", param="tokens_per_day")


async def _write(conn: Connection, row: ScopeRow, now: datetime) -> ScopeRow:
    check(row.limits)
    owner = TenantId(row.tenant_id)
    if row.limits == Limits():
        await store.drop_limits(conn, owner, _scope(row))
    else:
        await store.put_limits(conn, owner, _scope(row), row.limits, now)
    return row


def _scope(row: ScopeRow) -> Scope:
    return Scope("key", row.key_id) if row.key_id else Scope("tenant", row.tenant_id)


def _merged(asked: Number | None, had: Number | None) -> Number | None:
    return had if asked is None else asked or None


async def _scope_row(conn: Connection, owner: Tenant, key: str | None, own: Limits) -> ScopeRow:
    if key is None:
        return ScopeRow(tenant_id=owner.id, key_id=None, key_name=None, limits=own)
    meant = [k for k in await list_keys(conn, owner.id) if key in (k.id, k.prefix)]
    if not meant:
        raise NotFound(
            f"The tenant '{owner.id}' has no key '{key}'. List them with: santral keys list "
            f"--tenant {owner.id}",
            param="key_id",
        )
    if len(meant) > 1:
        raise BadRequest(f"Several keys begin with '{key}'. Name one by its id.", param="key_id")
    return ScopeRow(tenant_id=owner.id, key_id=meant[0].id, key_name=meant[0].name, limits=own)
