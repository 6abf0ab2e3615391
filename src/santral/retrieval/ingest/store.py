"""SQL of what an ingest reads and notes of its collection."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import exists, select, update

from santral.db.engine import Connection
from santral.db.tables import collections, tenants


async def tenant_exists(conn: Connection, tenant_id: str) -> bool:
    """Return whether there is such a tenant."""
    statement = select(exists().where(tenants.c.id == tenant_id, tenants.c.deleted_at.is_(None)))
    return bool((await conn.execute(statement)).scalar_one())


async def bump_collection(conn: Connection, tenant_id: str, name: str, now: datetime) -> None:
    """Note, in the transaction that changes documents, that every index is behind."""
    statement = (
        update(collections)
        .where(collections.c.tenant_id == tenant_id, collections.c.name == name)
        .values(revision=collections.c.revision + 1, updated_at=now)
    )
    await conn.execute(statement)


async def read_revision(conn: Connection, tenant_id: str, name: str) -> int:
    """Return the revision of a collection's documents."""
    statement = select(collections.c.revision).where(
        collections.c.tenant_id == tenant_id, collections.c.name == name
    )
    return (await conn.execute(statement)).scalar_one()


async def find_revision(conn: Connection, tenant_id: str, name: str) -> int | None:
    """Return the revision of a collection's documents; None where there is no such collection."""
    statement = select(collections.c.revision).where(
        collections.c.tenant_id == tenant_id, collections.c.name == name
    )
    return (await conn.execute(statement)).scalar_one_or_none()


async def read_active_version(conn: Connection, tenant_id: str, name: str) -> int:
    """Return which version of a collection is searched; 0: none was published."""
    statement = select(collections.c.active_version).where(
        collections.c.tenant_id == tenant_id, collections.c.name == name
    )
    return (await conn.execute(statement)).scalar_one()


async def read_writer(conn: Connection, tenant_id: str, collection: str) -> str:
    """Return the job that changes a collection; on PostgreSQL its row is held until the commit."""
    statement = select(collections.c.writer).where(
        collections.c.tenant_id == tenant_id, collections.c.name == collection
    )
    return (await conn.execute(statement.with_for_update())).scalar_one_or_none() or ""


async def set_writer(conn: Connection, tenant_id: str, collection: str, job: str) -> None:
    """Note which job changes a collection; empty: none."""
    statement = (
        update(collections)
        .where(collections.c.tenant_id == tenant_id, collections.c.name == collection)
        .values(writer=job)
    )
    await conn.execute(statement)
