"""Everything a worker keeps of answers: both tiers, answers by meaning, those under way, the switch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from santral.cache.answer import CachedAnswer
from santral.cache.exact import ExactCache
from santral.cache.flight import Flights
from santral.cache.notes import (
    LISTED,
    CacheNotes,
    EntryNote,
    ShadowNote,
    notes_folder,
    shadow_book,
    write_notes,
)
from santral.cache.redis_tier import RedisTier
from santral.cache.semantic import Found, Question, SemanticCache
from santral.cache.switch import KillSwitch, kill_file
from santral.cache.tier import Breaker, TwoTiers
from santral.config.caching import CacheStoreConfig

log = logging.getLogger(__name__)

#: How often a worker's notes are written at most, in seconds. Chosen: people look at them.
NOTES_EVERY_S = 2.0

#: A flight is shared by requests with one key and equal rights.
FlightKey = tuple[bytes, str]


class Caches:
    """The caches of one worker. Everything belongs to one event loop, except ``refresh``."""

    def __init__(
        self,
        config: CacheStoreConfig,
        data_folder: Path,
        worker: str,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        """Build the tiers; nothing is connected yet.

        Raises:
            ConfigError: ``cache.url`` cannot be used.
        """
        self.follow_s = config.follow_s
        self._clock = clock
        self._wall = wall
        self._worker = worker
        self._folder = notes_folder(data_folder)
        self._redis = redis_tier(config)
        memory = ExactCache(config.memory_bytes, clock)
        self.semantic = SemanticCache(config.semantic_entries, config.memory_bytes, clock)
        self.flights: Flights[FlightKey] = Flights()
        self.switch = KillSwitch(kill_file(data_folder))
        self.switch.refresh()
        self.tiers = TwoTiers(memory, self._redis, Breaker(clock), self.switch.is_alive)
        self.shadow = shadow_book(self._folder, worker)
        self.budgets: dict[str, float] = {}
        self.collapsed = 0
        self._forgotten_at = 0.0
        self._notes_due = 0.0
        self._noted: tuple[object, ...] = ()

    async def find_exact(self, key: bytes) -> tuple[CachedAnswer | None, str]:
        """Return the answer to an equal request, and the tier that had it."""
        return await self.tiers.get(key)

    def find_alike(self, question: Question, threshold: float) -> Found | None:
        """Return the answer to a question that means the same."""
        return self.semantic.find(question, threshold, self.switch.is_alive)

    async def run(self) -> None:
        """Write answers to the store that workers share, until cancelled."""
        try:
            await self.tiers.run()
        finally:
            if self._redis is not None:
                await self._redis.close()

    def notes_due(self) -> CacheNotes | None:
        """Return this worker's notes, when it is time to write them and something has changed."""
        now = self._clock()
        counters = self.counters()
        state = (*counters.values(), *self.shadow.counts.values())
        if now < self._notes_due or state == self._noted:
            return None
        self._notes_due, self._noted = now + NOTES_EVERY_S, state
        return self._notes(now, counters)

    def refresh(self, notes: CacheNotes | None) -> None:
        """Pick up kills, and write notes; reads and writes the disk, so run it in a thread."""
        self.switch.refresh()
        if notes is None:
            return
        try:
            write_notes(self._folder, notes)
        except OSError as error:
            log.warning("cache_notes_not_written", extra={"reason": error.strerror})

    def counters(self) -> dict[str, int]:
        """Return the numbers of all tiers by name."""
        tiers, memory = self.tiers, self.tiers.memory
        return {
            "memory_entries": len(memory),
            "memory_bytes": memory.size_bytes,
            "memory_hits": memory.hits,
            "memory_misses": memory.misses,
            "memory_evictions": memory.evictions,
            "redis_hits": tiers.remote_hits,
            "redis_misses": tiers.remote_misses,
            "redis_errors": tiers.remote_errors,
            "redis_writes_dropped": tiers.writes_dropped,
            "semantic_entries": len(self.semantic),
            "semantic_bytes": self.semantic.size_bytes,
            "collapsed": self.collapsed,
            **{f"gate_{name}": count for name, count in self.semantic.gates.items()},
        }

    def forget_before(self, moment: float) -> None:
        """Forget every answer once for each later ``moment`` (seconds since 1970)."""
        if moment > self._forgotten_at:
            self._forgotten_at = moment
            self.clear()

    def clear(self) -> None:
        """Forget every answer."""
        self.tiers.clear()
        self.semantic.clear()

    def _notes(self, now: float, counters: dict[str, int]) -> CacheNotes:
        newest = list(self.tiers.memory.newest())[:LISTED]
        return CacheNotes(
            worker=self._worker,
            at_us=int(self._wall() * 1e6),
            counters=counters,
            entries=[
                EntryNote(
                    key=key.hex(),
                    size_bytes=entry.size_bytes,
                    expires_in_s=max(0, int(entry.expires_at - now)),
                    cost_nanousd=entry.answer.cost_nanousd,
                )
                for key, entry in newest
            ],
            shadow=[
                ShadowNote(
                    tenant_id=tenant_id,
                    route=route,
                    measured=measured,
                    budget=self.budgets.get(route, 0.01),
                )
                for (tenant_id, route), measured in self.shadow.counts.items()
            ],
        )


def redis_tier(config: CacheStoreConfig) -> RedisTier | None:
    """Return the store that workers share, if there is one; nothing is connected yet.

    Raises:
        ConfigError: ``cache.url`` cannot be used.
    """
    if config.url is None:
        return None
    return RedisTier(
        config.url.reveal(),
        namespace=config.namespace,
        timeout_s=config.timeout_ms / 1000,
        max_entry_bytes=config.max_entry_bytes,
    )
