"""Fit: fusion weights and the ranker of one collection, from questions whose answers are known.

Used by evaluation and by ``scripts/train_ranker.py``. Nothing here runs while somebody searches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Floats
from santral.retrieval.extra import needed
from santral.retrieval.index.signal import Signal
from santral.retrieval.search.fuse import SIGNALS

#: How far apart the weights are that are tried: less is noise on a thousand questions.
STEP = 0.05
#: Places of a ranking that count.
_DEPTH = 10
#: What features differ by between candidates, roughly: the penalty is meant for columns that differ by 1.
_SPREAD = 0.2
#: Questions below which a collection should not have a ranker of its own. Measured on five
#: collections, trained and measured on different questions: 225 and more gain 1.0 to 3.9 points of
#: nDCG@10, 52 lose 2.
LEAST_QUESTIONS = 200
#: Penalty on the features of a collection's own ranker: less than of one that has to carry over.
OWN_PENALTY = 0.01


class Judgement(Struct, frozen=True):
    """What was found for one question, and how good it is.

    columns: float32 [candidates, n], the scaled signals for ``fit_weights``, features for
    ``fit_ranker``; gains: float32 [candidates], 0 for what answers nothing; ideal: the discounted gain
    of the best ranking there could be, from ``ideal_of``.
    """

    columns: Floats
    gains: Floats
    ideal: float


def ideal_of(gains: Sequence[float]) -> float:
    """Return the discounted gain of everything that answers a question, in its best order."""
    best = sorted(gains, reverse=True)[:_DEPTH]
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(best))


def mean_ndcg(judged: Sequence[Judgement], weights: Sequence[float]) -> float:
    """Return the mean nDCG@10 where candidates are ordered by the weighted sum of their columns."""
    vector = np.array(weights, np.float32)
    return sum(_ndcg(one, one.columns @ vector) for one in judged) / max(len(judged), 1)


def fit_weights(
    judged: Sequence[Judgement], start: Mapping[Signal, float]
) -> tuple[dict[Signal, float], float, float]:
    """Return the fusion weights that put answers first, their nDCG@10, and that of ``start``.

    Every combination in steps of ``STEP`` is tried; among equals the nearest to ``start`` wins.
    """
    steps = round(1 / STEP)
    first = [start.get(name, 0.0) for name in SIGNALS]
    before = mean_ndcg(judged, first)
    best, weights = before, tuple(first)
    tried = [
        (bm25 * STEP, ngrams * STEP, (steps - bm25 - ngrams) * STEP)
        for bm25, ngrams in product(range(steps + 1), repeat=2)
        if bm25 + ngrams <= steps
    ]
    for candidate in sorted(tried, key=lambda one: math.dist(one, first)):
        found = mean_ndcg(judged, candidate)
        if found > best + 1e-6:
            best, weights = found, candidate
    return dict(zip(SIGNALS, (round(one, 2) for one in weights), strict=True)), best, before


def fit_ranker(
    collections: Sequence[Sequence[Judgement]], names: Sequence[str], penalty: float
) -> dict[str, float]:
    """Return weights of features, that of ``fused`` being 1; collections count alike.

    Maximises the probability that answers come first (ListNet, top one; Cao et al., Learning to Rank,
    2007), with a penalty on everything but the fused score.

    Raises:
        StoreError: the ``rag`` extra is not installed.
    """
    optimize = needed("scipy.optimize", "to train a ranker")
    parts = [_part(judged) for judged in collections]
    punished = np.array([0.0 if name == "fused" else penalty for name in names])

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total, slope = float(punished @ (weights * weights)), 2 * punished * weights
        for part in parts:
            cost, own = _cost(part, weights)
            total, slope = total + cost / len(parts), slope + own / len(parts)
        return total, slope

    start = np.zeros(len(names))
    found: Any = optimize.minimize(loss, start, jac=True, method="L-BFGS-B")
    unit = max(float(found.x[list(names).index("fused")]), 1e-9)
    return {name: round(float(w) / unit, 4) for name, w in zip(names, found.x, strict=True)}


class _Part(Struct, frozen=True):
    """The answerable questions of a collection, one after the other."""

    columns: NDArray[np.float64]
    wanted: NDArray[np.float64]
    starts: NDArray[np.int64]
    owners: NDArray[np.int64]


def _part(judged: Sequence[Judgement]) -> _Part:
    kept = [one for one in judged if one.gains.any()]
    sizes = [len(one.gains) for one in kept]
    return _Part(
        columns=np.concatenate([one.columns for one in kept]).astype(np.float64) / _SPREAD,
        wanted=np.concatenate([(one.gains > 0) / (one.gains > 0).sum() for one in kept]),
        starts=np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64),
        owners=np.repeat(np.arange(len(kept)), sizes),
    )


def _cost(part: _Part, weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return the mean cross entropy between answers and the softmax of scores, and its slope."""
    scores = part.columns @ weights
    shifted = scores - np.maximum.reduceat(scores, part.starts)[part.owners]
    sums = np.add.reduceat(np.exp(shifted), part.starts)[part.owners]
    cost = -float((part.wanted * (shifted - np.log(sums))).sum())
    slope = (np.exp(shifted) / sums - part.wanted) @ part.columns
    return cost / len(part.starts), slope / len(part.starts)


def _ndcg(judgement: Judgement, scores: Floats) -> float:
    order = np.argsort(-scores, kind="stable")[:_DEPTH]
    discounts = 1 / np.log2(np.arange(2, len(order) + 2))
    return float(judgement.gains[order] @ discounts) / judgement.ideal if judgement.ideal else 0.0
