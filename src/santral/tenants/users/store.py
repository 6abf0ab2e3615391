"""Users and their roles in the control database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, or_, select, update

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.store import bump_revision
from santral.db.tables import memberships, users, virtual_keys
from santral.tenants.permission import Grant, Role
from santral.tenants.tenant import EVERYWHERE, TenantId, UserId
from santral.tenants.users.user import User


async def insert_user(conn: Connection, user: User, now: datetime) -> bool:
    """Add a user without roles; return whether the e-mail address is new."""
    statement = upsert(conn, users).values(
        id=user.id,
        kind=user.kind,
        name=user.name,
        email=user.email,
        is_active=user.is_active,
        created_at=now,
        groups=sorted(user.groups),
    )
    added = await conn.execute(statement.on_conflict_do_nothing().returning(users.c.id))
    return added.scalar_one_or_none() is not None


async def find_user(conn: Connection, reference: str) -> User | None:
    """Return the user with this id or e-mail address, with every role."""
    is_meant = or_(users.c.id == reference, users.c.email == reference.lower())
    row = (await conn.execute(select(users).where(is_meant))).first()
    return None if row is None else _user(row, await grants_of(conn, UserId(row.id)))


async def list_users(conn: Connection) -> list[User]:
    """Return every user, by name, with every role."""
    held = await _every_grant(conn)
    rows = await conn.execute(select(users).order_by(users.c.name, users.c.id))
    return [_user(row, tuple(held.get(row.id, ()))) for row in rows]


async def grants_of(conn: Connection, user_id: UserId) -> tuple[Grant, ...]:
    """Return the roles of one user, wherever they are held."""
    statement = (
        select(memberships)
        .where(memberships.c.user_id == user_id)
        .order_by(memberships.c.tenant_id)
    )
    return tuple(Grant(row.role, row.tenant_id) for row in await conn.execute(statement))


async def tenants_with_keys(conn: Connection, user_id: UserId) -> set[TenantId]:
    """Return the tenants in which a user has keys in force."""
    statement = (
        select(virtual_keys.c.tenant_id)
        .where(virtual_keys.c.user_id == user_id)
        .where(virtual_keys.c.revoked_at.is_(None))
    )
    return {TenantId(row.tenant_id) for row in await conn.execute(statement)}


async def update_user(conn: Connection, user_id: UserId, changes: Mapping[str, object]) -> None:
    """Change columns of a user; keys of theirs are read again."""
    await conn.execute(update(users).where(users.c.id == user_id).values(**changes))
    await bump_revision(conn)


async def put_grant(
    conn: Connection, tenant_id: TenantId, user_id: UserId, role: Role, now: datetime
) -> None:
    """Give a user a role over a tenant, in place of the one held there."""
    statement = upsert(conn, memberships).values(
        tenant_id=tenant_id, user_id=user_id, role=role, created_at=now
    )
    keys = [memberships.c.tenant_id, memberships.c.user_id]
    await conn.execute(
        statement.on_conflict_do_update(index_elements=keys, set_={"role": role, "created_at": now})
    )


async def delete_grant(conn: Connection, tenant_id: TenantId, user_id: UserId) -> bool:
    """Take the role that a user holds over a tenant; return whether there was one."""
    statement = (
        delete(memberships)
        .where(memberships.c.tenant_id == tenant_id)
        .where(memberships.c.user_id == user_id)
    )
    return (await conn.execute(statement)).rowcount > 0


async def delete_grants_over(conn: Connection, tenant_id: TenantId) -> int:
    """Take every role that is held over a tenant; return how many there were."""
    statement = delete(memberships).where(memberships.c.tenant_id == tenant_id)
    return (await conn.execute(statement)).rowcount


async def count_owners(conn: Connection, tenant_id: TenantId = EVERYWHERE) -> int:
    """Return how many people who have signed in before are owners over ``tenant_id``."""
    statement = (
        select(func.count())
        .select_from(memberships.join(users, users.c.id == memberships.c.user_id))
        .where(memberships.c.tenant_id == tenant_id)
        .where(memberships.c.role == "owner")
        .where(users.c.kind == "person")
        .where(users.c.is_active)
        .where(users.c.last_login_at.is_not(None))
    )
    return (await conn.execute(statement)).scalar_one()


async def _every_grant(conn: Connection) -> dict[str, list[Grant]]:
    held: dict[str, list[Grant]] = defaultdict(list)
    for row in await conn.execute(select(memberships).order_by(memberships.c.tenant_id)):
        held[row.user_id].append(Grant(row.role, row.tenant_id))
    return held


def _user(row: Row[Any], grants: tuple[Grant, ...]) -> User:
    return User(
        id=UserId(row.id),
        kind=row.kind,
        name=row.name,
        email=row.email,
        is_active=row.is_active,
        created_at=row.created_at,
        last_login_at=row.last_login_at,
        grants=grants,
        groups=frozenset(row.groups or ()),
    )
