"""SQL of the chunks that each version made of its documents, and of their vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, delete, func, select

from santral.db.engine import Connection
from santral.db.parts import parts
from santral.db.tables import chunks, vectors, version_documents
from santral.retrieval.document import PageBreak, StoredChunk

_CHUNK = [chunks.c[name] for name in StoredChunk.__struct_fields__]
_PAGES = StoredChunk.__struct_fields__.index("pages")


async def split_states(
    conn: Connection, tenant_id: str, collection: str, version: int
) -> dict[str, str]:
    """Return which documents a version has split, and in which state of them."""
    statement = select(version_documents.c.document_id, version_documents.c.fingerprint).where(
        version_documents.c.tenant_id == tenant_id,
        version_documents.c.collection == collection,
        version_documents.c.version == version,
    )
    return {row.document_id: row.fingerprint for row in await conn.execute(statement)}


async def put_chunks(
    conn: Connection,
    tenant_id: str,
    collection: str,
    version: int,
    split: Mapping[str, str],
    found: Sequence[StoredChunk],
) -> None:
    """Keep the chunks of whole documents, in place of those that the version had of them.

    ``split`` says in which state each of the documents was split.
    """
    scope = {"tenant_id": tenant_id, "collection": collection, "version": version}
    await delete_chunks(conn, tenant_id, collection, version, list(split))
    if split:
        states = [scope | {"document_id": id, "fingerprint": state} for id, state in split.items()]
        await conn.execute(version_documents.insert(), states)
    if found:
        await conn.execute(chunks.insert(), [_chunk_row(chunk) | scope for chunk in found])


async def delete_chunks(
    conn: Connection, tenant_id: str, collection: str, version: int, ids: Sequence[str]
) -> None:
    """Remove what a version made of some documents."""
    for part in parts(ids):
        for table in (chunks, version_documents):
            statement = delete(table).where(
                table.c.tenant_id == tenant_id,
                table.c.collection == collection,
                table.c.version == version,
                table.c.document_id.in_(part),
            )
            await conn.execute(statement)


async def list_chunks(
    conn: Connection, tenant_id: str, collection: str, version: int, ids: Sequence[str]
) -> dict[str, list[StoredChunk]]:
    """Return the chunks that a version made of some documents, in reading order."""
    found: dict[str, list[StoredChunk]] = {id: [] for id in ids}
    for part in parts(ids):
        statement = (
            select(*_CHUNK)
            .where(
                chunks.c.tenant_id == tenant_id,
                chunks.c.collection == collection,
                chunks.c.version == version,
                chunks.c.document_id.in_(part),
            )
            .order_by(chunks.c.document_id, chunks.c.position)
        )
        for row in await conn.execute(statement):
            found[row.document_id].append(_chunk(row))
    return found


async def count_chunks(
    conn: Connection, tenant_id: str, collection: str, version: int
) -> dict[str, int]:
    """Return how many chunks a version made of each document."""
    statement = (
        select(chunks.c.document_id, func.count().label("number"))
        .where(
            chunks.c.tenant_id == tenant_id,
            chunks.c.collection == collection,
            chunks.c.version == version,
        )
        .group_by(chunks.c.document_id)
    )
    return {row.document_id: row.number for row in await conn.execute(statement)}


async def delete_unused_vectors(conn: Connection, tenant_id: str) -> int:
    """Remove the vectors of a tenant that no chunk was made into; return how many."""
    used = select(chunks.c.content_hash).where(chunks.c.tenant_id == tenant_id).distinct()
    statement = delete(vectors).where(
        vectors.c.tenant_id == tenant_id, vectors.c.content_hash.not_in(used)
    )
    return (await conn.execute(statement)).rowcount


def _chunk_row(chunk: StoredChunk) -> dict[str, Any]:
    row = {name: getattr(chunk, name) for name in StoredChunk.__struct_fields__}
    row["pages"] = [[mark.at, mark.page] for mark in chunk.pages] or None
    return row


def _chunk(row: Row[Any]) -> StoredChunk:
    values: list[Any] = list(row)
    values[_PAGES] = tuple(PageBreak(at, page) for at, page in values[_PAGES] or ())
    return StoredChunk(*values)
