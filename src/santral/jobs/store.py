"""Jobs in the control database.

Every statement of a running job names who holds it and which try it is, so that a process which lost
its lease changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, and_, delete, or_, select, update

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.tables import jobs
from santral.jobs.job import Job, JobId, Progress, State
from santral.tenants.tenant import TenantId


async def insert_job(conn: Connection, tenant_id: TenantId, job: Job) -> bool:
    """Add a job; return whether there was none of its id."""
    values = {
        "id": job.id,
        "tenant_id": tenant_id,
        "kind": job.kind,
        "arguments": job.arguments,
        "state": job.state,
        "progress": msgspec.to_builtins(job.progress),
        "error": "",
        "created_by": job.created_by,
        "created_at": job.created_at,
        "leased_until": job.leased_until,  # not tried before, where it is to wait
        "tries": 0,
    }
    statement = upsert(conn, jobs).values(**values).on_conflict_do_nothing().returning(jobs.c.id)
    return (await conn.execute(statement)).scalar_one_or_none() is not None


async def find_job(conn: Connection, job_id: str) -> Job | None:
    """Return one job of any tenant: who asks is held against its tenant afterwards."""
    row = (await conn.execute(select(jobs).where(jobs.c.id == job_id))).one_or_none()
    return None if row is None else _job(row)


async def list_jobs(
    conn: Connection, tenants: Collection[TenantId] | None, state: str, kind: str, limit: int
) -> list[Job]:
    """Return the latest jobs, the newest first; ``tenants`` None means those of every tenant."""
    statement = select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id).limit(limit)
    if tenants is not None:
        statement = statement.where(jobs.c.tenant_id.in_(sorted(tenants)))
    if state:
        statement = statement.where(jobs.c.state == state)
    if kind:
        statement = statement.where(jobs.c.kind == kind)
    return [_job(row) for row in await conn.execute(statement)]


async def has_due(conn: Connection, kinds: Collection[str], now: datetime) -> bool:
    """Whether a job of ``kinds`` waits to be taken."""
    statement = select(jobs.c.id).where(_is_due(kinds, now)).limit(1)
    return (await conn.execute(statement)).first() is not None


async def claim_job(
    conn: Connection, kinds: Collection[str], holder: str, now: datetime, until: datetime
) -> Job | None:
    """Take the job that waits longest, also one whose holder died; two processes never take one."""
    due = (
        select(jobs)
        .where(_is_due(kinds, now))
        .order_by(jobs.c.created_at, jobs.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)  # PostgreSQL; SQLite's writers come one after the other
    )
    row = (await conn.execute(due)).one_or_none()
    if row is None:
        return None
    taken = (
        update(jobs)
        .where(jobs.c.id == row.id)
        .values(
            state="running",
            leased_by=holder,
            leased_until=until,
            tries=jobs.c.tries + 1,
            started_at=row.started_at or now,
            error="",
        )
        .returning(*jobs.c)
    )
    return _job((await conn.execute(taken)).one())


async def renew_lease(conn: Connection, tenant_id: TenantId, job: Job, until: datetime) -> bool:
    """Keep a job for longer; False when it is not this try's any more."""
    statement = update(jobs).where(_is_held(job, tenant_id=tenant_id))
    return (await conn.execute(statement.values(leased_until=until))).rowcount > 0


async def save_progress(
    conn: Connection, tenant_id: TenantId, job: Job, progress: Progress, until: datetime
) -> bool:
    """Write down how far a job is, and keep it for longer; False as in ``renew_lease``."""
    statement = update(jobs).where(_is_held(job, tenant_id=tenant_id))
    values = {"progress": msgspec.to_builtins(progress), "leased_until": until}
    return (await conn.execute(statement.values(**values))).rowcount > 0


async def replace_arguments(
    conn: Connection, tenant_id: TenantId, job: Job, arguments: Mapping[str, Any]
) -> bool:
    """Write other arguments into a running job's row; False as in ``renew_lease``."""
    statement = update(jobs).where(_is_held(job, tenant_id=tenant_id))
    return (await conn.execute(statement.values(arguments=dict(arguments)))).rowcount > 0


async def end_job(
    conn: Connection,
    tenant_id: TenantId,
    job: Job,
    state: State,
    now: datetime,
    *,
    arguments: Mapping[str, Any],
    result: Mapping[str, Any] | None = None,
    error: str = "",
) -> bool:
    """End a running job; False as in ``renew_lease``."""
    statement = update(jobs).where(_is_held(job, tenant_id=tenant_id))
    values = {
        "state": state,
        "finished_at": now,
        "leased_by": None,
        "leased_until": None,
        "arguments": dict(arguments),
        "result": None if result is None else dict(result),
        "error": error,
    }
    return (await conn.execute(statement.values(**values))).rowcount > 0


async def put_back(
    conn: Connection,
    tenant_id: TenantId,
    job: Job,
    not_before: datetime | None,
    *,
    error: str = "",
    is_try: bool = True,
) -> bool:
    """Let a running job be taken again; without ``is_try`` this try does not count."""
    statement = update(jobs).where(_is_held(job, tenant_id=tenant_id))
    values = {
        "state": "waiting",
        "leased_by": None,
        "leased_until": not_before,
        "tries": job.tries if is_try else job.tries - 1,
        "error": error,
    }
    return (await conn.execute(statement.values(**values))).rowcount > 0


async def cancel_job(
    conn: Connection,
    tenant_id: TenantId,
    job_id: JobId,
    now: datetime,
    arguments: Mapping[str, Any],
) -> bool:
    """End a job that waits or runs; who runs it notices when it renews its lease."""
    statement = (
        update(jobs)
        .where(jobs.c.tenant_id == tenant_id)
        .where(jobs.c.id == job_id)
        .where(jobs.c.state.in_(("waiting", "running")))
        .values(
            state="cancelled",
            finished_at=now,
            leased_by=None,
            leased_until=None,
            arguments=dict(arguments),
        )
    )
    return (await conn.execute(statement)).rowcount > 0


async def delete_ended(conn: Connection, kinds: Collection[str], before: datetime) -> int:
    """Forget jobs of ``kinds``, of every tenant, that ended before a moment; return how many."""
    statement = (
        delete(jobs).where(jobs.c.kind.in_(sorted(kinds))).where(jobs.c.finished_at < before)
    )
    return (await conn.execute(statement)).rowcount


def _is_due(kinds: Collection[str], now: datetime) -> ColumnElement[bool]:
    waits = and_(
        jobs.c.state == "waiting", or_(jobs.c.leased_until.is_(None), jobs.c.leased_until <= now)
    )
    is_orphan = and_(jobs.c.state == "running", jobs.c.leased_until < now)
    return and_(jobs.c.kind.in_(sorted(kinds)), or_(waits, is_orphan))


def _is_held(job: Job, tenant_id: TenantId) -> ColumnElement[bool]:
    return and_(
        jobs.c.tenant_id == tenant_id,
        jobs.c.id == job.id,
        jobs.c.state == "running",
        jobs.c.leased_by == job.leased_by,
        jobs.c.tries == job.tries,
    )


def _job(row: Row[Any]) -> Job:
    return Job(
        id=JobId(row.id),
        tenant_id=TenantId(row.tenant_id),
        kind=row.kind,
        arguments=row.arguments,
        created_by=row.created_by,
        created_at=row.created_at,
        state=row.state,
        progress=msgspec.convert(row.progress, Progress),
        result=row.result,
        error=row.error,
        started_at=row.started_at,
        finished_at=row.finished_at,
        leased_by=row.leased_by,
        leased_until=row.leased_until,
        tries=row.tries,
    )
