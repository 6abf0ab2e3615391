"""The semantic cache: a question that means the same gets the answer given before.

Partitions are apart by construction: a search sees the vectors of one partition and no others.
Similarity finds candidates, gates refuse them (docs/decisions/0014-caches.md).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable

import numpy as np
from msgspec import Struct

from santral.cache.answer import CachedAnswer
from santral.cache.meaning.embed import Floats
from santral.cache.meaning.gates import closed_gate
from santral.cache.meaning.signature import Signature

#: Nearest questions that are held against the gates. Chosen: each costs some 20 us.
CANDIDATES = 8
#: First size of a partition's matrix; it doubles as it fills. Chosen.
_FIRST_ROWS = 16


class Question(Struct, frozen=True):
    """One question ready to be looked up: where it may look, and what it says."""

    partition: bytes
    vector: Floats
    signature: Signature


class Found(Struct, frozen=True):
    """A question that means the same, and its answer."""

    key: bytes
    answer: CachedAnswer
    similarity: float


class _Entry(Struct, frozen=True):
    key: bytes
    signature: Signature
    answer: CachedAnswer
    expires_at: float
    size_bytes: int


class SemanticCache:
    """Answers by meaning, bounded in entries and bytes; the partition unused longest goes first."""

    def __init__(self, max_entries: int, max_bytes: int, clock: Callable[[], float]) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._clock = clock
        self._partitions: OrderedDict[bytes, _Partition] = OrderedDict()
        self.gates: Counter[str] = Counter()
        self.entries = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        return self.entries

    def find(
        self, question: Question, threshold: float, is_alive: Callable[[bytes], bool]
    ) -> Found | None:
        """Return the nearest fresh answer whose question passes every gate.

        ``is_alive`` says whether an entry may be served: an administrator may have killed it.
        """
        partition = self._partitions.get(question.partition)
        if partition is None or partition.dimensions != len(question.vector):
            return None
        self._partitions.move_to_end(question.partition)
        now = self._clock()
        for entry, similarity in partition.nearest(question.vector, threshold):
            if entry.expires_at <= now or not is_alive(entry.key):
                continue
            gate = closed_gate(question.signature, entry.signature)
            if not gate:
                return Found(entry.key, entry.answer, similarity)
            self.gates[gate] += 1
        return None

    def put(
        self, question: Question, key: bytes, answer: CachedAnswer, ttl_s: float, max_entries: int
    ) -> bool:
        """Keep an answer for ``ttl_s`` seconds; False where it may not be served again."""
        size = answer.size_bytes + 8 * question.vector.nbytes
        if not answer.is_servable or size > self._max_bytes:
            return False
        partition = self._partitions.get(question.partition)
        if partition is None or partition.dimensions != len(question.vector):
            self._drop(question.partition)
            partition = _Partition(len(question.vector))
            self._partitions[question.partition] = partition
        self._partitions.move_to_end(question.partition)
        entry = _Entry(key, question.signature, answer, self._clock() + ttl_s, size)
        self._account(partition, entry, question.vector, min(max_entries, self._max_entries))
        while self.entries > self._max_entries or self.size_bytes > self._max_bytes:
            self._drop(next(iter(self._partitions)))
        return True

    def clear(self) -> None:
        """Forget every answer."""
        self._partitions.clear()
        self.entries = self.size_bytes = 0

    def _account(
        self, partition: _Partition, entry: _Entry, vector: Floats, max_entries: int
    ) -> None:
        before, bytes_before = len(partition.entries), partition.size_bytes
        partition.put(entry, vector, max_entries)
        self.entries += len(partition.entries) - before
        self.size_bytes += partition.size_bytes - bytes_before

    def _drop(self, key: bytes) -> None:
        partition = self._partitions.pop(key, None)
        if partition is not None:
            self.entries -= len(partition.entries)
            self.size_bytes -= partition.size_bytes


class _Partition:
    """Questions that may stand for each other: vectors in one matrix, the oldest overwritten first."""

    __slots__ = ("_at", "_matrix", "_places", "dimensions", "entries", "size_bytes")

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.entries: list[_Entry] = []
        self.size_bytes = 0
        self._matrix: Floats = np.zeros((_FIRST_ROWS, dimensions), np.float32)
        self._places: dict[bytes, int] = {}
        self._at = 0  # the place that is overwritten next, once the partition is full

    def nearest(self, vector: Floats, threshold: float) -> list[tuple[_Entry, float]]:
        """Return the nearest entries that reach the threshold, the nearest first."""
        count = len(self.entries)
        scores = self._matrix[:count] @ vector
        reached = np.flatnonzero(scores >= threshold)
        if len(reached) > CANDIDATES:
            best = np.argpartition(scores[reached], -CANDIDATES)[-CANDIDATES:]
            reached = reached[best]
        order = reached[np.argsort(-scores[reached], kind="stable")]
        return [(self.entries[place], float(scores[place])) for place in order.tolist()]

    def put(self, entry: _Entry, vector: Floats, max_entries: int) -> None:
        place = self._places.get(entry.key)
        if place is None and len(self.entries) < max_entries:
            self._append(entry, vector)
            return
        if place is None:
            place = self._at % len(self.entries)
            self._at = place + 1
            del self._places[self.entries[place].key]
        self.size_bytes += entry.size_bytes - self.entries[place].size_bytes
        self.entries[place] = entry
        self._places[entry.key] = place
        self._matrix[place] = vector

    def _append(self, entry: _Entry, vector: Floats) -> None:
        place = len(self.entries)
        if place == len(self._matrix):
            self._matrix = np.concatenate([self._matrix, np.zeros_like(self._matrix)])
        self._matrix[place] = vector
        self.entries.append(entry)
        self._places[entry.key] = place
        self.size_bytes += entry.size_bytes
