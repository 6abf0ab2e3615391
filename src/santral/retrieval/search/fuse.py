"""Fusion: three scores become one, and the best come first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Floats
from santral.retrieval.index.signal import Signal


def fuse(signals: Mapping[Signal, Floats], weights: Mapping[Signal, float]) -> Floats:
    """Return the weighted sum of the signals, each scaled to 0..1 over the chunks of this search.

    Weights need not sum to 1. Scores keep how clearly a signal prefers a chunk, which ranks do not:
    measured 4 to 5 points better than reciprocal rank fusion (docs/decisions/0007-retrieval.md).
    """
    total = sum(weights.get(name, 0.0) for name in signals) or 1.0
    parts = [scaled(scores) * (weights.get(name, 0.0) / total) for name, scores in signals.items()]
    return np.add.reduce(parts).astype(np.float32, copy=False)


def scaled(scores: Floats) -> Floats:
    """Return the scores between 0 (no match, or the least) and 1 (the best); all 0 without a match.

    0 always counts among the scores: where every chunk matches, the weakest is still a match.
    """
    best = scores.max(initial=0)
    if best <= 0:
        return np.zeros_like(scores)
    least = scores.min(initial=0)
    return (scores - least) / (best - least)


def best_rows(scores: Floats, count: int) -> NDArray[np.intp]:
    """Return the rows of the ``count`` highest scores above zero, best first, ties in row order."""
    if count < len(scores):
        bound = np.partition(scores, len(scores) - count)[len(scores) - count]
        rows = np.flatnonzero(scores >= bound)
    else:
        rows = np.arange(len(scores))
    rows = rows[scores[rows] > 0]
    return rows[np.argsort(-scores[rows], kind="stable")][:count]
