"""The exact cache in memory: an equal request of the same tenant gets the answer given before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from msgspec import Struct

from santral.cache.answer import CachedAnswer


class Entry(Struct, frozen=True, gc=False):
    """One kept answer; ``expires_at`` in seconds of the cache's clock."""

    answer: CachedAnswer
    expires_at: float
    size_bytes: int


class ExactCache:
    """Answers by key, least recently used out first, bounded in bytes; ``clock`` in seconds."""

    def __init__(self, max_bytes: int, clock: Callable[[], float]) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self.size_bytes = 0
        self.hits = 0
        self.misses = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> CachedAnswer | None:
        """Return the answer kept under ``key``, if it is still fresh."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        if entry.expires_at <= self._clock():
            self.drop(key)
            self.misses += 1
            return None
        self._entries.move_to_end(key)
        self.hits += 1
        return entry.answer

    def put(self, key: bytes, answer: CachedAnswer, ttl_s: float) -> bool:
        """Keep an answer for ``ttl_s`` seconds; False where it may not be served again.

        Not kept: answers that were cut, filtered or refused, and one larger than the whole cache.
        """
        size = answer.size_bytes
        if not answer.is_servable or size > self._max_bytes:
            return False
        self.drop(key)
        self._entries[key] = Entry(answer, self._clock() + ttl_s, size)
        self.size_bytes += size
        while self.size_bytes > self._max_bytes:
            self.drop(next(iter(self._entries)))
            self.evictions += 1
        return True

    def drop(self, key: bytes) -> None:
        """Forget the answer under ``key``, if there is one."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size_bytes -= entry.size_bytes

    def newest(self) -> Iterator[tuple[bytes, Entry]]:
        """Yield keys and entries, the most recently used first."""
        yield from reversed(self._entries.items())

    def clear(self) -> None:
        """Forget every answer."""
        self._entries.clear()
        self.size_bytes = 0
