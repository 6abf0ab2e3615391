"""Assignment: whether units fell to arms as meant, and means of units instead of requests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from santral.statistics.distribution import chi2_tail
from santral.statistics.interval import Estimate, Floats, student_interval


def sample_ratio(counts: Sequence[int], expected_shares: Sequence[float]) -> float:
    """Return how likely counts this far from the expected shares are by chance.

    Below 0.001 something else than chance chose, and no result of the experiment can be read.
    Source: Pearson's chi-square; Fabijan et al. (2019), KDD, on sample ratio mismatch.
    """
    observed = np.asarray(counts, np.float64)
    shares = np.asarray(expected_shares, np.float64)
    if observed.shape != shares.shape or (shares < 0).any() or shares.sum() <= 0:
        raise ValueError("every count needs a share, none of them negative")
    possible = shares > 0
    if observed[~possible].any():
        return 0.0
    expected = observed.sum() * shares[possible] / shares.sum()
    if len(expected) < 2 or observed.sum() == 0:
        return 1.0
    away = float(((observed[possible] - expected) ** 2 / expected).sum())
    return chi2_tail(away, len(expected) - 1)


def cuped(y: ArrayLike, x: ArrayLike) -> tuple[Floats, float, float]:
    """Return ``y`` without what ``x`` of the time before explains of it.

    Take the units of all arms together: one ``theta`` for each arm would move their difference.

    Args:
        y: [n] the metric of each unit.
        x: [n] the same metric of the same units before the experiment.

    Returns:
        The adjusted metric, with the same mean; theta; and its variance as a share of y's, which is
        1 minus the square of their correlation.

    Source: Deng, Xu, Kohavi and Walker (2013), WSDM, eq. 4 and 5.
    """
    after, before = np.asarray(y, np.float64), np.asarray(x, np.float64)
    if after.shape != before.shape:
        raise ValueError(f"{after.shape[0]} units after face {before.shape[0]} before")
    centred = before - before.mean() if len(before) else before
    spread, whole = float(centred @ centred), float(after.var()) if len(after) else 0.0
    if spread == 0.0 or whole == 0.0:
        return after.copy(), 0.0, 1.0
    theta = float(centred @ (after - after.mean())) / spread
    adjusted = after - theta * centred
    return adjusted, theta, float(adjusted.var()) / whole


def ratio_of_means(numerators: ArrayLike, denominators: ArrayLike, level: float = 0.95) -> Estimate:
    """Return a ratio such as cost per request, with the error that units cause and not requests.

    Args:
        numerators: [n] a sum of each unit.
        denominators: [n] what it is divided by, of the same units.
        level: of the interval.

    Source: delta method; Deng, Knoblich and Lu (2018), KDD, section 3.

    Raises:
        ValueError: there are no units, or all denominators are 0.
    """
    top, bottom = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if top.shape != bottom.shape or not len(top) or bottom.sum() == 0.0:
        raise ValueError("a ratio needs units with something to divide by")
    n, ratio = len(top), float(top.sum() / bottom.sum())
    if n < 2:
        return Estimate(ratio, math.inf, n, n, student_interval(ratio, math.inf, 1, level))
    rest = (top - ratio * bottom) / float(bottom.mean())
    se = math.sqrt(float(rest @ rest) / (n - 1) / n)
    return Estimate(ratio, se, n, n, student_interval(ratio, se, n - 1, level))
