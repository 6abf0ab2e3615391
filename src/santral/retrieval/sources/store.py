"""SQL of sources."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import RowMapping, and_, delete, func, insert, or_, select, update

from santral.db.engine import Connection
from santral.db.tables import document_sources, documents
from santral.retrieval.sources.record import RUNNING, KeptSource

_SOURCE = [document_sources.c[name] for name in KeptSource.__struct_fields__]


async def insert_source(conn: Connection, tenant_id: str, source: KeptSource) -> None:
    """Keep a source."""
    row = {name: getattr(source, name) for name in KeptSource.__struct_fields__}
    await conn.execute(insert(document_sources).values(**row | {"tenant_id": tenant_id}))


async def count_sources(conn: Connection, tenant_id: str) -> int:
    """Return how many sources a tenant has."""
    statement = select(func.count()).where(document_sources.c.tenant_id == tenant_id)
    return int((await conn.execute(statement)).scalar_one())


async def find_source(conn: Connection, source_id: str) -> KeptSource | None:
    """Return one source of any tenant: who asks is held against its tenant afterwards."""
    statement = select(*_SOURCE).where(document_sources.c.id == source_id)
    row = (await conn.execute(statement)).mappings().one_or_none()
    return None if row is None else _source(row)


async def list_sources(
    conn: Connection, tenants: Collection[str] | None, collection: str
) -> list[KeptSource]:
    """Return sources by tenant and collection; ``tenants`` None means those of every tenant."""
    columns = document_sources.c
    statement = select(*_SOURCE).order_by(columns.tenant_id, columns.collection, columns.created_at)
    if tenants is not None:
        statement = statement.where(columns.tenant_id.in_(sorted(tenants)))
    if collection:
        statement = statement.where(columns.collection == collection)
    return [_source(row) for row in (await conn.execute(statement)).mappings()]


async def due_sources(conn: Connection, now: datetime, limit: int) -> list[KeptSource]:
    """Return the sources of all tenants whose moment has come and that do not run."""
    columns = document_sources.c
    statement = (
        select(*_SOURCE)
        .where(columns.next_at <= now, columns.last_state != RUNNING)
        .where(or_(columns.is_paused.is_(False), columns.is_leaving.is_(True)))
        .order_by(columns.next_at, columns.id)
        .limit(limit)
    )
    return [_source(row) for row in (await conn.execute(statement)).mappings()]


async def running_sources(conn: Connection) -> list[KeptSource]:
    """Return the sources of all tenants of which a job was started and no end is known."""
    statement = select(*_SOURCE).where(document_sources.c.last_state == RUNNING)
    return [_source(row) for row in (await conn.execute(statement)).mappings()]


async def watched_sources(conn: Connection) -> list[KeptSource]:
    """Return the sources of all tenants that are taken in as soon as they change."""
    columns = document_sources.c
    statement = select(*_SOURCE).where(
        columns.kind == "watch", columns.is_paused.is_(False), columns.is_leaving.is_(False)
    )
    return [_source(row) for row in (await conn.execute(statement)).mappings()]


async def update_source(conn: Connection, tenant_id: str, source_id: str, **changed: Any) -> None:
    """Write other values of a source."""
    statement = update(document_sources).where(
        document_sources.c.tenant_id == tenant_id, document_sources.c.id == source_id
    )
    await conn.execute(statement.values(**changed))


async def begin_run(conn: Connection, tenant_id: str, source_id: str, now: datetime) -> bool:
    """Note that a run begins; False where another one has begun already."""
    statement = (
        update(document_sources)
        .where(
            and_(
                document_sources.c.tenant_id == tenant_id,
                document_sources.c.id == source_id,
                document_sources.c.last_state != RUNNING,
            )
        )
        .values(last_state=RUNNING, last_at=now, next_at=None)
    )
    return (await conn.execute(statement)).rowcount > 0


async def delete_source(conn: Connection, tenant_id: str, source_id: str) -> None:
    """Forget a source."""
    await conn.execute(
        delete(document_sources).where(
            document_sources.c.tenant_id == tenant_id, document_sources.c.id == source_id
        )
    )


async def release_documents(conn: Connection, tenant_id: str, source_id: str) -> int:
    """Let the documents of a source stay without it; return how many they are."""
    statement = (
        update(documents)
        .where(documents.c.tenant_id == tenant_id, documents.c.source_id == source_id)
        .values(source_id="")
    )
    return (await conn.execute(statement)).rowcount


async def count_documents(conn: Connection, tenant_id: str, source_id: str) -> int:
    """Return how many documents a source has brought that are there."""
    statement = select(func.count()).where(
        documents.c.tenant_id == tenant_id, documents.c.source_id == source_id
    )
    return int((await conn.execute(statement)).scalar_one())


async def stamps_of(conn: Connection, tenant_id: str, source_id: str) -> dict[str, str]:
    """Return the stamps of what a source brought, by location."""
    statement = select(documents.c.location, documents.c.stamp).where(
        documents.c.tenant_id == tenant_id, documents.c.source_id == source_id
    )
    return {row.location: row.stamp for row in await conn.execute(statement)}


def _source(row: RowMapping) -> KeptSource:
    return msgspec.convert({str(name): value for name, value in row.items()}, KeptSource)
