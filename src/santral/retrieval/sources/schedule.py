"""Starts the runs of sources when their moment comes: a loop of the control process.

A moment that was missed is made up for once. One run of a source at a time; after a failure the next
one waits longer each time. Many processes may look at one database: a run begins in one transaction.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from santral.audit.entry import SYSTEM
from santral.db.engine import Engine, reading, writing
from santral.errors import SantralError
from santral.jobs.job import Job
from santral.retrieval.sources import store
from santral.retrieval.sources.ended import note_end
from santral.retrieval.sources.folder import glance
from santral.retrieval.sources.keep import StartRun, start_run
from santral.retrieval.sources.opened import forget_others
from santral.retrieval.sources.record import KeptSource

log = logging.getLogger(__name__)

#: How often sources are looked at, in seconds. Chosen: a webhook is followed at once.
LOOK_EVERY_S = 1.0
#: Runs that are begun in one look. Chosen: jobs are worked off two at a time.
_MOST = 20
#: Least time between two looks into a watched folder, and how many times longer than a look takes it
#: is. Chosen: changes are seen within seconds, and looking takes a twentieth of the time.
_GLANCE_EVERY_S, _GLANCES_APART = 2.0, 20


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
        is_swept = False
        while True:
            try:
                is_swept = is_swept or await self._sweep()
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
            await note_end(
                self._engine, self._data_folder, source.id, self._clock(), self._random()
            )

    async def _sweep(self) -> bool:
        """Remove the folders of sources that are gone."""
        async with reading(self._engine) as conn:
            known = {source.id for source in await store.list_sources(conn, None, "")}
        await asyncio.to_thread(forget_others, self._data_folder, known)
        return True

    async def _begin(self, source: KeptSource, now: datetime) -> Job | None:
        async with writing(self._engine) as conn:
            if not await store.begin_run(conn, source.tenant_id, source.id, now):
                return None
            job = await start_run(conn, source, now, SYSTEM, self._start)
        log.info("source_begun", extra={"source": source.id, "job": job.id})
        return job

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
