"""Start, find and cancel jobs: the same for command line, admin API and other folders."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from santral.audit.note import Actor, note
from santral.db.engine import Connection, Engine, reading, writing
from santral.errors import BadRequest, NotFound
from santral.jobs import store
from santral.jobs.job import Job, JobId
from santral.tenants.key import RandomBytes
from santral.tenants.tenant import TenantId

#: Most jobs of one list. Chosen.
MAX_LISTED = 200


async def start_job(
    conn: Connection,
    rng: RandomBytes,
    kind: str,
    tenant: TenantId,
    arguments: Mapping[str, Any],
    now: datetime,
    *,
    actor: Actor,
) -> Job:
    """Add a job in the transaction of whoever needs it; a control process takes it within a second.

    The audit log is the caller's: it knows what of the arguments may stay there.
    """
    job = Job(
        id=JobId(f"job_{rng(10).hex()}"),
        tenant_id=tenant,
        kind=kind,
        arguments=dict(arguments),
        created_by=actor.name,
        created_at=now,
    )
    await store.insert_job(conn, tenant, job)
    return job


async def get_job(engine: Engine, job_id: str) -> Job:
    """Return one job.

    Raises:
        NotFound: there is none.
    """
    async with reading(engine) as conn:
        return await known_job(conn, job_id)


async def list_jobs(
    engine: Engine,
    tenants: Collection[TenantId] | None,
    *,
    state: str = "",
    kind: str = "",
    limit: int = 50,
) -> list[Job]:
    """Return the latest jobs of some tenants, or of all, the newest first."""
    async with reading(engine) as conn:
        return await store.list_jobs(conn, tenants, state, kind, min(limit, MAX_LISTED))


async def cancel_job(
    engine: Engine,
    job_id: str,
    now: datetime,
    *,
    actor: Actor,
) -> Job:
    """End a job before its time; one that runs stops within some seconds, between two of its steps.

    Raises:
        NotFound: there is no such job.
        BadRequest: it is over already.
    """
    async with writing(engine) as conn:
        job = await known_job(conn, job_id)
        if not await store.cancel_job(conn, job.tenant_id, job.id, now, job.kept_arguments):
            raise BadRequest(f"The job {job.id} is {job.state} already.", code="job_over")
        await note(
            conn,
            actor,
            "jobs.cancel",
            f"job:{job.id}",
            tenant_id=job.tenant_id,
            before={"kind": job.kind, "state": job.state},
            after={"state": "cancelled"},
        )
        return await known_job(conn, job_id)


async def known_job(conn: Connection, job_id: str) -> Job:
    """Return one job; raises NotFound."""
    found = await store.find_job(conn, job_id)
    if found is None:
        raise no_job(job_id)
    return found


def no_job(job_id: str) -> NotFound:
    """Return the refusal of a job that its asker may not see, or that is not there."""
    return NotFound(f"There is no job '{job_id[:64]}'. List them with: santral jobs list")
