"""Begin an ingest: the same for command line, admin API, console and schedules."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

import msgspec

from santral.audit.note import note
from santral.db.engine import Connection, Engine, writing
from santral.jobs import store as jobs
from santral.jobs.job import Job
from santral.jobs.queue import start_job
from santral.retrieval.collections.store import insert_collection
from santral.retrieval.ingest.job import IngestArguments
from santral.retrieval.ingest.workplace import INGEST
from santral.tenants.key import RandomBytes
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Principal
from santral.tenants.tenant import EVERYWHERE, TenantId

#: Waiting jobs that are looked through for an equal one. Chosen.
_MOST_WAITING = 200


async def start_ingest(
    engine: Engine,
    tenant: str,
    collection: str,
    now: datetime,
    *,
    by: Principal,
    paths: Sequence[str] = (),
    source_id: str = "",
    is_purge: bool = False,
    rng: RandomBytes = secrets.token_bytes,
) -> Job:
    """Let a job bring a collection up to date, with files of this machine or a source; a collection
    that is not there is made. An equal job that waits already is returned instead.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may write collections there, or, for files of this machine, one over
            the whole installation.
    """
    by.require("collections.write", TenantId(tenant))
    if paths:
        by.require("collections.write", EVERYWHERE)
    arguments = IngestArguments(
        collection=collection, paths=tuple(paths), source_id=source_id, is_purge=is_purge
    )
    async with writing(engine) as conn:
        owner = await known_tenant(conn, tenant)
        await insert_collection(conn, owner.id, collection, None, "", now)
        job, _ = await job_for(conn, owner.id, arguments, now, by=by, rng=rng)
        said = {"job": job.id, "paths": list(paths) or None, "source": source_id or None}
        await note(
            conn,
            by.actor,
            "collections.purge" if is_purge else "collections.ingest",
            f"collection:{collection}",
            tenant_id=owner.id,
            after={name: value for name, value in said.items() if value is not None},
        )
        return job


async def job_for(
    conn: Connection,
    tenant: TenantId,
    arguments: IngestArguments,
    now: datetime,
    *,
    by: Principal,
    rng: RandomBytes = secrets.token_bytes,
) -> tuple[Job, bool]:
    """Return a job that will do it, and whether it had to be started: one that waits has not looked yet."""
    asked = msgspec.json.decode(msgspec.json.encode(arguments))  # as a row gives it back
    for job in await jobs.list_jobs(conn, [tenant], "waiting", INGEST, _MOST_WAITING):
        is_due = job.leased_until is None or job.leased_until <= now
        if is_due and job.arguments == asked:
            return job, False
    return await start_job(conn, rng, INGEST, tenant, asked, now, actor=by.actor), True
