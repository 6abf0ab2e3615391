"""Paired comparison: the same examples before and after a change."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from santral.statistics.distribution import (
    binomial_two_sided,
    chi2_tail,
    normal_cdf,
    normal_quantile,
    student_tail,
)
from santral.statistics.interval import (
    Estimate,
    Floats,
    Interval,
    bootstrap_mean,
    clustered_mean,
)

Method: TypeAlias = Literal["mcnemar", "wilcoxon", "clustered_t"]

#: Discordant pairs from which McNemar's chi-square is used in place of the exact test.
_EXACT_DISCORDANT = 25
#: Differences up to which Wilcoxon's distribution is counted out.
_EXACT_DIFFERENCES = 50
#: Clusters below which the bootstrap alone is too narrow: measured, see docs/decisions/0033.
_FEW_CLUSTERS = 30


class Paired(Struct, frozen=True):
    """Base against head over ``n`` pairs. ``difference`` is head minus base.

    ``worse`` and ``better`` count the pairs in which head's number is the lower and the higher one.
    """

    n: int
    base: float
    head: float
    difference: float
    se: float
    interval: Interval
    p: float
    method: Method
    worse: int
    better: int


def compare_paired(
    base: ArrayLike,
    head: ArrayLike,
    *,
    clusters: Sequence[Hashable] | None = None,
    is_binary: bool = False,
    level: float = 0.95,
    rng: np.random.Generator,
) -> Paired:
    """Compare two numbers of each example, those of its repeats averaged.

    Yes or no is tested by McNemar and gets Newcombe's interval; numbers are tested by Wilcoxon and
    get a BCa interval of the mean difference. Both tests take pairs for independent: where clusters
    hold several, Student's t over clusters takes their place.

    Args:
        base: [n] a number of each example.
        head: [n] of the same examples in the same order.
        clusters: of each example; examples of one vary together.
        is_binary: numbers are shares of yes.
        level: of the interval.
        rng: draws the bootstrap.

    Raises:
        ValueError: there are no pairs, or not the same number on both sides.
    """
    before, after = np.asarray(base, np.float64), np.asarray(head, np.float64)
    if before.shape != after.shape:
        raise ValueError(f"{before.shape[0]} numbers of base face {after.shape[0]} of head")
    differences = after - before
    mean = clustered_mean(differences, clusters, level)
    is_counted = is_binary and bool(
        np.isin(before, (0.0, 1.0)).all() and np.isin(after, (0.0, 1.0)).all()
    )
    worse, better = int(np.count_nonzero(differences < 0)), int(np.count_nonzero(differences > 0))
    p, method = _tested(differences, mean, is_counted, worse, better)
    if is_counted:
        interval = _newcombe(before, after, mean, level)
    else:
        interval = _mean_interval(differences, clusters, mean, level, rng)
    return Paired(
        mean.n, float(before.mean()), float(after.mean()), mean.value, mean.se, interval, p, method,
        worse, better,
    )  # fmt: skip


def mcnemar(worse: int, better: int) -> float:
    """Return how likely counts this uneven are when neither direction is more likely.

    Exact below 25 discordant pairs, without mid-p: that is the more powerful test, but may exceed
    its level, which a gate promises to keep. From 25 on the chi-square with Edwards' correction, as
    R's mcnemar.test. Source: McNemar (1947), Psychometrika 12:153; Edwards (1948).
    """
    discordant = worse + better
    if discordant < _EXACT_DISCORDANT:
        return binomial_two_sided(worse, discordant)
    return chi2_tail((abs(worse - better) - 1) ** 2 / discordant, 1)


def wilcoxon(differences: ArrayLike) -> float:
    """Return the two-sided p-value of the signed ranks; differences of 0 are left out.

    Up to 50 differences all signs are counted out, which stays exact with ties; above that the
    normal approximation with the correction for ties, as scipy.stats.wilcoxon.
    Source: Wilcoxon (1945), Biometrics Bulletin 1:80; Hollander and Wolfe (1999), section 3.1.
    """
    data = np.asarray(differences, np.float64)
    data = data[data != 0.0]
    if not len(data):
        return 1.0
    doubled = _doubled_ranks(np.abs(data))
    positive = int(doubled[data > 0].sum())
    if len(data) <= _EXACT_DIFFERENCES:
        return _exact(doubled, positive)
    return _approximate(doubled, positive)


def detectable_difference(
    sd_of_differences: float, n: int, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Return the smallest difference that ``n`` pairs show with the given power.

    Source: Miller (2024), arXiv 2411.00640, section 5; any textbook on sample sizes.
    """
    if n < 1:
        return math.inf
    return _both_tails(power, alpha) * sd_of_differences / math.sqrt(n)


