"""Ingest: files become documents and chunks in the database, and a new generation of the index.

Only what changed is read again; the index is built anew from the database, so that any order of
additions, changes and deletions ends in the same index as a rebuild.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from msgspec import Struct

from santral.config.collections import CollectionConfig
from santral.db.engine import Engine, reading, writing
from santral.errors import NotFound, StoreError
from santral.retrieval.collection import FITTED_DIMENSIONS
from santral.retrieval.document import StoredChunk, StoredDocument
from santral.retrieval.index.embedded import generation
from santral.retrieval.index.embedded.index import IndexMeta, build_signals, index_text
from santral.retrieval.index.embedded.passages import IndexedDocument, pack_passages
from santral.retrieval.ingest.before import store
from santral.retrieval.ingest.before.intake import Ignored, Intake, Prepared, Unchanged
from santral.retrieval.ingest.before.report import IngestReport, Progress, Quarantined
from santral.retrieval.ingest.files import Found, find_files, is_below, require_known
from santral.retrieval.reading.read import MAX_FILE_BYTES

#: Documents written in one transaction. Chosen: a commit costs as much as some twenty documents.
BATCH = 64
#: Documents whose chunks are read in one statement. Specified: SQLite takes 32,766 variables.
READ_BATCH = 500

Answer = TypeVar("Answer")


class _CancelledError(Exception):
    """Ends the building of an index whose ingest was cancelled."""


class _Job(Struct, frozen=True):
    """What one ingest works on."""

    engine: Engine
    folder: Path
    tenant_id: str
    collection: str
    config: CollectionConfig
    progress: Callable[[Progress], None]
    now: Callable[[], datetime]
    is_cancelled: threading.Event
    report: IngestReport


def _silent(progress: Progress) -> None:
    """Show nothing."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


async def ingest(
    engine: Engine,
    data_folder: Path,
    tenant_id: str,
    collection: str,
    paths: Sequence[Path],
    *,
    config: CollectionConfig,
    progress: Callable[[Progress], None] = _silent,
    now: Callable[[], datetime] = _utc_now,
    clock: Callable[[], float] = time.monotonic,
    max_file_bytes: int = MAX_FILE_BYTES,
) -> IngestReport:
    """Bring a collection up to date with files and folders; without paths only rebuild its index.

    New and changed files are read, unchanged ones skipped, those that vanished below an ingested
    folder removed; a file that cannot be read is quarantined with its reason. Cancelled or killed
    at any moment, the last good index stays in force and the next ingest goes on from there.

    Raises:
        NotFound: there is no such tenant.
        BadRequest: a path does not exist and never was ingested.
        StoreError: another ingest of the collection runs, the disk is full, or an extra is missing.
    """
    begun = clock()
    report = IngestReport()
    folder = generation.partition(data_folder, tenant_id, collection)
    job = _Job(
        engine, folder, tenant_id, collection, config, progress, now, threading.Event(), report
    )
    await _prepare(job)
    with generation.writing(folder):
        await _take_in(job, Intake(tenant_id, collection, config, max_file_bytes), paths)
        await _bring_index_up_to_date(job)
    report.elapsed_s = clock() - begun
    return report


async def _prepare(job: _Job) -> None:
    async with writing(job.engine) as conn:
        if not await store.tenant_exists(conn, job.tenant_id):
            raise NotFound(
                f"There is no tenant '{job.tenant_id}'. Make it first: "
                f"santral tenants create {job.tenant_id}",
                code="tenant_not_found",
            )
        await store.add_collection(conn, job.tenant_id, job.collection, job.now())


async def _take_in(job: _Job, intake: Intake, paths: Sequence[Path]) -> None:
    """Read what is new or changed, and remove what is gone."""
    async with reading(job.engine) as conn:
        documents = await store.list_documents(conn, job.tenant_id, job.collection)
    known = {document.location: document for document in documents}
    found = await _in_thread(job, lambda: find_files(paths))
    require_known(found, list(known))
    job.report.quarantined += [Quarantined(*problem) for problem in found.problems]
    batch: list[Prepared] = []
    for number, file in enumerate(found.files):
        job.progress(Progress("read", number, len(found.files), file.source))
        before = known.get(file.location)
        taken = await _in_thread(job, partial(intake.take, file, before))
        _count(job.report, taken)
        if isinstance(taken, Prepared) and taken.document != before:
            batch.append(taken)
        if len(batch) == BATCH:
            await _store(job, batch, known)
            batch = []
    await _store(job, batch, known)
    job.progress(Progress("read", len(found.files), len(found.files)))
    await _remove(job, _gone(found, known.values()))


def _count(report: IngestReport, taken: Prepared | Unchanged | Ignored) -> None:
    if isinstance(taken, Unchanged):
        report.unchanged += 1
    elif isinstance(taken, Ignored):
        report.ignored += 1
    elif taken.document.status == "quarantined":
        report.quarantined.append(Quarantined(taken.document.source, taken.document.reason))
    else:
        report.read += 1
        report.new_chunks += len(taken.chunks)


