"""Copies of requests that wait to be asked: bounded, beside the answers, and gone when we stop."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

#: Tag and decision of a mirrored request: the trace it is a copy of.
SHADOW_OF = "shadow_of"

Job = Callable[[], Awaitable[None]]


class _Lane:
    """The copies of one route."""

    __slots__ = ("concurrency", "running", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Job] = deque()
        self.running = 0
        self.concurrency = 1


class ShadowQueue:
    """Runs copies, each route's own number at one time; what finds no room is dropped and counted."""

    def __init__(self) -> None:
        self.dropped = 0
        self._lanes: dict[str, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._is_open = True

    def __len__(self) -> int:
        return len(self._tasks) + sum(len(lane.waiting) for lane in self._lanes.values())

    def offer(self, route: str, job: Job, *, max_waiting: int, concurrency: int) -> bool:
        """Take a copy of a request of ``route``; False when it had to be dropped."""
        lane = self._lanes.setdefault(route, _Lane())
        lane.concurrency = concurrency  # a reload may have changed it
        if not self._is_open or len(lane.waiting) >= max_waiting:
            self.dropped += 1
            return False
        lane.waiting.append(job)
        self._wake.set()
        return True

    def drain(self) -> None:
        """Drop what waits, cancel what runs, and take nothing more: a copy holds up no stop."""
        self._is_open = False
        self.dropped += sum(len(lane.waiting) for lane in self._lanes.values())
        self._lanes.clear()
        for task in self._tasks:
            task.cancel()

    async def run(self) -> None:
        """Ask what waits, until cancelled."""
        self._wake = asyncio.Event()  # of this loop; what was offered before waits already
        self._wake.set()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wake.wait()
                self._wake.clear()
                for lane in [*self._lanes.values()]:
                    self._start(lane, group)
                self._forget_empty()

    def _start(self, lane: _Lane, group: asyncio.TaskGroup) -> None:
        while lane.waiting and lane.running < lane.concurrency:
            lane.running += 1
            task = group.create_task(self._run(lane, lane.waiting.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, lane: _Lane, job: Job) -> None:
        try:
            await job()
        except Exception:  # a copy nobody waits for: it must not end the others
            log.exception("shadow_failed")
        finally:
            lane.running -= 1
            self._wake.set()

    def _forget_empty(self) -> None:
        """Routes come and go with the configuration; what waits for nothing is not kept."""
        self._lanes = {
            route: lane for route, lane in self._lanes.items() if lane.waiting or lane.running
        }
