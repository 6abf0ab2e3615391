"""Postings: which chunks hold a term and what it is worth there, as flat arrays that map from disk.

The weights are final: a search adds up slices and needs numpy only.
"""

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

#: BM25's saturation and length settings. Measured: docs/decisions/0007-retrieval.md.
K1 = 1.0
B = 0.5


class Postings(Struct, frozen=True):
    """The inverted index of one signal.

    keys: uint64 [terms], sorted; starts: int64 [terms + 1]; rows: int32 [entries], the chunks of a
    term in order; weights: float32 [entries], its BM25 weight in each.
    """

    keys: NDArray[np.uint64]
    starts: NDArray[np.int64]
    rows: Integers
    weights: Floats

    def scores(self, terms: Iterable[str], size: int) -> Floats:
        """Return the BM25 score of each of ``size`` chunks: float32 [size], 0 without a match."""
        wanted = term_keys(list(terms))
        spans = [(self.starts[i], self.starts[i + 1]) for i in find_keys(self.keys, wanted)]
        if not spans:
            return np.zeros(size, np.float32)
        rows = np.concatenate([self.rows[start:end] for start, end in spans])
        weights = np.concatenate([self.weights[start:end] for start, end in spans])
        return np.bincount(rows, weights, minlength=size).astype(np.float32)


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


def build_postings(counted: Counts) -> Postings:
    """Weigh counts by BM25 with the idf that is never negative, and sort them by term.

    Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009.
    """
    size = len(counted.lengths)
    frequencies = counted.frequencies
    idf = np.log1p((size - frequencies + 0.5) / (frequencies + 0.5))
    average = max(float(counted.lengths.mean()), 1.0) if size else 1.0
    norms = K1 * (1 - B + B * counted.lengths / average)
    weights = idf[counted.columns] * (counted.counts * (K1 + 1))
    weights /= counted.counts + norms[counted.rows]
    keys = term_keys(list(counted.vocabulary))
    ranks = np.empty(len(keys), np.int64)
    by_key = np.argsort(keys, kind="stable")
    ranks[by_key] = np.arange(len(keys))
    order = np.argsort(ranks[counted.columns], kind="stable")
    starts = np.zeros(len(keys) + 1, np.int64)
    np.cumsum(frequencies[by_key], out=starts[1:])
    return Postings(keys[by_key], starts, counted.rows[order], weights[order].astype(np.float32))


def _array(values: array[Any]) -> Integers:
    return np.frombuffer(values, dtype=np.int32) if values else np.zeros(0, np.int32)
