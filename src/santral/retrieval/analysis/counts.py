"""Counts: how often each term occurs in each chunk."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Integers: TypeAlias = NDArray[np.int32]
#: Stand for terms on disk, in sparse vectors and in SQL: the same in every process and release.
TermKeys: TypeAlias = NDArray[np.uint32]


class Terms(Struct, frozen=True):
    """Counted terms of some chunks: chunk ``i`` has entries ``starts[i]`` to ``starts[i + 1]``.

    keys: uint32 [entries], ascending within a chunk, no key twice; counts: uint16 [entries];
    starts: int64 [chunks + 1]; lengths: int32 [chunks], terms with repetition. ``terms.py`` makes them.
    """

    keys: TermKeys
    counts: NDArray[np.uint16]
    starts: NDArray[np.int64]
    lengths: Integers


class Counts(Struct, frozen=True):
    """Term counts of all chunks in coordinate form, rows ascending.

    rows, columns, counts: int32 [entries]; lengths: int32 [chunks], terms per chunk.
    """

    vocabulary: dict[str, int]
    rows: Integers
    columns: Integers
    counts: Integers
    lengths: Integers

    @property
    def frequencies(self) -> NDArray[np.int64]:
        """In how many chunks each term occurs: int64 [terms]."""
        return np.bincount(self.columns, minlength=len(self.vocabulary))


def term_keys(terms: Sequence[str]) -> NDArray[np.uint64]:
    """Return 64-bit keys that stand for terms on disk, the same in every process and release."""
    digests = b"".join([blake2b(term.encode(), digest_size=8).digest() for term in terms])
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64, copy=False)


def find_keys(keys: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the places in sorted ``keys`` where a wanted key is; others are left out."""
    places = np.searchsorted(keys, wanted)
    found = places[places < len(keys)]
    return found[keys[found] == wanted[places < len(keys)]]


def count_terms(bags: Iterable[Sequence[str]]) -> Counts:
    """Count the terms of each chunk; ``bags`` holds one list of terms per chunk."""
    vocabulary: dict[str, int] = {}
    columns, counts, sizes, lengths = array("i"), array("i"), array("i"), array("i")
    for bag in bags:
        counter = Counter(bag)
        columns.extend([vocabulary.setdefault(term, len(vocabulary)) for term in counter])
        counts.extend(counter.values())
        sizes.append(len(counter))
        lengths.append(len(bag))
    return Counts(
        vocabulary=vocabulary,
        rows=np.repeat(np.arange(len(sizes), dtype=np.int32), _array(sizes)),
        columns=_array(columns),
        counts=_array(counts),
        lengths=_array(lengths),
    )


def _array(values: array[Any]) -> Integers:
    return np.frombuffer(values, dtype=np.int32) if values else np.zeros(0, np.int32)
