"""Where answers are kept: one Protocol, in this process or outside, and both in a row."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from santral.cache.answer import CachedAnswer
from santral.cache.exact import ExactCache

log = logging.getLogger(__name__)

#: Answers that wait to be written outside, and their bytes. Chosen: a burst of a few seconds; beyond
#: it answers stay in memory only, and that is counted.
QUEUE_ENTRIES = 512
QUEUE_BYTES = 16 * 1024 * 1024
#: How long an answer that came from the store is kept in memory, in seconds: at most so much longer
#: than it may be served. Chosen: a minute of hits without asking again.
MEMORY_TTL_S = 60.0


class TierDown(Exception):
    """A tier outside did not answer in time, or not at all: go on as if nothing were kept there."""


class Tier(Protocol):
    """A place for answers. Keys hold the tenant: what is kept under one is only found under it."""

    async def get(self, key: bytes) -> CachedAnswer | None:
        """Return the answer kept under ``key``, if it is still fresh and whole.

        Raises:
            TierDown: the place cannot be asked.
        """
        ...

    async def put(self, key: bytes, answer: CachedAnswer, ttl_s: float) -> bool:
        """Keep an answer for ``ttl_s`` seconds; False where it may not be kept. Raises as ``get``."""
        ...


class MemoryTier:
    """Answers in this process."""

    def __init__(self, cache: ExactCache) -> None:
        self._cache = cache

    async def get(self, key: bytes) -> CachedAnswer | None:
        """Return the answer kept under ``key``."""
        return self._cache.get(key)

    async def put(self, key: bytes, answer: CachedAnswer, ttl_s: float) -> bool:
        """Keep an answer; see ``ExactCache.put``."""
        return self._cache.put(key, answer, ttl_s)


class Breaker:
    """Stops asking a tier that is slow or dead; lets one question through now and then.

    Opens after ``failures`` in a row, for ``least_s`` seconds, twice as long each time the probe
    fails, at most ``most_s``.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        failures: int = 3,
        least_s: float = 1.0,
        most_s: float = 30.0,
    ) -> None:
        self._clock = clock
        self._failures = failures
        self._least_s = least_s
        self._most_s = most_s
        self._count = 0
        self._open_until = 0.0
        self._pause_s = least_s
        self.is_open = False

    def allows(self) -> bool:
        """Whether to ask now. The one who probes an open breaker closes it for the others."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._open_until:
            return False
        self._open_until = now + self._pause_s
        return True

    def succeeded(self) -> None:
        if self.is_open:
            log.info("cache_store_back")
        self._count = 0
        self._pause_s = self._least_s
        self.is_open = False

    def failed(self, reason: str) -> None:
        self._count += 1
        if self.is_open:
            self._pause_s = min(self._pause_s * 2, self._most_s)
        elif self._count >= self._failures:
            log.warning("cache_store_left_out", extra={"reason": reason})
            self.is_open = True
        self._open_until = self._clock() + self._pause_s


class TwoTiers:
    """Memory first, then a store that workers share; without the store it is memory alone.

    The store never makes a caller wait beyond its timeout or see an error: behind an open breaker
    requests go on as misses. Answers are written to it by ``run``, not by requests.
    """

    def __init__(
        self,
        memory: ExactCache,
        remote: Tier | None,
        breaker: Breaker,
        is_alive: Callable[[bytes], bool] = lambda key: True,
    ) -> None:
        """``is_alive`` says whether an answer may be served: an administrator may have killed it."""
        self.memory = memory
        self.breaker = breaker
        self._remote = remote
        self._is_alive = is_alive
        self._queue: deque[tuple[bytes, CachedAnswer, float, int]] = deque()
        self._queued_bytes = 0
        self._has_work = asyncio.Event()
        self.remote_hits = 0
        self.remote_misses = 0
        self.remote_errors = 0
        self.writes_dropped = 0

    async def get(self, key: bytes) -> tuple[CachedAnswer | None, str]:
        """Return the answer under ``key`` and the tier that had it: ``memory`` or ``redis``."""
        found = self.memory.get(key)
        if found is not None or self._remote is None:
            return self._alive(key, found), "memory"
        if not self.breaker.allows():
            return None, "memory"
        try:
            found = await self._remote.get(key)
        except TierDown as error:
            self.remote_errors += 1
            self.breaker.failed(str(error))
            return None, "redis"
        self.breaker.succeeded()
        if found is None:
            self.remote_misses += 1
            return None, "redis"
        self.remote_hits += 1
        self.memory.put(key, found, MEMORY_TTL_S)
        return self._alive(key, found), "redis"

    def put(
        self, key: bytes, answer: CachedAnswer, ttl_s: float, *, is_shared: bool = True
    ) -> bool:
        """Keep an answer in memory and, unless it is not to be shared, have ``run`` write it to the
        store."""
        if not self.memory.put(key, answer, ttl_s):
            return False
        if self._remote is not None and is_shared:
            self._enqueue(key, answer, ttl_s)
        return True

    async def run(self) -> None:
        """Write what was kept to the store, until cancelled."""
        while True:
            await self._has_work.wait()
            await self.write_one()

    async def write_one(self) -> None:
        """Write the answer that waits longest, if one does."""
        if not self._queue:
            self._has_work.clear()
            return
        key, answer, ttl_s, size = self._queue.popleft()
        self._queued_bytes -= size
        if self._remote is None or not self.breaker.allows():
            self.writes_dropped += 1
            return
        try:
            await self._remote.put(key, answer, ttl_s)
        except TierDown as error:
            self.writes_dropped += 1
            self.breaker.failed(str(error))
        else:
            self.breaker.succeeded()

    def clear(self) -> None:
        """Forget every answer in memory."""
        self.memory.clear()
        self._queue.clear()
        self._queued_bytes = 0

    def _alive(self, key: bytes, found: CachedAnswer | None) -> CachedAnswer | None:
        return found if found is not None and self._is_alive(key) else None

    def _enqueue(self, key: bytes, answer: CachedAnswer, ttl_s: float) -> None:
        size = answer.size_bytes
        if len(self._queue) >= QUEUE_ENTRIES or self._queued_bytes + size > QUEUE_BYTES:
            self.writes_dropped += 1
            return
        self._queue.append((key, answer, ttl_s, size))
        self._queued_bytes += size
        self._has_work.set()
