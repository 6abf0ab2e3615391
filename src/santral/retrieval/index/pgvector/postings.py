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
    """Some chunks of a partition: their numbers, ascending, and the place of each from 1; 0: not here.

    numbers: int32 [chunks]; places: int32 [highest number + 2], the last one always 0.
    """

    numbers: Numbers
    places: Numbers

    def place(self, numbers: Numbers) -> Numbers:
        """Return where these chunks are among the rows, from 1; 0 for those that are not."""
        return self.places.take(numbers, mode="clip")


class Posted(Struct, frozen=True):
    """Postings of one field for some terms, in runs of one term each.

    terms, sizes: int64 [runs], the term's place among all terms and how many entries the run has;
    chunks: int32 [entries]; impacts: uint16 [entries].
    """

    terms: NDArray[np.int64]
    sizes: NDArray[np.int64]
    chunks: Numbers
    impacts: NDArray[np.uint16]


def rows_of(data: bytes) -> Rows:
    """Make rows of big-endian numbers, ascending."""
    numbers = np.frombuffer(data, ">i4").astype(np.int32)
    places = np.zeros(int(numbers[-1]) + 2 if len(numbers) else 1, np.int32)
    places[numbers] = np.arange(1, len(numbers) + 1, dtype=np.int32)
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
    """Read rows with ``key``, ``chunks`` and ``impacts``; none is empty."""
    _, terms = np.unique(np.array([row["key"] for row in rows], np.int64), return_inverse=True)
    return Posted(
        terms=terms.astype(np.int64),
        sizes=np.array([len(row["chunks"]) // 4 for row in rows], np.int64),
        chunks=np.frombuffer(b"".join([row["chunks"] for row in rows]), "<i4"),
        impacts=np.frombuffer(b"".join([row["impacts"] for row in rows]), "<u2"),
    )


def scores(posted: Posted, scope: Rows, passing: Rows) -> Floats:
    """Return the BM25 score of each chunk that passes: float32 [passing], 0 without a match.

    How rare a term is, is counted over the chunks of the scope. Few passes over the entries: there
    are some hundred thousand.
    """
    if not len(posted.terms):
        return np.zeros(len(passing.numbers), np.float32)
    places = scope.place(posted.chunks)
    starts = np.concatenate([np.zeros(1, np.int64), posted.sizes[:-1].cumsum()])
    inside = np.add.reduceat(places > 0, starts, dtype=np.int64)
    frequencies = np.bincount(posted.terms, inside).astype(np.float32)
    rarities = rarity(frequencies, len(scope.numbers)) * np.float32(_STEP)
    weights = posted.impacts * np.repeat(rarities[posted.terms], posted.sizes)
    if passing is not scope:
        places = passing.place(posted.chunks)
    added = np.bincount(places, weights, minlength=len(passing.numbers) + 1)
    return added[1:].astype(np.float32)


def swept(data: bytes, steps: bytes, alive: Rows) -> tuple[bytes, bytes]:
    """Return the postings of one term without chunks that are gone."""
    chunks = np.frombuffer(data, "<i4")
    kept = alive.place(chunks) > 0
    return chunks[kept].tobytes(), np.frombuffer(steps, "<u2")[kept].tobytes()
