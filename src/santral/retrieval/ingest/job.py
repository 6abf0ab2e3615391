"""The job ``retrieval.ingest``: brings one collection up to date, one job of it at a time."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from santral.db.engine import Connection, Engine, reading, writing
from santral.jobs import store as jobs
from santral.jobs.job import Hold, Job, Postponed
from santral.retrieval import store
from santral.retrieval.collection import Collection
from santral.retrieval.ingest import store as ingest_store
from santral.retrieval.ingest.expiry import plan_sweep
from santral.retrieval.ingest.ingest import Delivery, ingest
from santral.retrieval.ingest.paths import PathsSource
from santral.retrieval.ingest.purge import purge
from santral.retrieval.ingest.report import IngestReport, Progress, Tell
from santral.retrieval.ingest.workplace import Workplace

#: How long a job waits for another one of its collection before it looks again, in seconds. Chosen.
WAIT_S = 2.0
#: Least time between two reports of progress, in seconds: each is a row written. Chosen.
REPORT_EVERY_S = 0.5

_STEPS: Mapping[str, str] = {
    "read": "reading documents",
    "split": "splitting documents",
    "fit": "fitting vectors",
    "index": "indexing chunks",
    "publish": "publishing the index",
}

#: Holds a source of a tenant open, by its id; raises NotFound.
OpenSource: TypeAlias = Callable[[Collection, str], AbstractAsyncContextManager[Delivery]]
OpenPlace: TypeAlias = Callable[[], AbstractAsyncContextManager[Workplace]]


class IngestArguments(Struct, frozen=True, kw_only=True):
    """What to bring up to date: files of this machine, a source, or only the index.

    ``is_purge`` writes the index anew, so that nothing that was deleted is left in a file.
    """

    collection: str
    paths: tuple[str, ...] = ()
    source_id: str = ""
    is_purge: bool = False


class Ingestion:
    """The work of ``retrieval.ingest``."""

    def __init__(self, engine: Engine, open_place: OpenPlace, open_source: OpenSource) -> None:
        self._engine = engine
        self._open_place = open_place
        self._open_source = open_source

    async def __call__(self, hold: Hold, arguments: IngestArguments) -> Mapping[str, Any]:
        """Bring the collection up to date; return the report.

        Raises:
            Postponed: another job of the collection is at work.
            SantralError: see ``ingest``.
        """
        async with self._open_place() as place:
            async with _right_to_write(place, hold.job, arguments.collection):
                report = await self._work(place, hold, arguments)
            await plan_sweep(place, hold.job.tenant_id, arguments.collection)
        return result_of(report)

    async def _work(self, place: Workplace, hold: Hold, arguments: IngestArguments) -> IngestReport:
        tenant = hold.job.tenant_id
        tell = teller(hold)
        if arguments.is_purge:
            return await purge(place, tenant, arguments.collection, tell=tell)
        async with self._deliveries(place, hold.job, arguments) as deliveries:
            return await ingest(
                place, tenant, arguments.collection, deliveries, by=hold.job.created_by, tell=tell
            )

    @asynccontextmanager
    async def _deliveries(
        self, place: Workplace, job: Job, arguments: IngestArguments
    ) -> AsyncGenerator[list[Delivery]]:
        if not arguments.paths and not arguments.source_id:
            yield []
            return
        async with reading(self._engine) as conn:
            collection = await place.versions.find(conn, job.tenant_id, arguments.collection)
            known = await store.list_known(conn, job.tenant_id, arguments.collection)
        if arguments.source_id:
            async with self._open_source(collection, arguments.source_id) as delivery:
                yield [delivery]
            return
        paths = [Path(path) for path in arguments.paths]
        source = PathsSource(
            paths, [one.location for one in known], collection.settings.max_file_bytes
        )
        yield [Delivery(source, has_sidecars=True)]


def teller(hold: Hold, clock: Callable[[], float] = time.monotonic) -> Tell:
    """Return what writes progress into the job's row, not too often."""
    last = -REPORT_EVERY_S
    stage = ""

    async def tell(progress: Progress) -> None:
        nonlocal last, stage
        if progress.stage == stage and clock() - last < REPORT_EVERY_S:
            return
        last, stage = clock(), progress.stage
        await hold.report(_STEPS[progress.stage], progress.done, progress.total)

    return tell


def result_of(report: IngestReport) -> dict[str, Any]:
    """Return a report as a job keeps it."""
    return msgspec.to_builtins(report) | {"chunks_per_s": round(report.chunks_per_s, 1)}


@asynccontextmanager
async def _right_to_write(place: Workplace, job: Job, collection: str) -> AsyncGenerator[None]:
    """Hold a collection for one job; raises Postponed where another one has it and is alive."""
    async with writing(place.engine) as conn:
        writer = await ingest_store.read_writer(conn, job.tenant_id, collection)
        if writer not in ("", job.id) and await _is_at_work(conn, writer, place.clock()):
            raise Postponed(WAIT_S)
        await ingest_store.set_writer(conn, job.tenant_id, collection, job.id)
    try:
        yield
    finally:
        async with writing(place.engine) as conn:
            if await ingest_store.read_writer(conn, job.tenant_id, collection) == job.id:
                await ingest_store.set_writer(conn, job.tenant_id, collection, "")


async def _is_at_work(conn: Connection, job_id: str, now: datetime) -> bool:
    """Whether a job runs and its lease holds: one whose process died holds nothing."""
    found = await jobs.find_job(conn, job_id)
    if found is None or found.state != "running":
        return False
    return found.leased_until is not None and found.leased_until > now
