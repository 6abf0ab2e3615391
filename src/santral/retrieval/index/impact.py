"""Impacts: how much an occurrence of a term says, before its rarity is counted in.

Every engine weighs terms by these, so that the same chunks get the same scores everywhere. The length
of a chunk is held against a fixed reference, not against the average of the collection: an impact
never changes when other chunks come and go.
"""

from __future__ import annotations

import numpy as np

from santral.retrieval.analysis.counts import Floats, Terms
from santral.retrieval.index.signal import Signal

#: BM25. Measured: docs/decisions/0007-retrieval.md.
K1 = 1.0
B = 0.5
#: Terms of a chunk of usual length, of each signal. Measured: against 120 and 1200 the fused nDCG@10
#: gains 0.4 on the average of five collections, 2.3 where chunks are short (CACM).
REFERENCE_LENGTHS: dict[Signal, float] = {"bm25": 80.0, "ngrams": 800.0}
#: No impact is larger.
MAX_IMPACT = K1 + 1


def impacts(terms: Terms, signal: Signal) -> Floats:
    """Return the impact of each entry: float32 [entries], above 0 and below ``MAX_IMPACT``.

    Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009.
    """
    norms = K1 * (1 - B + B * terms.lengths / REFERENCE_LENGTHS[signal])
    spread = np.repeat(norms, np.diff(terms.starts))
    counts = terms.counts.astype(np.float64)
    return (counts * (K1 + 1) / (counts + spread)).astype(np.float32)


def rarity(frequencies: Floats, chunks: int) -> Floats:
    """Return the inverse document frequency of terms in so many chunks; it is never negative."""
    return np.log1p((chunks - frequencies + 0.5) / (frequencies + 0.5)).astype(np.float32)
