"""Runs jobs: takes them by lease, renews the leases, tries again what may succeed later.

A process that dies leaves its leases to run out; another one, or itself once restarted, goes on from
what the job has saved. Many processes may run on one database.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from santral.db.engine import Engine, reading, writing
from santral.errors import SantralError, StoreError
from santral.jobs import store
from santral.jobs.job import Job, JobId, JobKind, Postponed, Progress
from santral.tenants.tenant import EVERYWHERE

log = logging.getLogger(__name__)

#: How often work is looked for, in seconds. Chosen: a person who started a job sees it begin.
LOOK_EVERY_S = 1.0
#: How long a lease lasts, and how often it is renewed, in seconds. Chosen: a killed process's jobs
#: go on within half a minute; clocks of several machines may differ by some seconds.
LEASE_S, RENEW_EVERY_S = 30.0, 5.0
#: Pause before a job is tried again: doubles from the first to the most, in seconds. Chosen.
FIRST_PAUSE_S, MOST_PAUSE_S = 2.0, 600.0


class LeaseLost(Exception):
    """The job is somebody else's by now, or was cancelled: whoever worked at it stops."""


class LeaseHold:
    """The hold of one try on its job's row."""

    def __init__(self, engine: Engine, job: Job, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._job = job
        self._clock = clock
        self.renewing = asyncio.Lock()  # nobody cancels a renewal whose statement is under way

    @property
    def job(self) -> Job:
        """The job with what was saved last."""
        return self._job

    async def report(
        self, step: str, done: int = 0, total: int = 0, *, saved: Mapping[str, Any] | None = None
    ) -> None:
        """Write down how far the job is; see ``Hold``."""
        kept = self._job.progress.saved if saved is None else dict(saved)
        progress = Progress(step=step, done=done, total=total, saved=kept)
        async with writing(self._engine) as conn:
            until = self._clock() + timedelta(seconds=LEASE_S)
            if not await store.save_progress(conn, self._job.tenant_id, self._job, progress, until):
                raise LeaseLost
        self._job = replace(self._job, progress=progress)

    async def forget_person(self) -> None:
        """Take out of the row who it is about; see ``Hold``."""
        kept = self._job.kept_arguments
        async with writing(self._engine) as conn:
            if not await store.replace_arguments(conn, self._job.tenant_id, self._job, kept):
                raise LeaseLost
        self._job = replace(self._job, arguments=kept)

    async def renew(self) -> None:
        """Keep the job for longer; raises LeaseLost."""
        async with writing(self._engine) as conn:
            until = self._clock() + timedelta(seconds=LEASE_S)
            if not await store.renew_lease(conn, self._job.tenant_id, self._job, until):
                raise LeaseLost


class Runner:
    """Works jobs off, at most ``concurrency`` at once; ``run`` it as one task of a process."""

    def __init__(
        self,
        engine: Engine,
        kinds: Mapping[str, JobKind],
        holder: str,
        clock: Callable[[], datetime],
        *,
        daily: Sequence[str] = (),
        concurrency: int = 2,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``holder`` tells this process from every other, also from itself before a restart.

        ``daily`` names kinds of which one job is made for each UTC day, over the installation.
        """
        self._engine = engine
        self._kinds = kinds
        self._holder = holder
        self._clock = clock
        self._daily = daily
        self._concurrency = concurrency
        self._sleep = sleep
        self._running: set[JobId] = set()
        self._planned: date | None = None

    async def run(self) -> None:
        """Look for jobs and do them until cancelled; what is under way then is taken up later."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    await self._plan()
                    while len(self._running) < self._concurrency:
                        job = await self._take()
                        if job is None:
                            break
                        self._running.add(job.id)
                        tasks.create_task(self._do(job))
                except StoreError as error:  # the database is away: its rows wait
                    log.warning("jobs_not_read", extra={"reason": error.message})
                await self._sleep(LOOK_EVERY_S)

    async def run_one(self, job_id: str) -> Job:
        """Do one job here and now, when no other process has it; return what became of it.

        For a command that finds no control process running.
        """
        while True:
            async with reading(self._engine) as conn:
                found = await store.find_job(conn, job_id)
            if found is None or found.is_over:
                break
            job = await self._take()
            if job is None:
                await self._sleep(LOOK_EVERY_S)
            else:
                await self._do(job)
        if found is None:
            raise StoreError(f"The job {job_id} is gone from the database.")
        return found

    async def _plan(self) -> None:
        """Make the jobs of this day, once over all processes."""
        now = self._clock()
        if not self._daily or self._planned == now.date():
            return
        async with writing(self._engine) as conn:
            for kind in self._daily:
                job = Job(
                    id=JobId(f"job_{kind}_{now.date().isoformat()}"),
                    tenant_id=EVERYWHERE,
                    kind=kind,
                    arguments={},
                    created_by="system",
                    created_at=now,
                )
                await store.insert_job(conn, EVERYWHERE, job)
        self._planned = now.date()

    async def _take(self) -> Job | None:
        now = self._clock()
        async with reading(self._engine) as conn:  # never waits for a writer, as the next one does
            if not await store.has_due(conn, self._kinds, now):
                return None
        async with writing(self._engine) as conn:
            until = now + timedelta(seconds=LEASE_S)
            return await store.claim_job(conn, self._kinds, self._holder, now, until)

    async def _do(self, job: Job) -> None:
        kind = self._kinds[job.kind]
        hold = LeaseHold(self._engine, job, self._clock)
        try:
            if job.tries > kind.most_tries:
                await self._end(hold, "its process died, or it failed, too often")
                return
            result = await self._result(kind, hold)
            await self._end(hold, "", result)
        except LeaseLost:
            log.info("job_let_go", extra={"job": job.id, "kind": job.kind})
        except StoreError as error:  # the database went away: the lease runs out, the job goes on
            log.warning("job_interrupted", extra={"job": job.id, "reason": error.message})
        except asyncio.CancelledError:
            with suppress(SantralError):
                await self._put_back(hold, None, is_try=False)
            raise
        except Exception as error:  # noqa: BLE001 - one broken job must not stop the others
            log.error("job_broke", extra={"job": job.id, "kind": job.kind, **_where(error)})
        finally:
            self._running.discard(job.id)

    async def _result(self, kind: JobKind, hold: LeaseHold) -> Mapping[str, Any] | None:
        """Do the work while the lease is renewed; None where it was put back for another try."""
        try:
            arguments = msgspec.convert(hold.job.arguments, kind.arguments)
            async with asyncio.TaskGroup() as beside:
                renewal = beside.create_task(self._renew(hold))
                result = await kind.work(hold, arguments)
                async with hold.renewing:
                    renewal.cancel()
            return result
        except msgspec.ValidationError as error:
            await self._fail(hold, kind, StoreError(f"Its arguments cannot be read: {error}."))
        except ExceptionGroup as group:
            lost = [error for error in group.exceptions if isinstance(error, LeaseLost)]
            if lost:
                raise lost[0] from None
            if isinstance(group.exceptions[0], Postponed):
                wait = timedelta(seconds=group.exceptions[0].wait_s)
                await self._put_back(hold, self._clock() + wait, is_try=False)
                return None
            await self._fail(hold, kind, group.exceptions[0])
        return None

    async def _renew(self, hold: LeaseHold) -> None:
        while True:
            await self._sleep(RENEW_EVERY_S)
            try:
                async with hold.renewing:
                    await hold.renew()
            except StoreError:  # tried again before the lease runs out
                log.warning("lease_not_renewed", extra={"job": hold.job.id})

    async def _fail(self, hold: LeaseHold, kind: JobKind, error: Exception) -> None:
        job = hold.job
        if not isinstance(error, SantralError):
            log.error("job_broke", extra={"job": job.id, "kind": job.kind, **_where(error)})
            await self._end(hold, f"an internal error ({type(error).__name__}); see the log")
            return
        log.warning("job_failed", extra={"job": job.id, "kind": job.kind, "attempt": job.tries})
        if not error.retryable or job.tries >= kind.most_tries:
            await self._end(hold, error.message)
            return
        pause_s = min(FIRST_PAUSE_S * 2 ** (job.tries - 1), MOST_PAUSE_S)
        await self._put_back(hold, self._clock() + timedelta(seconds=pause_s), error=error.message)

    async def _end(
        self,
        hold: LeaseHold,
        error: str,
        result: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the end of a job, unless its work has said already how it goes on."""
        if not error and result is None:
            return
        job = hold.job
        async with writing(self._engine) as conn:
            is_ours = await store.end_job(
                conn,
                job.tenant_id,
                job,
                "failed" if error else "done",
                self._clock(),
                arguments=job.kept_arguments,
                result=result,
                error=error,
            )
        if not is_ours:
            raise LeaseLost
        log.info("job_ended", extra={"job": job.id, "kind": job.kind, "is_done": not error})

    async def _put_back(
        self, hold: LeaseHold, not_before: datetime | None, *, error: str = "", is_try: bool = True
    ) -> None:
        job = hold.job
        async with writing(self._engine) as conn:
            await store.put_back(conn, job.tenant_id, job, not_before, error=error, is_try=is_try)


def _where(error: BaseException) -> dict[str, object]:
    """Return what broke and where; what it said may hold somebody's words and stays out of logs."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return {"error": type(error).__name__, "place": place}
