"""Diversity: among good chunks prefer those that say something else (maximal marginal relevance)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Floats
from santral.retrieval.index.entry import Candidate


def diverse_order(
    found: Sequence[Candidate], scores: Floats, diversity: float, count: int
) -> NDArray[np.intp]:
    """Return the places of ``count`` candidates, each the best given those before it, then the rest.

    ``scores`` are between 0 and 1. Candidates without vectors are like nothing else.

    Source: Carbonell and Goldstein, The Use of MMR, 1998, section 2, with lambda = 1 - diversity.
    """
    order = np.argsort(-scores, kind="stable")
    alike = _likeness(found)
    nearest = np.zeros(len(found), np.float32)
    chosen: list[int] = []
    left = np.ones(len(found), bool)
    for _ in range(min(count, len(found))):
        gains = np.where(left, (1 - diversity) * scores - diversity * nearest, -np.inf)
        best = int(order[gains[order].argmax()])
        chosen.append(best)
        left[best] = False
        np.maximum(nearest, alike[best], out=nearest)
    return np.array([*chosen, *(row for row in order.tolist() if left[row])], np.intp)


def _likeness(found: Sequence[Candidate]) -> Floats:
    """Return the cosine of each pair: float32 [candidates, candidates], 0 where one has no vector."""
    size = next((len(one.vector) for one in found if one.vector is not None), 0)
    empty = np.zeros(size, np.float32)
    vectors = np.array([empty if one.vector is None else one.vector for one in found], np.float32)
    return vectors @ vectors.T
