"""Tenants and virtual keys in the control database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, func, or_, select, update

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.store import bump_revision
from santral.db.tables import documents, ledger, tenants, users, virtual_keys
from santral.tenants.keyring import KeyRing
from santral.tenants.tenant import EVERYWHERE, KeyId, Tenant, TenantId, UserId, VirtualKey
from santral.tenants.tree import TenantTree

#: A key with its owner's state and groups: a key whose owner is switched off is too.
_KEYS = select(
    virtual_keys,
    users.c.is_active.label("is_user_active"),
    users.c.groups.label("user_groups"),
).select_from(virtual_keys.outerjoin(users, users.c.id == virtual_keys.c.user_id))

# tenants


async def insert_tenant(
    conn: Connection,
    tenant_id: TenantId,
    name: str,
    now: datetime,
    parent_id: TenantId | None = None,
) -> bool:
    """Add a tenant; return whether it is new. The id of a deleted one is never new."""
    statement = upsert(conn, tenants).values(
        id=tenant_id, name=name, is_active=True, created_at=now, parent_id=parent_id
    )
    added = await conn.execute(statement.on_conflict_do_nothing().returning(tenants.c.id))
    if added.scalar_one_or_none() is None:
        return False
    await bump_revision(conn)
    return True


async def find_tenant(conn: Connection, tenant_id: TenantId) -> Tenant | None:
    """Return one tenant that is not deleted."""
    found = select(tenants).where(tenants.c.id == tenant_id).where(tenants.c.deleted_at.is_(None))
    rows = (await conn.execute(found)).all()
    return _tenant(rows[0]) if rows else None


async def list_tenants(conn: Connection) -> list[Tenant]:
    """Return every tenant that is not deleted, by id."""
    living = select(tenants).where(tenants.c.deleted_at.is_(None)).order_by(tenants.c.id)
    return [_tenant(row) for row in await conn.execute(living)]


async def load_tree(conn: Connection) -> TenantTree:
    """Return who is whose part, deleted tenants too: what they spent stays theirs."""
    rows = await conn.execute(select(tenants.c.id, tenants.c.parent_id))
    return TenantTree({row.id: row.parent_id for row in rows})


async def update_tenant(
    conn: Connection, tenant_id: TenantId, changes: Mapping[str, object]
) -> bool:
    """Change columns of a tenant that is not deleted; return whether there is one."""
    statement = (
        update(tenants)
        .where(tenants.c.id == tenant_id)
        .where(tenants.c.deleted_at.is_(None))
        .values(**changes)
    )
    if (await conn.execute(statement)).rowcount == 0:
        return False
    await bump_revision(conn)
    return True


async def spent_by(conn: Connection, tenant_id: TenantId) -> tuple[int, int]:
    """Return how many rows of the ledger a tenant has, and what they cost in nano-USD."""
    cost = func.coalesce(func.sum(ledger.c.cost_nanousd), 0)
    row = (
        await conn.execute(select(func.count(), cost).where(ledger.c.tenant_id == tenant_id))
    ).one()
    return int(row[0]), int(row[1])


async def count_documents(conn: Connection, tenant_id: TenantId) -> int:
    """Return how many documents a tenant has."""
    counted = select(func.count()).where(documents.c.tenant_id == tenant_id)
    return (await conn.execute(counted)).scalar_one()


# keys


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
        "routes": listed(key.routes),
        "models": listed(key.models),
        "networks": None if key.networks is None else list(key.networks),
        "scopes": listed(key.scopes),
        "groups": listed(key.groups),
        "names_groups": key.names_groups,
        "role": key.role,
        "role_over": key.role_over,
        "user_id": key.user_id,
        "created_at": now,
        "expires_at": key.expires_at,
    }
    await conn.execute(virtual_keys.insert().values(values))
    await bump_revision(conn)
    return (await _selected(conn, tenant_id, key.id))[0]


async def list_keys(conn: Connection, tenant_id: TenantId) -> list[VirtualKey]:
    """Return the keys of one tenant, the oldest first, revoked ones too."""
    statement = _KEYS.where(virtual_keys.c.tenant_id == tenant_id).order_by(
        virtual_keys.c.created_at, virtual_keys.c.id
    )
    return [_key(row) for row in await conn.execute(statement)]


async def find_keys(conn: Connection, reference: str) -> list[VirtualKey]:
    """Return the keys of any tenant whose id or prefix is ``reference``; for administrators."""
    is_meant = or_(virtual_keys.c.id == reference, virtual_keys.c.prefix == reference)
    return [_key(row) for row in await conn.execute(_KEYS.where(is_meant))]


async def find_by_digest(conn: Connection, digest: str) -> VirtualKey | None:
    """Return the key with this digest, of now or of before its last rotation."""
    is_meant = or_(virtual_keys.c.digest == digest, virtual_keys.c.previous_digest == digest)
    row = (await conn.execute(_KEYS.where(is_meant))).first()
    return None if row is None else _key(row)


async def owner_keys(conn: Connection) -> list[VirtualKey]:
    """Return the keys that are owner over the whole installation and not revoked."""
    statement = (
        _KEYS.where(virtual_keys.c.role == "owner")
        .where(virtual_keys.c.role_over == EVERYWHERE)
        .where(virtual_keys.c.revoked_at.is_(None))
    )
    return [_key(row) for row in await conn.execute(statement)]


async def has_keys(conn: Connection, tenant_id: TenantId) -> bool:
    """Return whether a tenant ever had a key; who asks meanwhile waits for this transaction."""
    await conn.execute(select(tenants.c.id).where(tenants.c.id == tenant_id).with_for_update())
    of_tenant = select(virtual_keys.c.id).where(virtual_keys.c.tenant_id == tenant_id)
    return (await conn.execute(of_tenant.limit(1))).first() is not None


async def update_key(
    conn: Connection, tenant_id: TenantId, key_id: KeyId, changes: Mapping[str, object]
) -> VirtualKey | None:
    """Change columns of a key in force; return it, or ``None`` where it is revoked."""
    statement = (
        update(virtual_keys)
        .where(virtual_keys.c.tenant_id == tenant_id)
        .where(virtual_keys.c.id == key_id)
        .where(virtual_keys.c.revoked_at.is_(None))
        .values(**changes)
    )
    if (await conn.execute(statement)).rowcount == 0:
        return None
    await bump_revision(conn)
    return (await _selected(conn, tenant_id, key_id))[0]


async def revoke_key(conn: Connection, tenant_id: TenantId, key_id: KeyId, now: datetime) -> bool:
    """End a key from ``now`` on, its former text too; return whether it was in force."""
    return await update_key(conn, tenant_id, key_id, {"revoked_at": now}) is not None


async def last_used(
    conn: Connection, tenant_id: TenantId, since_day: date | None = None
) -> dict[KeyId, datetime]:
    """Return when each key of a tenant was last used, as far as the ledger knows."""
    statement = (
        select(ledger.c.key_id, func.max(ledger.c.occurred_at).label("moment"))
        .where(ledger.c.tenant_id == tenant_id)
        .group_by(ledger.c.key_id)
    )
    if since_day is not None:
        statement = statement.where(ledger.c.day >= since_day)
    return {KeyId(row.key_id): row.moment for row in await conn.execute(statement)}


async def load_keyring(conn: Connection) -> KeyRing:
    """Return every key and tenant: what a gateway holds in memory."""
    return KeyRing(await load_keys(conn), await list_tenants(conn))


async def load_keys(conn: Connection) -> list[VirtualKey]:
    """Return every key of every tenant: what a gateway's parent hands to its workers."""
    rows: Sequence[Row[Any]] = (await conn.execute(_KEYS)).all()
    return [_key(row) for row in rows]


