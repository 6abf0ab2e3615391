"""Postings: which chunks hold a term and what it is worth there, as flat arrays that map from disk.

The weights are final: a search adds up slices and needs numpy only.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Counts, Floats, Integers, find_keys, term_keys

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
