"""Rates of all traffic from items that came in with known probabilities.

Each judged item stands for 1/p requests (Horvitz and Thompson, 1952). The rate is the weighted share of
those that were judged (Hajek, 1971): that leaves no room for an unknown total. Its interval counts the
items as Kish's effective number, (sum of weights)^2 / sum of squared weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from santral.statistics.interval import Interval, student_interval, wilson


class Rate(Struct, frozen=True, kw_only=True):
    """A share or mean over traffic, from judged items."""

    value: float
    interval: Interval
    n: int  # items that were judged
    effective: float  # what they are worth beside as many of equal weight
    stands_for: float  # requests, by their weights


def weighted_share(hits: Sequence[bool], probabilities: Sequence[float]) -> Rate | None:
    """Return the share of traffic that hits; None without items."""
    if not hits:
        return None
    weights = 1 / np.asarray(probabilities, np.float64)
    total = float(weights.sum())
    value = float(weights[np.asarray(hits, bool)].sum() / total)
    effective = total**2 / float((weights**2).sum())
    interval = wilson(value * effective, effective)
    return Rate(value=value, interval=interval, n=len(hits), effective=effective, stands_for=total)


def weighted_mean(values: Sequence[float], probabilities: Sequence[float]) -> Rate | None:
    """Return the mean over traffic, with Student's interval of its linearised error; None where fewer
    than two items were judged. Source: Särndal, Swensson and Wretman (1992), section 5.7."""
    if len(values) < 2:
        return None
    numbers = np.asarray(values, np.float64)
    weights = 1 / np.asarray(probabilities, np.float64)
    total, n = float(weights.sum()), len(numbers)
    mean = float((weights * numbers).sum() / total)
    effective = total**2 / float((weights**2).sum())
    errors = weights * (numbers - mean)
    se = math.sqrt(float((errors**2).sum()) * n / (n - 1)) / total
    interval = student_interval(mean, se, max(1.0, effective - 1))
    return Rate(value=mean, interval=interval, n=n, effective=effective, stands_for=total)
