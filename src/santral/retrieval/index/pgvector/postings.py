"""Postings: in which chunks each term is and how much it says there, as bytes in rows of the database.

PostgreSQL has no BM25. It keeps postings, packed, and hands out those of a question's terms; they are
added up here, as in the embedded index, so the scores are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Floats, Terms
from santral.retrieval.index.impact import MAX_IMPACT, impacts, rarity
from santral.retrieval.index.pgvector.driver import Row
from santral.retrieval.index.signal import Signal

Numbers: TypeAlias = NDArray[np.int32]

#: Impacts are kept in steps of this size: 16 bits hold all of them.
_STEP = MAX_IMPACT / 65_535


class Rows(Struct, frozen=True):
    """Some chunks of a partition: their numbers, ascending, and the place of each, -1 for others.

    numbers: int32 [chunks]; places: int32 [highest number + 2], the last one always -1.
    """

    numbers: Numbers
    places: Numbers

    def place(self, numbers: Numbers) -> Numbers:
        """Return where these chunks are among the rows, -1 for those that are not."""
        return self.places[np.minimum(numbers, len(self.places) - 1)]


class Posted(Struct, frozen=True):
    """Postings of one field for some terms: entry by entry the term's place, the chunk, the impact."""

    terms: NDArray[np.int32]
    chunks: Numbers
    impacts: Floats


def rows_of(data: bytes) -> Rows:
    """Make rows of big-endian numbers, ascending."""
    numbers = np.frombuffer(data, ">i4").astype(np.int32)
    places = np.full(int(numbers[-1]) + 2 if len(numbers) else 1, -1, np.int32)
    places[numbers] = np.arange(len(numbers), dtype=np.int32)
    return Rows(numbers, places)


def pack(terms: Terms, signal: Signal, numbers: Numbers) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield key, chunk numbers and impacts of each term; ``numbers`` are those of the chunks."""
    owners = np.repeat(numbers, np.diff(terms.starts))
    steps = np.rint(impacts(terms, signal) / _STEP).astype("<u2")
    order = np.argsort(terms.keys, kind="stable")
    keys, owners, steps = terms.keys[order], owners[order].astype("<i4"), steps[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1)) if len(keys) else np.zeros(0, np.int64)
    ends = np.append(starts[1:], len(keys))
    for key, start, end in zip(keys[starts].tolist(), starts.tolist(), ends.tolist(), strict=True):
        yield key, owners[start:end].tobytes(), steps[start:end].tobytes()


def unpack(rows: Sequence[Row]) -> Posted:
    """Read rows with ``key``, ``chunks`` and ``impacts``."""
    _, places = np.unique(np.array([row["key"] for row in rows], np.int64), return_inverse=True)
    sizes = [len(row["chunks"]) // 4 for row in rows]
    return Posted(
        terms=np.repeat(places.astype(np.int32), sizes),
        chunks=np.frombuffer(b"".join(row["chunks"] for row in rows), "<i4"),
        impacts=np.frombuffer(b"".join(row["impacts"] for row in rows), "<u2").astype(np.float32)
        * np.float32(_STEP),
    )


def scores(posted: Posted, scope: Rows, passing: Rows) -> Floats:
    """Return the BM25 score of each chunk that passes: float32 [passing], 0 without a match.

    How rare a term is, is counted over the chunks of the scope.
    """
    if not len(posted.terms):
        return np.zeros(len(passing.numbers), np.float32)
    is_inside = scope.place(posted.chunks) >= 0
    frequencies = np.bincount(posted.terms, is_inside).astype(np.float32)
    weights = posted.impacts * rarity(frequencies, len(scope.numbers))[posted.terms]
    places = passing.place(posted.chunks)
    kept = places >= 0
    added = np.bincount(places[kept], weights[kept], minlength=len(passing.numbers))
    return added.astype(np.float32)


def swept(data: bytes, steps: bytes, alive: Rows) -> tuple[bytes, bytes]:
    """Return the postings of one term without chunks that are gone."""
    chunks = np.frombuffer(data, "<i4")
    kept = alive.place(chunks) >= 0
    return chunks[kept].tobytes(), np.frombuffer(steps, "<u2")[kept].tobytes()
