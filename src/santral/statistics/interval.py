"""Intervals: where a share, a mean or any other number would lie if the data were drawn again."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from santral.statistics.distribution import (
    beta_quantile,
    normal_cdf,
    normal_quantile,
    student_quantile,
)

Floats: TypeAlias = NDArray[np.float64]

#: Groups in which the jackknife leaves units out, at most. Chosen: the acceleration of n units in g
#: groups has the same expectation for every g, so more of them only cost time.
_MOST_GROUPS = 500
#: Numbers drawn at once. Chosen: 16 MB.
_MOST_DRAWN = 1_000_000


class Interval(Struct, frozen=True):
    """From where to where, and how often an interval made like this holds the truth."""

    low: float
    high: float
    level: float = 0.95

    def holds(self, value: float) -> bool:
        """Return whether a value lies within."""
        return self.low <= value <= self.high


class Estimate(Struct, frozen=True):
    """A number from ``n`` values in ``clusters`` independent groups, with its standard error.

    From one cluster nothing can be said of others: ``se`` is infinite, and so is the interval.
    """

    value: float
    se: float
    n: int
    clusters: int
    interval: Interval


def wilson(successes: float, n: float, level: float = 0.95) -> Interval:
    """Return the score interval of a share, also of weighted counts. Source: Wilson (1927), JASA 22:209."""
    if n == 0:
        return Interval(0.0, 1.0, level)
    z = normal_quantile(0.5 + level / 2)
    share, weight = successes / n, z * z / n
    middle = (share + weight / 2) / (1 + weight)
    margin = z / (1 + weight) * math.sqrt(share * (1 - share) / n + weight / (4 * n))
    low = 0.0 if successes == 0 else max(0.0, middle - margin)
    high = 1.0 if successes == n else min(1.0, middle + margin)
    return Interval(low, high, level)


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Return the exact interval of a share, never too narrow. Source: Clopper, Pearson (1934)."""
    tail = (1 - level) / 2
    low = beta_quantile(tail, successes, n - successes + 1) if successes else 0.0
    high = beta_quantile(1 - tail, successes + 1, n - successes) if successes < n else 1.0
    return Interval(low, high, level)


def clustered_mean(
    values: ArrayLike, clusters: Sequence[Hashable] | None = None, level: float = 0.95
) -> Estimate:
    """Return the mean of values that vary together within clusters; without them each stands alone.

    The interval is Student's with one degree of freedom less than there are clusters.
    Source: Miller (2024), arXiv 2411.00640, eq. 4, with the factor C/(C-1) of few clusters.

    Raises:
        ValueError: there are no values.
    """
    data, codes, count = _grouped(values, clusters)
    mean = float(data.mean())
    if count < 2:
        return Estimate(mean, math.inf, len(data), count, Interval(-math.inf, math.inf, level))
    sums = np.bincount(codes, weights=data - mean, minlength=count)
    se = math.sqrt(float(sums @ sums) * count / (count - 1)) / len(data)
    return Estimate(mean, se, len(data), count, student_interval(mean, se, count - 1, level))


def student_interval(value: float, se: float, df: float, level: float = 0.95) -> Interval:
    """Return the interval of a value whose standard error was estimated with ``df`` degrees."""
    margin = student_quantile(0.5 + level / 2, df) * se
    return Interval(value - margin, value + margin, level)


def normal_interval(value: float, se: float, level: float = 0.95) -> Interval:
    """Return the interval of a value whose standard error is as good as known."""
    margin = normal_quantile(0.5 + level / 2) * se
    return Interval(value - margin, value + margin, level)


