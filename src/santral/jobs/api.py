"""``/api/jobs``: background work, listed and cancelled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from santral.db.engine import Engine
from santral.jobs import queue
from santral.jobs.job import Job, State
from santral.tenants.permission import Authorise, Principal


class JobQuery(BaseModel):
    """Which jobs to list."""

    model_config = ConfigDict(extra="forbid")

    state: State | None = Field(None, description="waiting, running, done, failed or cancelled.")
    kind: str = Field("", max_length=64, description="Only this kind, e.g. privacy.erase.")
    limit: int = Field(50, ge=1, le=queue.MAX_LISTED, description="Longest list.")


class JobBody(BaseModel):
    """One job. What its arguments say of a person is never shown."""

    id: str
    tenant_id: str
    kind: str
    state: State
    step: str
    done: int
    total: int
    result: dict[str, Any] | None
    error: str
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    tries: int


class JobList(BaseModel):
    """The latest jobs, the newest first."""

    jobs: list[JobBody]


def jobs_router(
    engine: Engine,
    authorise: Authorise,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints; ``authorise`` makes the dependency that says who administers."""
    router = APIRouter(prefix="/api", tags=["jobs"])
    reader: Any = Depends(authorise("jobs.read"))
    writer: Any = Depends(authorise("jobs.write"))

    @router.get("/jobs")
    async def list_jobs(
        query: Annotated[JobQuery, Query()], principal: Principal = reader
    ) -> JobList:
        """List the latest jobs of the tenants that the caller may see."""
        found = await queue.list_jobs(
            engine,
            principal.tenants("jobs.read"),
            state=query.state or "",
            kind=query.kind,
            limit=query.limit,
        )
        return JobList(jobs=[job_body(job) for job in found])

    @router.get("/jobs/{id}")
    async def get_job(id: _Id, principal: Principal = reader) -> JobBody:
        """Show one job."""
        return job_body(await visible_job(engine, id, principal))

    @router.post("/jobs/{id}/cancel")
    async def cancel_job(id: _Id, principal: Principal = writer) -> JobBody:
        """End a job before its time; one that runs stops between two of its steps."""
        job = await visible_job(engine, id, principal)
        principal.require("jobs.write", job.tenant_id)
        return job_body(await queue.cancel_job(engine, id, clock(), actor=principal.actor))

    del list_jobs, get_job, cancel_job  # the router holds them
    return router


_Id = Annotated[str, Path(max_length=64, description="Its id.")]


async def visible_job(engine: Engine, job_id: str, principal: Principal) -> Job:
    """Return one job that ``principal`` may see.

    Raises:
        NotFound: there is none, or it is of a tenant over which no role is held.
        NotAllowed: a role is held there, but none that may read jobs.
    """
    job = await queue.get_job(engine, job_id)
    if not principal.may("jobs.read", job.tenant_id):
        visible = principal.tenants()
        if visible is not None and job.tenant_id not in visible:
            raise queue.no_job(job_id)
        principal.require("jobs.read", job.tenant_id)
    return job


def job_body(job: Job) -> JobBody:
    """Return a job as the API shows it."""
    return JobBody(
        id=job.id,
        tenant_id=job.tenant_id,
        kind=job.kind,
        state=job.state,
        step=job.progress.step,
        done=job.progress.done,
        total=job.progress.total,
        result=job.result,
        error=job.error,
        created_by=job.created_by,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        tries=job.tries,
    )
