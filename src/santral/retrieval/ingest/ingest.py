"""Ingest: documents come in, change, move and go; every version of the index follows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from santral.db.engine import reading, writing
from santral.errors import NotFound, SantralError
from santral.retrieval import store
from santral.retrieval.collection import Collection
from santral.retrieval.collections.store import insert_collection
from santral.retrieval.ingest import store as ingest_store
from santral.retrieval.ingest.build import build_versions
from santral.retrieval.ingest.duplicates import find_duplicates
from santral.retrieval.ingest.report import IngestReport, Progress, Tell
from santral.retrieval.ingest.take_in import TakeIn
from santral.retrieval.ingest.workplace import Workplace, inspector_for
from santral.retrieval.sources.source import Source
from santral.retrieval.splitting import store as split_store


class Delivery(Struct, frozen=True):
    """A source to take in. ``has_sidecars``: its files may speak of each other."""

    source: Source
    source_id: str = ""
    has_sidecars: bool = False


async def silent(progress: Progress) -> None:
    """Show nothing."""


async def ingest(
    place: Workplace,
    tenant_id: str,
    name: str,
    deliveries: Sequence[Delivery] = (),
    *,
    by: str = "system",
    tell: Tell = silent,
    seconds: Callable[[], float] = time.monotonic,
) -> IngestReport:
    """Take sources into a collection, which is made where it is not there, and bring its index up to
    date; without sources only that.

    Cancelled or killed at any moment, what was published stays in force, and the next run goes on from
    there. One run of a collection at a time: the job sees to it.

    Raises:
        NotFound: there is no such tenant.
        SantralError: a source failed half-way, or an index or model cannot be used. What could be done
            is done before it is raised.
    """
    begun = seconds()
    report = IngestReport()
    collection = await _prepared(place, tenant_id, name)
    failure = await _take_in(place, collection, deliveries, report, tell)
    report.duplicates = await mark_duplicates(place, collection)
    await build_versions(place, collection, by, report, tell)
    if report.indexed_chunks or report.removed:
        async with writing(place.engine) as conn:
            await split_store.delete_unused_vectors(conn, tenant_id)
    report.elapsed_s = seconds() - begun
    if failure is not None:
        raise failure
    return report


async def mark_duplicates(place: Workplace, collection: Collection) -> int:
    """Note which documents repeat an older one; return how many do.

    Looks at all of them: where an original goes, the oldest of its copies takes its place.
    """
    scope = (collection.tenant_id, collection.name)
    async with reading(place.engine) as conn:
        documents = await store.list_sketches(conn, *scope)
    found = await asyncio.to_thread(find_duplicates, documents)
    changes = [
        {"id": document.id, "duplicate_of": found.get(document.id, "")}
        for document in documents
        if document.duplicate_of != found.get(document.id, "")
    ]
    if changes:
        now = place.clock()
        async with writing(place.engine) as conn:
            await store.change_documents(conn, *scope, changes, now)
            await ingest_store.bump_collection(conn, *scope, now)
    return len(found)


async def _prepared(place: Workplace, tenant_id: str, name: str) -> Collection:
    async with writing(place.engine) as conn:
        if not await ingest_store.tenant_exists(conn, tenant_id):
            raise NotFound(
                f"There is no tenant '{tenant_id}'. Make it first: santral tenants create {tenant_id}",
                code="tenant_not_found",
            )
        await insert_collection(conn, tenant_id, name, None, "", place.clock())
        return await place.versions.find(conn, tenant_id, name)


async def _take_in(
    place: Workplace,
    collection: Collection,
    deliveries: Sequence[Delivery],
    report: IngestReport,
    tell: Tell,
) -> SantralError | None:
    """Take the sources in, one after the other; return the first failure."""
    failure: SantralError | None = None
    inspector = inspector_for(place, collection)
    for delivery in deliveries:
        taking = TakeIn(place, collection, delivery.source_id, inspector, report, tell)
        try:
            await taking.run(delivery.source, has_sidecars=delivery.has_sidecars)
        except SantralError as error:
            failure = failure or error
    return failure
