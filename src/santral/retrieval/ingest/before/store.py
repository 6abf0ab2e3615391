"""SQL of collections, documents and chunks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import RowMapping, delete, exists, insert, select, update

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.tables import chunks, collections, documents, tenants
from santral.retrieval.document import StoredChunk, StoredDocument

_DOCUMENT = [documents.c[name] for name in StoredDocument.__struct_fields__]
_CHUNK = [chunks.c[name] for name in StoredChunk.__struct_fields__]


async def tenant_exists(conn: Connection, tenant_id: str) -> bool:
    """Return whether there is such a tenant."""
    statement = select(exists().where(tenants.c.id == tenant_id))
    return bool((await conn.execute(statement)).scalar_one())


async def add_collection(conn: Connection, tenant_id: str, name: str, now: datetime) -> None:
    """Make a collection where there is none."""
    statement = upsert(conn, collections).values(
        tenant_id=tenant_id, name=name, revision=0, generation=0, created_at=now, updated_at=now
    )
    await conn.execute(statement.on_conflict_do_nothing())


async def list_collections(conn: Connection, tenant_id: str) -> list[str]:
    """Return the names of a tenant's collections."""
    statement = select(collections.c.name).where(collections.c.tenant_id == tenant_id)
    return list((await conn.execute(statement.order_by(collections.c.name))).scalars())


async def read_collection(conn: Connection, tenant_id: str, name: str) -> tuple[int, int]:
    """Return the revision of a collection's documents and the one its published index holds."""
    statement = select(collections.c.revision, collections.c.generation).where(
        collections.c.tenant_id == tenant_id, collections.c.name == name
    )
    row = (await conn.execute(statement)).one()
    return row.revision, row.generation


async def bump_collection(conn: Connection, tenant_id: str, name: str, now: datetime) -> None:
    """Note, in the transaction that changes documents, that the index is behind."""
    statement = (
        update(collections)
        .where(collections.c.tenant_id == tenant_id, collections.c.name == name)
        .values(revision=collections.c.revision + 1, updated_at=now)
    )
    await conn.execute(statement)


async def set_generation(conn: Connection, tenant_id: str, name: str, generation: int) -> None:
    """Note which revision the published index holds."""
    statement = (
        update(collections)
        .where(collections.c.tenant_id == tenant_id, collections.c.name == name)
        .values(generation=generation)
    )
    await conn.execute(statement)


async def list_documents(conn: Connection, tenant_id: str, collection: str) -> list[StoredDocument]:
    """Return the documents of a collection by source, quarantined ones too."""
    statement = (
        select(*_DOCUMENT)
        .where(documents.c.tenant_id == tenant_id, documents.c.collection == collection)
        .order_by(documents.c.source, documents.c.id)
    )
    rows = (await conn.execute(statement)).mappings().all()
    return [msgspec.convert(_without_null(row), StoredDocument) for row in rows]


async def list_chunks(
    conn: Connection, tenant_id: str, collection: str, document_ids: Sequence[str]
) -> list[StoredChunk]:
    """Return the chunks of some documents in reading order."""
    statement = (
        select(*_CHUNK)
        .where(
            chunks.c.tenant_id == tenant_id,
            chunks.c.collection == collection,
            chunks.c.document_id.in_(document_ids),
        )
        .order_by(chunks.c.document_id, chunks.c.position)
    )
    rows = (await conn.execute(statement)).mappings().all()
    return [msgspec.convert(_without_null(row), StoredChunk) for row in rows]


async def add_document(
    conn: Connection, tenant_id: str, collection: str, document: StoredDocument, now: datetime
) -> None:
    """Keep a document; one with its id must not be there."""
    row = msgspec.to_builtins(document)
    row |= {"tenant_id": tenant_id, "collection": collection, "created_at": now}
    await conn.execute(insert(documents), row)


async def add_chunks(
    conn: Connection, tenant_id: str, collection: str, found: Sequence[StoredChunk]
) -> None:
    """Keep the chunks of a document."""
    if not found:
        return
    place = {"tenant_id": tenant_id, "collection": collection}
    await conn.execute(insert(chunks), [msgspec.to_builtins(chunk) | place for chunk in found])


async def delete_chunks(
    conn: Connection, tenant_id: str, collection: str, document_ids: Sequence[str]
) -> None:
    """Remove the chunks of some documents."""
    statement = delete(chunks).where(
        chunks.c.tenant_id == tenant_id,
        chunks.c.collection == collection,
        chunks.c.document_id.in_(document_ids),
    )
    await conn.execute(statement)


async def delete_documents(
    conn: Connection, tenant_id: str, collection: str, document_ids: Sequence[str]
) -> None:
    """Remove some documents; their chunks go first."""
    await delete_chunks(conn, tenant_id, collection, document_ids)
    statement = delete(documents).where(
        documents.c.tenant_id == tenant_id,
        documents.c.collection == collection,
        documents.c.id.in_(document_ids),
    )
    await conn.execute(statement)


def _without_null(row: RowMapping) -> dict[str, Any]:
    """Return a row without its empty columns: the struct has a default for each of them."""
    kept = ((name, value) for name, value in row.items() if value is not None or name == "page")
    return {str(name): value for name, value in kept}  # a quoted name is no plain string