def listed(names: frozenset[str] | None) -> list[str] | None:
    """Return names as a column holds them."""
    return None if names is None else sorted(names)


async def _selected(conn: Connection, tenant_id: TenantId, key_id: KeyId) -> list[VirtualKey]:
    statement = _KEYS.where(virtual_keys.c.tenant_id == tenant_id).where(
        virtual_keys.c.id == key_id
    )
    return [_key(row) for row in await conn.execute(statement)]


def _tenant(row: Row[Any]) -> Tenant:
    return Tenant(
        id=TenantId(row.id),
        name=row.name,
        is_active=row.is_active,
        parent_id=row.parent_id,
        payloads=row.payloads,
        retention_days=row.retention_days,
        caches_forgotten_at=row.caches_forgotten_at,
    )


def _key(row: Row[Any]) -> VirtualKey:
    return VirtualKey(
        id=KeyId(row.id),
        tenant_id=TenantId(row.tenant_id),
        name=row.name,
        prefix=row.prefix,
        digest=row.digest,
        routes=_names(row.routes),
        models=_names(row.models),
        networks=None if row.networks is None else tuple(row.networks),
        scopes=_names(row.scopes),
        role=row.role,
        role_over=row.role_over,
        user_id=None if row.user_id is None else UserId(row.user_id),
        is_user_active=row.is_user_active is not False,
        groups=frozenset(row.groups or ()),
        user_groups=frozenset(row.user_groups or ()),
        names_groups=row.names_groups,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        previous_prefix=row.previous_prefix,
        previous_digest=row.previous_digest,
        previous_expires_at=row.previous_expires_at,
    )


def _names(column: list[Any] | None) -> frozenset[Any] | None:
    return None if column is None else frozenset(column)
