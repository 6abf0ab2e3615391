"""Estimates: a mean over questions with the interval in which it would lie for other questions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

#: Resamples of a bootstrap. Chosen: the ends of an interval then move by about 1 % of its width.
RESAMPLES = 2_000
#: Share of intervals that hold the true mean. Chosen: the usual one.
CONFIDENCE = 0.95
SEED = 11


class Estimate(Struct, frozen=True):
    """A mean with its interval; ``n`` questions it is of."""

    mean: float
    low: float
    high: float
    n: int


def estimate(values: Sequence[float], resamples: int = RESAMPLES) -> Estimate:
    """Return the mean of some questions' values with its percentile bootstrap interval.

    Fewer than two questions tell nothing of others: the interval is the mean itself. Source: Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. Deterministic.
    """
    data = np.asarray(values, np.float64)
    if len(data) == 0:
        return Estimate(0.0, 0.0, 0.0, 0)
    mean = float(data.mean())
    if len(data) == 1:
        return Estimate(mean, mean, mean, 1)
    low, high = np.quantile(_means(data, resamples), _TAILS)
    return Estimate(mean, float(low), float(high), len(data))


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Return the mean of ``ours`` minus ``theirs`` on the same questions, in the same order.

    Paired: questions that are hard for both settings do not widen the interval.
    """
    if len(ours) != len(theirs):
        raise ValueError("two settings are compared on the same questions")
    return estimate(np.subtract(ours, theirs).tolist())


_TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)


def _means(data: NDArray[np.float64], resamples: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(SEED)
    means = np.empty(resamples)
    for number in range(resamples):  # one at a time: 10,000 questions would be 160 MB at once
        means[number] = data[rng.integers(0, len(data), len(data))].mean()
    return means
