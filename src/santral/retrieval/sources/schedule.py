"""Starts the runs of sources when their moment comes: a loop of the control process.

A moment that was missed is made up for once. One run of a source at a time; after a failure the next
one waits longer each time. Many processes may look at one database: a run begins in one transaction.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from santral.audit.entry import SYSTEM
from santral.db.engine import Engine, reading, writing
from santral.errors import SantralError
from santral.jobs import store as jobs
from santral.jobs.job import Job
from santral.retrieval.sources import store
from santral.retrieval.sources.folder import glance
from santral.retrieval.sources.keep import StartRun, start_run
from santral.retrieval.sources.opened import forget_folder
from santral.retrieval.sources.record import KeptSource

log = logging.getLogger(__name__)

#: How often sources are looked at, in seconds. Chosen: a webhook is followed at once.
LOOK_EVERY_S = 1.0
#: Runs that are begun in one look. Chosen: jobs are worked off two at a time.
_MOST = 20
#: Part of the interval by which a schedule is moved at random, so that sites are not asked together.
_JITTER = 0.1
#: Pause after a first failure and the longest one, in seconds. Chosen.
_FIRST_PAUSE_S, _MOST_PAUSE_S = 60, 86_400
#: Least time between two looks into a watched folder, and how many times longer than a look takes it
#: is. Chosen: changes are seen within seconds, and looking takes a twentieth of the time.
_GLANCE_EVERY_S, _GLANCES_APART = 2.0, 20
#: Longest error that is kept of a run. Chosen.
_MAX_ERROR = 2000


class _Glance(Struct):
    """What was seen of a watched folder: ``taken`` is the state for which a run was begun last."""

    seen: str = ""
    taken: str = ""
    next_s: float = 0.0


class Schedule:
    """Looks after all sources."""

    def __init__(
        self,
        engine: Engine,
        data_folder: Path,
        start: StartRun,
        *,
        clock: Callable[[], datetime],
        random: Callable[[], float],
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """``random`` gives numbers from 0 to 1."""
        self._engine = engine
        self._data_folder = data_folder
        self._start = start
        self._clock = clock
        self._random = random
        self._timer = timer
        self._glances: dict[str, _Glance] = {}

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look every second until cancelled."""
        while True:
            try:
                await self.look()
            except SantralError as error:  # the database is away: its rows wait
                log.warning("sources_not_looked_at", extra={"reason": error.message})
            await sleep(LOOK_EVERY_S)

    async def look(self) -> list[Job]:
        """Note which runs have ended, and begin those whose moment has come; return their jobs."""
        await self.settle()
        await self._watch()
        now = self._clock()
        async with reading(self._engine) as conn:
            due = await store.due_sources(conn, now, _MOST)
        return [job for source in due if (job := await self._begin(source, now)) is not None]

    async def settle(self) -> None:
        """Note how the runs ended that are over, and when the next one is."""
        async with reading(self._engine) as conn:
            running = await store.running_sources(conn)
        for source in running:
            await self._settle(source)

    async def _begin(self, source: KeptSource, now: datetime) -> Job | None:
        async with writing(self._engine) as conn:
            if not await store.begin_run(conn, source.tenant_id, source.id, now):
                return None
            job = await start_run(conn, source, now, SYSTEM, self._start)
        log.info("source_begun", extra={"source": source.id, "job": job.id})
        return job

    async def _settle(self, source: KeptSource) -> None:
        async with writing(self._engine) as conn:
            job = await jobs.find_job(conn, source.last_job)
            if job is not None and not job.is_over:
                return
            fresh = await store.find_source(conn, source.id)
            if fresh is None or fresh.last_job != source.last_job:
                return
            is_done = job is not None and job.state == "done"
            if is_done and fresh.is_leaving:
                await store.delete_source(conn, fresh.tenant_id, fresh.id)
            else:
                ended = self._ended(fresh, job)
                await store.update_source(conn, fresh.tenant_id, fresh.id, **ended)
        if is_done and source.is_leaving:
            await asyncio.to_thread(forget_folder, self._data_folder, source.id)
        if not is_done:
            log.warning("source_failed", extra={"source": source.id, "job": source.last_job})

    def _ended(self, source: KeptSource, job: Job | None) -> dict[str, Any]:
        """Return the values of a source whose run is over."""
        is_done = job is not None and job.state == "done"
        failures = 0 if is_done else source.failures + 1
        next_at = source.next_at or self._next_at(source, failures)
        return {
            "last_state": "failed" if job is None else job.state,
            "last_error": "its job is gone" if job is None else job.error[:_MAX_ERROR],
            "last_result": source.last_result if job is None or not is_done else job.result,
            "failures": failures,
            "next_at": next_at,
        }

    def _next_at(self, source: KeptSource, failures: int) -> datetime | None:
        """Return the next moment: the schedule's, or later the more runs in a row have failed."""
        pause_s = 0.0
        if failures:
            pause_s = min(_FIRST_PAUSE_S * 2 ** min(failures - 1, 20), _MOST_PAUSE_S)
        if not source.every_s:
            is_kept_up = source.kind == "watch" or source.is_leaving
            return self._clock() + timedelta(seconds=pause_s) if failures and is_kept_up else None
        every_s = source.every_s * (1 + _JITTER * (2 * self._random() - 1))
        return self._clock() + timedelta(seconds=max(every_s, pause_s))

    async def _watch(self) -> None:
        """Ask for a run of each watched folder that has changed and rests since."""
        async with reading(self._engine) as conn:
            watched = {source.id: source for source in await store.watched_sources(conn)}
        self._glances = {id: self._glances.get(id, _Glance()) for id in watched}
        for id, glanced in self._glances.items():
            if self._timer() >= glanced.next_s and await self._has_changed(watched[id], glanced):
                await self._ask(watched[id])

    async def _has_changed(self, source: KeptSource, glanced: _Glance) -> bool:
        began = self._timer()
        seen = await asyncio.to_thread(glance, str(source.settings.get("path", "")))
        took_s = self._timer() - began
        glanced.next_s = began + max(_GLANCE_EVERY_S, _GLANCES_APART * took_s)
        is_at_rest, glanced.seen = seen == glanced.seen, seen
        if not is_at_rest or seen == glanced.taken:
            return False
        glanced.taken = seen
        return True

    async def _ask(self, source: KeptSource) -> None:
        async with writing(self._engine) as conn:
            now = self._clock()
            await store.update_source(conn, source.tenant_id, source.id, next_at=now)
