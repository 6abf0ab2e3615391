"""SQL of vectors and of models that were fitted."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, select

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.tables import fitted_models, vectors

#: Hashes of one statement. Specified: SQLite takes 32,766 variables; chosen well below.
_AT_ONCE = 1_000


async def find_vectors(
    conn: Connection, tenant_id: str, model: str, hashes: Sequence[str]
) -> dict[str, bytes]:
    """Return the vectors of a model that are kept, by what they were made of."""
    found: dict[str, bytes] = {}
    for part in _parts(hashes):
        statement = select(vectors.c.content_hash, vectors.c.vector).where(
            vectors.c.tenant_id == tenant_id,
            vectors.c.model == model,
            vectors.c.content_hash.in_(part),
        )
        found.update((row.content_hash, row.vector) for row in await conn.execute(statement))
    return found


async def add_vectors(
    conn: Connection, tenant_id: str, model: str, made: Mapping[str, bytes], now: datetime
) -> None:
    """Keep vectors of a model; one that is there stays."""
    rows = [
        {
            "tenant_id": tenant_id,
            "model": model,
            "content_hash": content_hash,
            "vector": vector,
            "created_at": now,
        }
        for content_hash, vector in made.items()
    ]
    if rows:
        await conn.execute(upsert(conn, vectors).on_conflict_do_nothing(), rows)


async def delete_vectors_of_others(
    conn: Connection, tenant_id: str, models: Collection[str]
) -> int:
    """Remove a tenant's vectors of models that are none of ``models``; return how many."""
    statement = delete(vectors).where(
        vectors.c.tenant_id == tenant_id, vectors.c.model.not_in(sorted(models))
    )
    return (await conn.execute(statement)).rowcount


async def add_fit(
    conn: Connection,
    tenant_id: str,
    collection: str,
    digest: str,
    artefact: bytes,
    chunks: int,
    now: datetime,
) -> None:
    """Keep a model that was fitted to a collection; an equal one stays."""
    statement = upsert(conn, fitted_models).values(
        tenant_id=tenant_id,
        digest=digest,
        collection=collection,
        chunks=chunks,
        artefact=artefact,
        created_at=now,
    )
    await conn.execute(statement.on_conflict_do_nothing())


async def find_fit(conn: Connection, tenant_id: str, digest: str) -> bytes | None:
    """Return a fitted model, or None where there is none of this digest."""
    statement = select(fitted_models.c.artefact).where(
        fitted_models.c.tenant_id == tenant_id, fitted_models.c.digest == digest
    )
    return (await conn.execute(statement)).scalar_one_or_none()


async def delete_other_fits(
    conn: Connection, tenant_id: str, collection: str, kept: Collection[str]
) -> list[str]:
    """Remove the fits of a collection that are none of ``kept``; return their digests."""
    chosen = (
        fitted_models.c.tenant_id == tenant_id,
        fitted_models.c.collection == collection,
        fitted_models.c.digest.not_in(sorted(kept)),
    )
    gone = list((await conn.execute(select(fitted_models.c.digest).where(*chosen))).scalars())
    await conn.execute(delete(fitted_models).where(*chosen))
    return gone


def _parts(hashes: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(hashes), _AT_ONCE):
        yield hashes[start : start + _AT_ONCE]
