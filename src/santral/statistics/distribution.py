"""Distributions: probabilities and quantiles. Those of the normal need no extra, all others scipy."""

from __future__ import annotations

import importlib
import math
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np

from santral.errors import StoreError

_NORMAL = NormalDist()

#: Degrees of freedom up to which the tail of chi-square is summed here. Chosen: arms of an experiment.
_FEW = 32


def normal_cdf(x: float) -> float:
    """Return how likely a standard normal value is at most ``x``."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def normal_quantile(p: float) -> float:
    """Return the value below which a standard normal one lies with probability ``p``."""
    if p <= 0.0 or p >= 1.0:
        return -math.inf if p <= 0.0 else math.inf
    return _NORMAL.inv_cdf(p)


def student_quantile(p: float, df: float) -> float:
    """Return the value below which Student's t with ``df`` degrees of freedom lies with ``p``."""
    return float(_special().stdtrit(df, p))


def student_tail(t: float, df: float) -> float:
    """Return how likely Student's t is at least as far from 0 as ``t``, on either side."""
    return float(2.0 * _special().stdtr(df, -abs(t)))


def chi2_tail(x: float, df: float) -> float:
    """Return how likely a chi-square value is above ``x``; few whole degrees need no extra."""
    if df == int(df) and 1 <= df <= _FEW:
        return _whole_chi2_tail(max(x, 0.0) / 2.0, int(df))
    return float(_special().chdtrc(df, max(x, 0.0)))


def _whole_chi2_tail(half: float, df: int) -> float:
    """The finite sum for whole degrees of freedom. Source: Abramowitz and Stegun, 26.4.4 and 26.4.5."""
    if df % 2:
        first = math.erfc(math.sqrt(half))
        terms = (half ** (i - 0.5) / math.gamma(i + 0.5) for i in range(1, (df + 1) // 2))
    else:
        first = 0.0
        terms = (half**i / math.factorial(i) for i in range(df // 2))
    return min(1.0, first + math.exp(-half) * sum(terms))


def chi2_quantile(p: float, df: float) -> float:
    """Return the value below which a chi-square one lies with probability ``p``."""
    return float(_special().chdtri(df, 1.0 - p))


def beta_quantile(p: float, a: float, b: float) -> float:
    """Return the value below which a beta distributed one lies with probability ``p``."""
    return float(_special().betaincinv(a, b, p))


def binomial_two_sided(k: int, n: int, p: float = 0.5) -> float:
    """Return how likely an outcome is that is at most as likely as ``k`` of ``n``.

    Source: Clopper and Pearson (1934) with the two-sided rule of R's binom.test: the probabilities
    of all outcomes that are no likelier than the observed one, within a relative error of 1e-7.
    """
    if n == 0:
        return 1.0
    if p in (0.0, 1.0):
        return float(k == round(p * n))
    special, counts = _special(), np.arange(n + 1)
    ways = special.gammaln(n + 1) - special.gammaln(counts + 1) - special.gammaln(n - counts + 1)
    likely = np.exp(ways + counts * math.log(p) + (n - counts) * math.log1p(-p))
    return min(1.0, float(likely[likely <= likely[k] * (1.0 + 1e-7)].sum()))


@cache
def _special() -> Any:
    try:
        return importlib.import_module("scipy.special")
    except ImportError:
        raise StoreError(
            "'scipy' is needed for statistics and is not installed. "
            "Install it with: pip install 'santral[evals]'",
            code="extra_missing",
        ) from None