def examples_needed(sd: float, difference: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return how many pairs show a difference with the given power, where pairs vary by ``sd``."""
    if difference == 0.0:
        raise ValueError("no number of examples shows a difference of 0")
    return max(1, math.ceil((_both_tails(power, alpha) * sd / difference) ** 2 - 1e-9))


def _both_tails(power: float, alpha: float) -> float:
    return normal_quantile(1 - alpha / 2) + normal_quantile(power)


def _tested(
    differences: Floats, mean: Estimate, is_counted: bool, worse: int, better: int
) -> tuple[float, Method]:
    if mean.clusters < mean.n:
        if mean.clusters < 2:
            return 1.0, "clustered_t"
        if mean.se == 0.0:
            return float(mean.value == 0.0), "clustered_t"
        return student_tail(mean.value / mean.se, mean.clusters - 1), "clustered_t"
    if is_counted:
        return mcnemar(worse, better), "mcnemar"
    return wilcoxon(differences), "wilcoxon"


def _newcombe(before: Floats, after: Floats, mean: Estimate, level: float) -> Interval:
    """Return the interval of a difference of paired shares, which two equal runs leave wide.

    Clusters count for as many pairs as vary as much as they do.
    Source: Newcombe (1998), Statistics in Medicine 17:2635, method 10.
    """
    n = _pairs_worth(after - before, mean)
    both, only_after = float((before * after).mean()), float((after * (1 - before)).mean())
    only_before = float((before * (1 - after)).mean())
    share_after, share_before = both + only_after, both + only_before
    one, two = _wilson_of_share(share_after, n, level), _wilson_of_share(share_before, n, level)
    phi = _phi(both, only_after, only_before, n)
    down = _apart(share_after - one.low, two.high - share_before, phi)
    up = _apart(one.high - share_after, share_before - two.low, phi)
    return Interval(max(-1.0, mean.value - down), min(1.0, mean.value + up), level)


def _pairs_worth(differences: Floats, mean: Estimate) -> float:
    if mean.clusters == mean.n or mean.clusters < 2 or mean.se == 0.0:
        return float(mean.clusters)
    alone = float(differences.var(ddof=1)) / mean.n
    return min(float(mean.n), mean.n * alone / mean.se**2)


def _wilson_of_share(share: float, n: float, level: float) -> Interval:
    z = normal_quantile(0.5 + level / 2)
    weight = z * z / n
    middle = (share + weight / 2) / (1 + weight)
    margin = z / (1 + weight) * math.sqrt(share * (1 - share) / n + weight / (4 * n))
    return Interval(middle - margin, middle + margin, level)


def _phi(both: float, only_after: float, only_before: float, n: float) -> float:
    neither = 1.0 - both - only_after - only_before
    rows = (both + only_after) * (only_before + neither) * (both + only_before)
    product = rows * (only_after + neither)
    if product <= 0.0:
        return 0.0
    excess = both * neither - only_after * only_before
    if excess > 0.0:
        excess = max(excess - 0.5 / n, 0.0)
    return excess / math.sqrt(product)


def _apart(one: float, two: float, phi: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * phi * one * two + two * two))


def _mean_interval(
    differences: Floats,
    clusters: Sequence[Hashable] | None,
    mean: Estimate,
    level: float,
    rng: np.random.Generator,
) -> Interval:
    drawn = bootstrap_mean(differences, rng, clusters=clusters, level=level)
    if mean.clusters >= _FEW_CLUSTERS:
        return drawn
    low, high = min(drawn.low, mean.interval.low), max(drawn.high, mean.interval.high)
    return Interval(low, high, level)


def _doubled_ranks(sizes: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    _, inverse, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (2 * last - counts + 1)[inverse].astype(np.int64)


def _exact(doubled: np.ndarray[tuple[int], np.dtype[np.int64]], positive: int) -> float:
    total = int(doubled.sum())
    ways = np.zeros(total + 1)
    ways[0] = 1.0
    for rank in doubled.tolist():
        ways[rank:] = (ways[rank:] + ways[: total + 1 - rank]) / 2.0
        ways[:rank] /= 2.0
    tail = min(float(ways[: positive + 1].sum()), float(ways[positive:].sum()))
    return min(1.0, 2.0 * tail)


def _approximate(doubled: np.ndarray[tuple[int], np.dtype[np.int64]], positive: int) -> float:
    n = len(doubled)
    _, ties = np.unique(doubled, return_counts=True)
    variance = n * (n + 1) * (2 * n + 1) / 24 - float((ties**3 - ties).sum()) / 48
    z = (positive / 2 - n * (n + 1) / 4) / math.sqrt(variance)
    return min(1.0, 2.0 * normal_cdf(-abs(z)))
