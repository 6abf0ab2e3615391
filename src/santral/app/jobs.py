"""Every kind of background job, built from the parts of one process."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from socket import gethostname

from santral.app.evaluations import evaluation_place
from santral.app.ingesting import source_opener, workplace
from santral.app.reviewing import review_upkeep
from santral.app.sinks import sinks_of
from santral.cache.caches import redis_tier
from santral.config.load import LoadedConfig
from santral.config.schema import Config
from santral.db.engine import Engine
from santral.evals.drift.job import Looking
from santral.evals.drift.keep import LOOK, LookArguments
from santral.evals.job import EVALUATE, EvaluateArguments, Evaluation
from santral.evals.place import Place
from santral.jobs import queue
from santral.jobs.job import Job, JobKind
from santral.jobs.runner import LOOK_EVERY_S, Runner
from santral.privacy.counters import counters_of
from santral.privacy.erase import ERASE, EraseArguments, Eraser
from santral.privacy.export import EXPORT, ExportArguments, Exporter
from santral.privacy.places.exports import exports_folder
from santral.privacy.proof import Signer
from santral.privacy.registry import places_of
from santral.privacy.retain import RETAIN, RetainArguments, Retention
from santral.retrieval.collections.dropping import dropping
from santral.retrieval.collections.forget import FORGET, ForgetArguments, Forgetting
from santral.retrieval.ingest.job import IngestArguments, Ingestion, OpenPlace
from santral.retrieval.ingest.workplace import INGEST
from santral.review.upkeep import LOOK_FOR_REVIEW, QueueArguments
from santral.secrets.pseudonym import Pseudonyms
from santral.secrets.sealer import Sealer
from santral.secrets.wrappers import wrappers_from
from santral.tenants.tenant import TenantId
from santral.traces.collector import Collector
from santral.traces.removal import store as removal
from santral.traces.store import TraceStore

#: Kinds of which there is one job a day.
DAILY = (RETAIN, FORGET)


def sealer_of(config: Config, engine: Engine) -> Sealer | None:
    """Return what seals payloads; None where no key wraps data keys.

    Raises:
        ConfigError: the key cannot be read.
    """
    if config.secrets.master_key is None and config.secrets.transit is None:
        return None
    return Sealer(engine, wrappers_from(config.secrets))


def job_kinds(
    config: Config,
    engine: Engine,
    store: TraceStore,
    collector: Collector,
    open_place: OpenPlace | None = None,
) -> Mapping[str, JobKind]:
    """Return the registry: what each kind of job is called, and what does it.

    ``open_place`` gives a process's workplace to ingests, where it has one.
    """
    places = places_of(
        config.data.folder,
        engine,
        store,
        collector,
        redis_tier(config.cache),
        counters_of(config.limits),
        Pseudonyms(config),
        _now,
    )

    async def collect() -> None:
        await collector.collect_once()

    async def sessions(tenant: TenantId, user: str) -> Sequence[str]:
        return await store.ask(lambda conn: removal.own_sessions(conn, tenant, user))

    eraser = Eraser(
        engine, places, collect, sessions, Signer(config), config.data.folder / "proofs", _now
    )
    exporter = Exporter(places, collect, sessions, exports_folder(config.data.folder), _now)
    return {
        ERASE: JobKind(
            name=ERASE, about="Erase one person.", arguments=EraseArguments, work=eraser
        ),
        EXPORT: JobKind(
            name=EXPORT, about="Export one person.", arguments=ExportArguments, work=exporter
        ),
        RETAIN: JobKind(
            name=RETAIN,
            about="Remove what is over its time.",
            arguments=RetainArguments,
            work=Retention(engine, store, config, _now),
        ),
        FORGET: JobKind(
            name=FORGET,
            about="Forget the collections of deleted tenants.",
            arguments=ForgetArguments,
            work=Forgetting(engine, dropping(config)),
        ),
        LOOK: JobKind(
            name=LOOK,
            about="Look for drift.",
            arguments=LookArguments,
            work=Looking(engine, store, _now),
        ),
        LOOK_FOR_REVIEW: JobKind(
            name=LOOK_FOR_REVIEW,
            about="Look through new traces for a review queue.",
            arguments=QueueArguments,
            work=review_upkeep(config, engine, store),
        ),
        EVALUATE: JobKind(
            name=EVALUATE,
            about="Run a suite of evaluations.",
            arguments=EvaluateArguments,
            work=Evaluation(partial(_evaluation_place, config, engine), config.evals.folder),
        ),
        **ingest_kinds(config, engine, open_place),
    }


def _evaluation_place(config: Config, engine: Engine) -> Place:
    """Return what evaluations of this process work with: its own configuration, from no file."""
    return evaluation_place(LoadedConfig(config, None, {}, ""), engine)


def ingest_kinds(
    config: Config, engine: Engine, open_place: OpenPlace | None = None
) -> Mapping[str, JobKind]:
    """Return the kinds that need no traces."""
    work = Ingestion(
        engine, open_place or partial(workplace, config, engine), source_opener(config, engine)
    )
    about = "Bring a collection up to date."
    return {INGEST: JobKind(name=INGEST, about=about, arguments=IngestArguments, work=work)}


def runner_of(
    config: Config,
    engine: Engine,
    store: TraceStore,
    collector: Collector,
    open_place: OpenPlace | None = None,
) -> Runner:
    """Return what runs the jobs of one process."""
    kinds = job_kinds(config, engine, store, collector, open_place)
    return Runner(engine, kinds, _holder(), _now, daily=DAILY)


async def finish_job(config: Config, engine: Engine, job: Job, tell: Callable[[Job], None]) -> Job:
    """See a job to its end: wait for the control process, or do it here where none runs."""
    if _control_runs(config.data.folder):
        return await _wait(engine, job, tell)
    if job.kind == INGEST:
        return await finish_here(config, engine, job, tell)
    store = TraceStore(config.data.folder / "telemetry.duckdb", sealer=sealer_of(config, engine))
    try:
        collector = Collector(config.data.folder / "spool", store, sinks_of(config, engine))
        return await runner_of(config, engine, store, collector).run_one(job.id)
    finally:
        await store.close()


async def finish_here(config: Config, engine: Engine, job: Job, tell: Callable[[Job], None]) -> Job:
    """Do an ingest in this process, and tell how far it is."""
    runner = Runner(engine, ingest_kinds(config, engine), _holder(), _now)
    telling = asyncio.create_task(_wait(engine, job, tell))
    try:
        return await runner.run_one(job.id)
    finally:
        telling.cancel()
        await asyncio.wait([telling])


def _holder() -> str:
    return f"{gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"


async def _wait(engine: Engine, job: Job, tell: Callable[[Job], None]) -> Job:
    told = job.progress
    while True:
        seen = await queue.get_job(engine, job.id)
        if seen.is_over:
            return seen
        if seen.progress != told:
            told = seen.progress
            tell(seen)
        await asyncio.sleep(LOOK_EVERY_S / 2)


def _control_runs(data_folder: Path) -> bool:
    """Whether a control process holds this data folder: it alone may open the telemetry store."""
    try:
        with (data_folder / "run" / "console.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _now() -> datetime:
    return datetime.now(UTC)
