"""Tenants and virtual keys in the control database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, or_, select, update

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.store import bump_revision
from santral.db.tables import tenants, virtual_keys
from santral.tenants.keyring import KeyRing
from santral.tenants.tenant import KeyId, Tenant, TenantId, VirtualKey


async def insert_tenant(conn: Connection, tenant_id: TenantId, name: str, now: datetime) -> bool:
    """Add a tenant; return whether it is new."""
    statement = upsert(conn, tenants).values(
        id=tenant_id, name=name, is_active=True, created_at=now
    )
    added = await conn.execute(statement.on_conflict_do_nothing().returning(tenants.c.id))
    if added.scalar_one_or_none() is None:
        return False
    await bump_revision(conn)
    return True


async def find_tenant(conn: Connection, tenant_id: TenantId) -> Tenant | None:
    """Return one tenant."""
    rows = (await conn.execute(select(tenants).where(tenants.c.id == tenant_id))).all()
    return _tenant(rows[0]) if rows else None


async def list_tenants(conn: Connection) -> list[Tenant]:
    """Return every tenant, by id."""
    rows = await conn.execute(select(tenants).order_by(tenants.c.id))
    return [_tenant(row) for row in rows]


async def set_tenant_active(conn: Connection, tenant_id: TenantId, is_active: bool) -> bool:
    """Switch a tenant on or off; return whether it exists."""
    statement = update(tenants).where(tenants.c.id == tenant_id).values(is_active=is_active)
    if (await conn.execute(statement)).rowcount == 0:
        return False
    await bump_revision(conn)
    return True


async def insert_key(
    conn: Connection, tenant_id: TenantId, key: VirtualKey, now: datetime
) -> VirtualKey:
    """Add a key of ``tenant_id``; return it as stored."""
    values: dict[str, Any] = {
        "id": key.id,
        "tenant_id": tenant_id,
        "name": key.name,
        "prefix": key.prefix,
        "digest": key.digest,
        "routes": None if key.routes is None else sorted(key.routes),
        "is_admin": key.is_admin,
        "created_at": now,
        "expires_at": key.expires_at,
    }
    stored = await conn.execute(virtual_keys.insert().values(values).returning(*virtual_keys.c))
    await bump_revision(conn)
    return _key(stored.one())


async def list_keys(conn: Connection, tenant_id: TenantId) -> list[VirtualKey]:
    """Return the keys of one tenant, the oldest first, revoked ones too."""
    statement = (
        select(virtual_keys)
        .where(virtual_keys.c.tenant_id == tenant_id)
        .order_by(virtual_keys.c.created_at, virtual_keys.c.id)
    )
    return [_key(row) for row in await conn.execute(statement)]


async def find_keys(conn: Connection, reference: str) -> list[VirtualKey]:
    """Return the keys of any tenant whose id or prefix is ``reference``; for administrators."""
    is_meant = or_(virtual_keys.c.id == reference, virtual_keys.c.prefix == reference)
    return [_key(row) for row in await conn.execute(select(virtual_keys).where(is_meant))]


async def has_keys(conn: Connection, tenant_id: TenantId) -> bool:
    """Return whether a tenant ever had a key; who asks meanwhile waits for this transaction."""
    await conn.execute(select(tenants.c.id).where(tenants.c.id == tenant_id).with_for_update())
    of_tenant = select(virtual_keys.c.id).where(virtual_keys.c.tenant_id == tenant_id)
    return (await conn.execute(of_tenant.limit(1))).first() is not None


async def revoke_key(conn: Connection, tenant_id: TenantId, key_id: KeyId, now: datetime) -> bool:
    """End a key from ``now`` on; return whether it was in force."""
    statement = (
        update(virtual_keys)
        .where(virtual_keys.c.tenant_id == tenant_id)
        .where(virtual_keys.c.id == key_id)
        .where(virtual_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    if (await conn.execute(statement)).rowcount == 0:
        return False
    await bump_revision(conn)
    return True


async def load_keyring(conn: Connection) -> KeyRing:
    """Return every key and tenant: what a gateway holds in memory."""
    return KeyRing(await load_keys(conn), await list_tenants(conn))


async def load_keys(conn: Connection) -> list[VirtualKey]:
    """Return every key of every tenant: what a gateway's parent hands to its workers."""
    rows: Sequence[Row[Any]] = (await conn.execute(select(virtual_keys))).all()
    return [_key(row) for row in rows]


def _tenant(row: Row[Any]) -> Tenant:
    return Tenant(TenantId(row.id), row.name, row.is_active)


def _key(row: Row[Any]) -> VirtualKey:
    return VirtualKey(
        id=KeyId(row.id),
        tenant_id=TenantId(row.tenant_id),
        name=row.name,
        prefix=row.prefix,
        digest=row.digest,
        routes=None if row.routes is None else frozenset(row.routes),
        is_admin=row.is_admin,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