async def _store(job: _Job, batch: Sequence[Prepared], known: dict[str, StoredDocument]) -> None:
    """Replace documents and their chunks in one transaction that also notes the index is behind."""
    if not batch:
        return
    scope = (job.tenant_id, job.collection)
    ids = [item.document.id for item in batch]
    async with writing(job.engine) as conn:
        await store.delete_documents(conn, *scope, ids)
        for item in batch:
            await store.add_document(conn, *scope, item.document, job.now())
            await store.add_chunks(conn, *scope, item.chunks)
        await store.bump_collection(conn, *scope, job.now())
    known.update({item.document.location: item.document for item in batch})


def _gone(found: Found, known: Iterable[StoredDocument]) -> list[str]:
    """Return the ids of documents that vanished below an ingested folder, or moved with it."""
    present = {file.location for file in found.files}
    sources = {file.source for file in found.files}
    places = [*found.folders, *found.missing]

    def is_gone(document: StoredDocument) -> bool:
        if document.location in present:
            return False
        if any(is_below(document.location, folder) for folder in found.unseen):
            return False
        if any(is_below(document.location, place) for place in places):
            return True
        # The same file was ingested from another place, and that place is gone.
        return document.source in sources and not Path(document.location).exists()

    return [document.id for document in known if is_gone(document)]


async def _remove(job: _Job, ids: Sequence[str]) -> None:
    if not ids:
        return
    scope = (job.tenant_id, job.collection)
    async with writing(job.engine) as conn:
        for start in range(0, len(ids), READ_BATCH):
            await store.delete_documents(conn, *scope, ids[start : start + READ_BATCH])
        await store.bump_collection(conn, *scope, job.now())
    job.report.removed = len(ids)


async def _bring_index_up_to_date(job: _Job) -> None:
    """Build and publish a generation where the published one is not that of the documents."""
    scope = (job.tenant_id, job.collection)
    async with reading(job.engine) as conn:
        revision, published = await store.read_collection(conn, *scope)
        if revision == published and await _in_thread(job, lambda: _is_usable(job)):
            return
        documents = await store.list_documents(conn, *scope)
        indexed = [document for document in documents if document.status == "indexed"]
        chunks: dict[str, list[StoredChunk]] = {document.id: [] for document in indexed}
        for start in range(0, len(indexed), READ_BATCH):
            ids = [document.id for document in indexed[start : start + READ_BATCH]]
            for chunk in await store.list_chunks(conn, *scope, ids):
                chunks[chunk.document_id].append(chunk)
    job.report.generation = await _in_thread(
        job, lambda: _publish(job, revision, indexed, list(chunks.values()))
    )
    job.report.is_published = True
    async with writing(job.engine) as conn:
        await store.set_generation(conn, *scope, revision)


def _is_usable(job: _Job) -> bool:
    """Whether the published index can be read and is made as the settings say."""
    try:
        loaded = generation.load(job.folder)
    except StoreError:
        return False
    if loaded is None:
        return False
    name, index = loaded
    job.report.generation = name
    job.report.documents = len(index.passages.documents)
    job.report.chunks = index.meta.chunks
    return index.meta.dimensions == (job.config.dimensions or FITTED_DIMENSIONS)


def _publish(
    job: _Job,
    revision: int,
    documents: Sequence[StoredDocument],
    chunks: Sequence[Sequence[StoredChunk]],
) -> str:
    """Build the index of all chunks and put it in force; return the name of the generation."""
    about = [
        IndexedDocument(item.id, item.source, item.title, item.kind, item.language)
        for item in documents
    ]
    texts = [
        index_text(document, chunk)
        for document, found in zip(about, chunks, strict=True)
        for chunk in found
    ]

    def step(stage: Literal["index", "fit", "publish"], done: int) -> None:
        if job.is_cancelled.is_set():
            raise _CancelledError
        job.progress(Progress(stage, done, len(texts)))

    signals = build_signals(
        texts, (job.config.dimensions or FITTED_DIMENSIONS), lambda done: step("index", done)
    )
    step("publish", len(texts))
    meta = IndexMeta(
        tenant_id=job.tenant_id,
        collection=job.collection,
        revision=revision,
        chunks=len(texts),
        dimensions=(job.config.dimensions or FITTED_DIMENSIONS),
        languages=signals.languages,
    )
    job.report.documents, job.report.chunks = len(documents), len(texts)
    return generation.publish(job.folder, meta, signals, pack_passages(about, chunks))


async def _in_thread(job: _Job, work: Callable[[], Answer]) -> Answer:
    """Run work in a thread; when cancelled, wait for its end first: it holds what we would free."""
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        job.is_cancelled.set()
        await asyncio.wait([running])
        running.exception()  # that it was stopped is no news to anybody
        raise
