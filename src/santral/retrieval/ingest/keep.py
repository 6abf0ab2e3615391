"""Keeping what was examined: documents, bodies and sketches in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b

from santral.db.engine import Connection
from santral.retrieval import store
from santral.retrieval.ingest import store as ingest_store
from santral.retrieval.ingest.body import unpacked
from santral.retrieval.ingest.examine import Examiner, Retold, Taken


def id_at(tenant_id: str, collection: str, location: str, number: int = 0) -> str:
    """Return what a document is called that comes first at a location; counted where that is taken."""
    parts = [tenant_id, collection, location, *([str(number)] if number else [])]
    return blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()


async def keep(
    conn: Connection,
    scope: tuple[str, str],
    examiner: Examiner,
    taken: Sequence[Taken],
    retold: Sequence[Retold],
    now: datetime,
) -> None:
    """Store documents that were read, and what is said now of those that were read before."""
    tenant_id, _ = scope
    rows = [(item.document, item.sketch) for item in taken]
    await store.put_documents(conn, *scope, rows, now)
    bodies = {item.document.id: item.body for item in taken if item.body}
    await store.put_bodies(conn, tenant_id, bodies)
    bodiless = [item.document.id for item in taken if not item.body]
    await store.delete_bodies(conn, tenant_id, bodiless)
    ids = [item.known.id for item in retold]
    before = await store.find_documents(conn, *scope, ids)
    read = await store.find_bodies(conn, tenant_id, ids)
    told = [
        examiner.told(before[item.known.id], unpacked(read[item.known.id]), item)
        for item in retold
        if item.known.id in before and item.known.id in read
    ]
    await store.describe_documents(conn, *scope, told, now)
    await ingest_store.bump_collection(conn, *scope, now)
