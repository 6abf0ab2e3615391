"""Splitting for one version: documents whose text or title changed become chunks again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from msgspec.structs import replace

from santral.db.engine import reading, writing
from santral.retrieval import store
from santral.retrieval.analysis.analyse import indexed_text
from santral.retrieval.collection import Collection, Version
from santral.retrieval.document import Chunk, StoredChunk, StoredDocument, UnreadableError
from santral.retrieval.ingest import store as ingest_store
from santral.retrieval.ingest.body import unpacked
from santral.retrieval.ingest.report import IngestReport, Progress, Tell
from santral.retrieval.ingest.state import split_state
from santral.retrieval.ingest.workplace import Workplace
from santral.retrieval.splitting import store as split_store
from santral.retrieval.store import Listed

#: Documents split between two commits. Chosen, as for reading.
BATCH = 64


async def split_documents(
    place: Workplace,
    collection: Collection,
    version: Version,
    wanted: Mapping[str, Listed],
    report: IngestReport,
    tell: Tell,
) -> None:
    """Bring the chunks of a version up to date with the documents that it should hold."""
    scope = (collection.tenant_id, collection.name)
    async with reading(place.engine) as conn:
        split = await split_store.split_states(conn, *scope, version.version)
    gone = [id for id in split if id not in wanted]
    if gone:
        async with writing(place.engine) as conn:
            await split_store.delete_chunks(conn, *scope, version.version, gone)
    stale = [id for id, document in wanted.items() if split.get(id) != split_state(document)]
    for start in range(0, len(stale), BATCH):
        await tell(Progress("split", start, len(stale)))
        await _split(place, collection, version, stale[start : start + BATCH], report)


async def _split(
    place: Workplace,
    collection: Collection,
    version: Version,
    ids: Sequence[str],
    report: IngestReport,
) -> None:
    scope = (collection.tenant_id, collection.name)
    async with reading(place.engine) as conn:
        documents = await store.find_documents(conn, *scope, ids)
        bodies = await store.find_bodies(conn, collection.tenant_id, ids)
    found: list[StoredChunk] = []
    states: dict[str, str] = {}
    broken: list[dict[str, str]] = []
    for id in ids:
        document, body = documents.get(id), bodies.get(id)
        if document is None or body is None:
            continue  # gone, or quarantined, since it was listed
        read = replace(unpacked(body), title=document.title)
        try:
            chunks = await place.workshop.split(read, version.recipe)
        except UnreadableError as error:
            broken.append({"id": id, "status": "quarantined", "reason": str(error)})
            report.note_quarantined(document.source, str(error))
            continue
        states[id] = split_state(document)
        found += [_stored(document, version.version, chunk) for chunk in chunks]
    async with writing(place.engine) as conn:
        await split_store.put_chunks(conn, *scope, version.version, states, found)
        if broken:
            now = place.clock()
            await store.change_documents(conn, *scope, broken, now)
            await ingest_store.bump_collection(conn, *scope, now)
    report.split_chunks += len(found)


def _stored(document: StoredDocument, version: int, chunk: Chunk) -> StoredChunk:
    text = indexed_text(document.title, chunk.section, chunk.text)
    return StoredChunk(
        id=f"{document.id}-{version}-{chunk.position}",
        document_id=document.id,
        parent_id=f"{document.id}-{version}-p{chunk.parent}",
        position=chunk.position,
        section=chunk.section,
        page=chunk.page,
        separator=chunk.separator,
        text=chunk.text,
        tokens=chunk.tokens,
        start=chunk.start,
        end=chunk.end,
        pages=chunk.pages,
        content_hash=sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
    )
