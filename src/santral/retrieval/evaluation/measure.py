"""Measures of a ranking, as trec_eval defines them, and of what a model is given.

All take the gains of what was found, best first: 0 for what does not answer. Nothing is averaged here
but where a name says so, and nothing is NaN: a question without an answer has no ranking to measure.

Sources: trec_eval (recall, P, recip_rank, map, ndcg_cut: gain = relevance, discount log2(rank + 1));
Es et al., Ragas, 2023 (context precision and recall).
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def recall(counts: Sequence[int], relevant: int, cut: int) -> float:
    """Return the share of the ``relevant`` answers that the first ``cut`` hold; ``counts`` of each."""
    return sum(counts[:cut]) / relevant


def precision(gains: Sequence[float], cut: int) -> float:
    """Return the share of the first ``cut`` places that hold a relevant one."""
    return sum(gain > 0 for gain in gains[:cut]) / cut


def reciprocal_rank(gains: Sequence[float], cut: int) -> float:
    """Return 1 over the place of the first relevant one, 0 beyond the ``cut``."""
    for place, gain in enumerate(gains[:cut], 1):
        if gain > 0:
            return 1 / place
    return 0.0


def average_precision(gains: Sequence[float], relevant: int) -> float:
    """Return the mean of the precisions at the relevant ones; those not found count 0."""
    found, total = 0, 0.0
    for place, gain in enumerate(gains, 1):
        if gain > 0:
            found += 1
            total += found / place
    return total / relevant


def ndcg(gains: Sequence[float], ideal: Sequence[float], cut: int) -> float:
    """Return the discounted gain of the first ``cut`` over that of the best order possible.

    ``ideal`` holds the gains of everything relevant, found or not, in any order.
    """
    best = _dcg(sorted(ideal, reverse=True)[:cut])
    return _dcg(gains[:cut]) / best if best else 0.0


def context_precision(hits: Sequence[bool]) -> float:
    """Return how early the passages that help stand among those given: average precision over them."""
    return average_precision([float(hit) for hit in hits], max(sum(hits), 1))


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, 1))
