"""Filling the index of one version: what it holds is compared with the documents, the rest is put in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from msgspec import Struct, field

from santral.db.engine import reading
from santral.retrieval import store
from santral.retrieval.analysis.analyse import counted_text, indexed_text
from santral.retrieval.analysis.counts import Floats, Terms
from santral.retrieval.analysis.language import Language
from santral.retrieval.analysis.terms import terms_of
from santral.retrieval.collection import Collection, Version
from santral.retrieval.document import StoredChunk, StoredDocument
from santral.retrieval.embedding.cached import Cached
from santral.retrieval.embedding.fitted.model import FittedModel
from santral.retrieval.embedding.model import EmbeddingModel, ModelCard
from santral.retrieval.index.entry import Batch, IndexedDocument, IndexState
from santral.retrieval.index.index import IndexWriter
from santral.retrieval.ingest.report import IngestReport, Progress, Tell
from santral.retrieval.ingest.state import index_state
from santral.retrieval.ingest.workplace import Workplace
from santral.retrieval.splitting import store as split_store
from santral.retrieval.store import Listed

#: Chunks put in at once. Chosen: their terms and vectors take some 10 MB.
BATCH_CHUNKS = 1_024
#: Chunks between two publications of one run: a kill loses the work on so many at most. Chosen.
PUBLISH_CHUNKS = 32_768


class Known(Struct):
    """How much of what was put in a fitted model knows."""

    terms: float = 0.0
    chunks: int = 0

    @property
    def share(self) -> float:
        """The share of known terms, 1 where nothing was put in."""
        return self.terms / self.chunks if self.chunks else 1.0


class Filling(Struct, frozen=True):
    """What one filling works on. ``is_anew`` puts in again what the index holds already."""

    place: Workplace
    collection: Collection
    version: Version
    model: EmbeddingModel | None
    writer: IndexWriter
    report: IngestReport
    tell: Tell
    known: Known = field(default_factory=Known)
    is_anew: bool = False

    @property
    def card(self) -> ModelCard | None:
        """The model that makes the vectors."""
        return None if self.model is None else self.model.card


async def fill_index(work: Filling, wanted: Mapping[str, Listed]) -> IndexState | None:
    """Bring an index up to date with the documents that it should hold, and publish it.

    Returns its state; None where it was up to date.
    """
    held = await work.writer.held()
    states = {id: index_state(document.fingerprint, work.card) for id, document in wanted.items()}
    gone = [id for id in held if id not in states]
    if gone:
        await work.writer.remove(gone)
    stale = [id for id, state in states.items() if work.is_anew or held.get(id) != state]
    if not stale and not gone and work.version.generation:
        return None
    await _put_all(work, wanted, stale)
    await work.tell(Progress("publish", 0))
    return await work.writer.publish()


async def _put_all(work: Filling, wanted: Mapping[str, Listed], ids: Sequence[str]) -> None:
    counts = await _counts(work)
    total = sum(counts.get(id, 0) for id in ids)
    batch: list[str] = []
    size = done = unpublished = 0
    for id in ids:
        batch.append(id)
        size += max(1, counts.get(id, 0))
        if size < BATCH_CHUNKS and id is not ids[-1]:
            continue
        await work.tell(Progress("index", done, total))
        put = await _put(work, wanted, batch)
        done, unpublished = done + put, unpublished + put
        if unpublished >= PUBLISH_CHUNKS and id is not ids[-1]:
            await work.writer.publish()
            unpublished = 0
        batch, size = [], 0


async def _counts(work: Filling) -> dict[str, int]:
    scope = (work.collection.tenant_id, work.collection.name)
    async with reading(work.place.engine) as conn:
        return await split_store.count_chunks(conn, *scope, work.version.version)


async def _put(work: Filling, wanted: Mapping[str, Listed], ids: Sequence[str]) -> int:
    """Put some documents in; return how many chunks they have.

    One that changed since it was listed waits for the next run: its chunks may be of another text.
    """
    scope = (work.collection.tenant_id, work.collection.name)
    async with reading(work.place.engine) as conn:
        found = await store.find_documents(conn, *scope, ids)
        chunks = await split_store.list_chunks(conn, *scope, work.version.version, ids)
    documents = [
        found[id] for id in ids if id in found and found[id].fingerprint == wanted[id].fingerprint
    ]
    batch = await _batch(work, documents, chunks)
    await work.writer.put(batch)
    work.report.indexed_chunks += len(batch.chunks)
    return len(batch.chunks)


async def _batch(
    work: Filling,
    documents: Sequence[StoredDocument],
    chunks: Mapping[str, Sequence[StoredChunk]],
) -> Batch:
    rows = [
        (number, document, chunk)
        for number, document in enumerate(documents)
        for chunk in chunks[document.id]
    ]
    counted = [
        counted_text(document.title, chunk.section, chunk.text) for _, document, chunk in rows
    ]
    languages: list[Language] = [document.language for _, document, _ in rows]
    stems, grams = await asyncio.to_thread(terms_of, counted, languages)
    return Batch(
        documents=tuple(_indexed(document, work.card) for document in documents),
        chunks=tuple(chunk for _, _, chunk in rows),
        of=np.array([number for number, _, _ in rows], np.int32),
        stems=stems,
        grams=grams,
        vectors=await _vectors(
            work, [(document, chunk) for _, document, chunk in rows], stems, grams
        ),
    )


async def _vectors(
    work: Filling,
    rows: Sequence[tuple[StoredDocument, StoredChunk]],
    stems: Terms,
    grams: Terms,
) -> Floats:
    """Return the vectors of chunks: folded in from their terms, kept from before, or computed."""
    if work.model is None:
        return np.zeros((len(rows), 0), np.float32)
    if isinstance(work.model, FittedModel):
        work.known.terms += len(rows) * work.model.projection.known_share_of(stems, grams)
        work.known.chunks += len(rows)
        return await asyncio.to_thread(work.model.embed_terms, stems, grams)
    cached = Cached(work.model, work.place.engine, work.collection.tenant_id, work.place.clock)
    texts = [indexed_text(document.title, chunk.section, chunk.text) for document, chunk in rows]
    vectors = await cached.embed_chunks([chunk.content_hash for _, chunk in rows], texts)
    work.report.embedded += cached.computed
    return vectors


def _indexed(document: StoredDocument, card: ModelCard | None) -> IndexedDocument:
    metadata = document.metadata
    return IndexedDocument(
        id=document.id,
        source=document.source,
        title=document.title,
        kind=document.kind,
        language=document.language,
        fingerprint=index_state(document.fingerprint, card),
        url=metadata.url,
        owner=metadata.owner,
        lifecycle=metadata.lifecycle,
        created_at=_seconds(metadata.created_at),
        modified_at=_seconds(metadata.modified_at),
        allowed_groups=metadata.allowed_groups,
        attributes=metadata.attributes,
        expires_at=_seconds(metadata.expires_at),
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
