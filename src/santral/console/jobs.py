"""Pages of background work: how far each job is, how it ended, and cancelling one."""

from __future__ import annotations

from typing import get_args
from urllib.parse import quote

import msgspec
from fastapi import Response

from santral.console.frame import Frame, Visit
from santral.console.pick import tenant_choices
from santral.errors import BadRequest
from santral.jobs import queue
from santral.jobs.api import visible_job
from santral.jobs.job import State
from santral.privacy.start import start_erasure, start_export
from santral.privacy.subject import subject_of

STATES: tuple[State, ...] = get_args(State)
#: What can be done about a person; counting changes nothing, so it stands first.
TASKS = ("count", "export", "erase")
#: Lines of the list. Chosen.
_PAGE = 100


class JobPages:
    """The pages over the jobs."""

    def __init__(self, frame: Frame) -> None:
        frame.show("/jobs", self.list)
        frame.show("/jobs/{id}", self.one)
        frame.act("/jobs/{id}/cancel", self.cancel, self.one)
        frame.act("/jobs", self.start, self.list)

    async def list(self, visit: Visit) -> Response:
        """The latest jobs of the tenants that may be seen."""
        visit.principal.require_somewhere("jobs.read")
        state = visit.asked("state")
        if state and state not in STATES:
            raise BadRequest(
                f"There is no state '{state[:20]}': {', '.join(STATES)}.", param="state"
            )
        jobs = await queue.list_jobs(
            visit.engine, visit.principal.tenants("jobs.read"), state=state, limit=_PAGE
        )
        writable = visit.principal.tenants("privacy.write")
        may_start = writable is None or bool(writable)
        return visit.page(
            "jobs.html",
            jobs=jobs,
            states=STATES,
            state=state,
            is_moving=any(not job.is_over for job in jobs),
            may_start=may_start,
            choices=await tenant_choices(visit, "privacy.write") if may_start else [],
            tasks=TASKS,
        )

    async def start(self, visit: Visit) -> Response:
        """Begin to count, export or erase what is a person's."""
        form, tenant, task = visit.form, visit.form("tenant"), visit.form("task")
        subject = subject_of(form("user"), form.every("sessions"), form.every("texts"))
        if task not in TASKS:
            raise BadRequest(f"Choose what to do: {', '.join(TASKS)}.", param="task")
        by, rng = visit.principal, visit.rng
        if task == "export":
            job = await start_export(visit.engine, tenant, subject, visit.now, by=by, rng=rng)
        else:
            job = await start_erasure(
                visit.engine, tenant, subject, visit.now, by=by, rng=rng, is_dry_run=task == "count"
            )
        return visit.done("done_started", f"/jobs/{quote(job.id, safe='')}")

    async def one(self, visit: Visit) -> Response:
        """One job: progress, and what it ended with."""
        job = await visible_job(visit.engine, visit.place("id"), visit.principal)
        result = msgspec.json.format(msgspec.json.encode(job.result), indent=2).decode()
        return visit.page(
            "job.html",
            job=job,
            result=result if job.result is not None else "",
            may_cancel=not job.is_over and visit.principal.may("jobs.write", job.tenant_id),
        )

    async def cancel(self, visit: Visit) -> Response:
        """End a job before its time."""
        job = await visible_job(visit.engine, visit.place("id"), visit.principal)
        visit.principal.require("jobs.write", job.tenant_id)
        await queue.cancel_job(visit.engine, job.id, visit.now, actor=visit.principal.actor)
        return visit.done("done_cancelled", f"/jobs/{quote(job.id, safe='')}")
