"""SQL of runs that were kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import insert, select

from santral.db.engine import Connection
from santral.db.tables import chunks, documents, retrieval_runs
from santral.retrieval.evaluation.generate import Passage


class KeptRun(Struct, frozen=True, kw_only=True):
    """What a run measured, as it is kept; ``measures`` holds mean, low, high and n of each."""

    id: str
    collection: str
    version: int
    dataset: str
    dataset_digest: str
    settings: dict[str, Any]
    measures: dict[str, Any]
    created_by: str
    created_at: datetime


_RUN = [retrieval_runs.c[name] for name in KeptRun.__struct_fields__]


async def insert_run(conn: Connection, tenant_id: str, run: KeptRun) -> None:
    """Keep a run."""
    row: Mapping[str, Any] = {name: getattr(run, name) for name in KeptRun.__struct_fields__}
    await conn.execute(insert(retrieval_runs), {**row, "tenant_id": tenant_id})


async def list_runs(
    conn: Connection, tenant_id: str, collection: str, limit: int = 50
) -> list[KeptRun]:
    """Return the latest runs of a collection, the newest first."""
    statement = (
        select(*_RUN)
        .where(retrieval_runs.c.tenant_id == tenant_id, retrieval_runs.c.collection == collection)
        .order_by(retrieval_runs.c.created_at.desc(), retrieval_runs.c.id)
        .limit(limit)
    )
    rows = (await conn.execute(statement)).mappings().all()
    return [KeptRun(**{str(name): value for name, value in row.items()}) for row in rows]


async def list_passages(
    conn: Connection, tenant_id: str, collection: str, version: int
) -> list[Passage]:
    """Return the chunks of a version, document by document, in reading order."""
    statement = (
        select(chunks.c.document_id, documents.c.language, chunks.c.section, chunks.c.text)
        .join(documents, documents.c.id == chunks.c.document_id)
        .where(
            chunks.c.tenant_id == tenant_id,
            chunks.c.collection == collection,
            chunks.c.version == version,
        )
        .order_by(chunks.c.document_id, chunks.c.position)
    )
    return [Passage(*row) for row in (await conn.execute(statement)).all()]