def bootstrap(
    values: ArrayLike,
    statistic: Callable[[NDArray[Any]], float],
    rng: np.random.Generator,
    *,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the bias-corrected and accelerated interval of a statistic.

    Args:
        values: [n] numbers, or [n, k] rows that stay together.
        statistic: of such an array with any number of rows, in any order. Where it is no number
            (a resample without variance) that resample is left out.
        rng: draws the resamples.
        clusters: of each row; whole clusters are drawn.
        resamples: how many are drawn.
        level: of the interval.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, section 14.3.

    Raises:
        ValueError: there are no values.
    """
    data, codes, count = _grouped(values, clusters)
    if count < 2:
        return Interval(-math.inf, math.inf, level)
    drawn = _resampled(data, codes, count, statistic, rng, resamples)
    without = _jackknife(data, codes, count, statistic, rng)
    return _corrected_and_accelerated(float(statistic(data)), drawn, without, level)


def bootstrap_mean(
    values: ArrayLike,
    rng: np.random.Generator,
    *,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return what ``bootstrap`` does of a mean, some hundred times as fast."""
    data, codes, count = _grouped(values, clusters)
    if count < 2:
        return Interval(-math.inf, math.inf, level)
    sums = np.bincount(codes, weights=data, minlength=count)
    sizes = np.bincount(codes, minlength=count)
    drawn = np.empty(resamples)
    step = max(1, _MOST_DRAWN // count)
    for start in range(0, resamples, step):
        chosen = rng.integers(0, count, (min(step, resamples - start), count), dtype=np.int32)
        drawn[start : start + step] = sums[chosen].sum(1) / sizes[chosen].sum(1)
    without = (sums.sum() - sums) / (len(data) - sizes)
    return _corrected_and_accelerated(float(data.mean()), drawn, without, level)


def _corrected_and_accelerated(
    observed: float, drawn: Floats, without: Floats, level: float
) -> Interval:
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Interval(-math.inf, math.inf, level)
    if np.ptp(known) == 0.0:
        return Interval(float(known[0]), float(known[0]), level)
    shift, bend = _shift(known, observed), _acceleration(without)
    shares = [_corrected(share, shift, bend) for share in ((1 - level) / 2, (1 + level) / 2)]
    low, high = np.quantile(known, shares)
    return Interval(float(low), float(high), level)


def _grouped(
    values: ArrayLike, clusters: Sequence[Hashable] | None
) -> tuple[NDArray[Any], NDArray[np.intp], int]:
    data = np.asarray(values)
    if not len(data):
        raise ValueError("there are no values")
    if not np.issubdtype(data.dtype, np.number) or data.ndim == 1:
        data = data.astype(np.float64)
    if clusters is None:
        return data, np.arange(len(data)), len(data)
    if len(clusters) != len(data):
        raise ValueError(f"{len(data)} values have {len(clusters)} clusters")
    known: dict[Hashable, int] = {}
    codes = np.array([known.setdefault(cluster, len(known)) for cluster in clusters], np.intp)
    return data, codes, len(known)


def _resampled(
    data: NDArray[Any],
    codes: NDArray[np.intp],
    count: int,
    statistic: Callable[[NDArray[Any]], float],
    rng: np.random.Generator,
    resamples: int,
) -> Floats:
    drawn = np.empty(resamples)
    for index in range(resamples):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        drawn[index] = statistic(np.repeat(data, times[codes], axis=0))
    return drawn


def _shift(drawn: Floats, observed: float) -> float:
    below = np.count_nonzero(drawn < observed) + 0.5 * np.count_nonzero(drawn == observed)
    edge = 0.5 / len(drawn)
    return normal_quantile(min(max(below / len(drawn), edge), 1 - edge))


def _jackknife(
    data: NDArray[Any],
    codes: NDArray[np.intp],
    count: int,
    statistic: Callable[[NDArray[Any]], float],
    rng: np.random.Generator,
) -> Floats:
    group = np.arange(count) if count <= _MOST_GROUPS else rng.permutation(count) % _MOST_GROUPS
    left_out = group[codes]
    return np.array([statistic(data[left_out != g]) for g in range(int(group.max()) + 1)])


def _acceleration(without: Floats) -> float:
    away = without[np.isfinite(without)]
    away = away.mean() - away
    largest = float(np.abs(away).max(initial=0.0))
    if largest == 0.0:
        return 0.0
    away /= largest  # the third power of very small numbers would be nothing
    return float(np.sum(away**3)) / (6.0 * float(np.sum(away**2)) ** 1.5)


def _corrected(share: float, shift: float, bend: float) -> float:
    z = shift + normal_quantile(share)
    return normal_cdf(shift + z / (1 - bend * z))
