"""Fusion: three scores become one, and the best come first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from santral.retrieval.analysis.counts import Floats
from santral.retrieval.index.entry import Candidates
from santral.retrieval.index.signal import Signal

#: In this order signals stand in the columns of ``scaled_signals``.
SIGNALS: tuple[Signal, ...] = ("bm25", "ngrams", "dense")


def scaled_signals(candidates: Candidates) -> Floats:
    """Return the signals of each candidate between 0 and 1: float32 [candidates, 3].

    Scaled by the least and the best of all chunks that passed: what a candidate gets does not depend on
    which others were found, and 0 always counts, so that the weakest match is still a match. Scores keep
    how clearly a signal prefers a chunk, which ranks do not: measured 4 to 5 points better than
    reciprocal rank fusion (docs/decisions/0007-retrieval.md).
    """
    raw = np.array(
        [[one.scores.get(name, 0.0) for name in SIGNALS] for one in candidates.found], np.float32
    ).reshape(len(candidates.found), len(SIGNALS))
    least = np.array([min(candidates.least.get(name, 0.0), 0.0) for name in SIGNALS], np.float32)
    span = np.array([candidates.best.get(name, 0.0) for name in SIGNALS], np.float32) - least
    is_there = span > np.maximum(-least, 0)
    shares = np.clip((raw - least) / np.where(is_there, span, 1), 0, 1) * is_there
    return shares.astype(np.float32)


def weighted(signals: Floats, weights: Mapping[Signal, float]) -> Floats:
    """Return the weighted sum of scaled signals: float32 [candidates]; weights need not sum to 1."""
    chosen = np.array([weights.get(name, 0.0) for name in SIGNALS], np.float32)
    return (signals @ (chosen / (chosen.sum() or 1))).astype(np.float32)
