"""Always-valid intervals: they hold at every look, so whoever peeks may stop."""

from __future__ import annotations

import math

from santral.statistics.interval import Interval


def always_valid_mean(
    n: int, mean: float, variance: float, *, alpha: float = 0.05, rho: float
) -> Interval:
    """Return an interval that holds the mean at all looks together with probability 1 - alpha.

    It is asymptotic: it holds from the point on where the mean of ``n`` values is about normal.

    Args:
        n: values so far.
        mean: of them.
        variance: of one of them.
        alpha: chance that the truth is ever left out.
        rho: decides at which ``n`` it is tightest, see ``rho_for``.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Annals of Statistics 52:2613
    (arXiv 2103.06476, eq. 9).
    """
    if n < 2:
        return Interval(-math.inf, math.inf, 1 - alpha)
    grown = n * rho * rho + 1.0
    margin = math.sqrt(variance * grown / (n * rho) ** 2 * math.log(grown / alpha**2))
    return Interval(mean - margin, mean + margin, 1 - alpha)


def always_valid_difference(
    n_a: int,
    mean_a: float,
    var_a: float,
    n_b: int,
    mean_b: float,
    var_b: float,
    *,
    alpha: float = 0.05,
    rho: float,
) -> Interval:
    """Return an interval of ``mean_b - mean_a`` that holds at all looks together.

    ``rho`` is tuned for the units of both arms together.
    """
    if n_a < 2 or n_b < 2:
        return Interval(-math.inf, math.inf, 1 - alpha)
    n = n_a + n_b
    variance = n * (var_a / n_a + var_b / n_b)
    return always_valid_mean(n, mean_b - mean_a, variance, alpha=alpha, rho=rho)


def always_valid_p(
    n_a: int, mean_a: float, var_a: float, n_b: int, mean_b: float, var_b: float, *, rho: float
) -> float:
    """Return the least alpha at which ``always_valid_difference`` leaves 0 out, 1 at most.

    It may be looked at as often as one likes, and adjusted for several metrics as any p-value.
    """
    if n_a < 2 or n_b < 2 or mean_a == mean_b:
        return 1.0
    n = n_a + n_b
    variance = n * (var_a / n_a + var_b / n_b)
    if variance == 0.0:
        return 0.0
    grown = n * rho * rho + 1.0
    away = (mean_b - mean_a) ** 2 * (n * rho) ** 2 / (2.0 * variance * grown)
    return min(1.0, math.exp(0.5 * math.log(grown) - away))


def rho_for(n: int, alpha: float = 0.05) -> float:
    """Return the ``rho`` with which intervals are tightest at about ``n`` values.

    The closed form with the bracket around the 1, as GrowthBook has it and not as TensorZero has.
    Source: arXiv 2103.06476, eq. 161: sqrt((-2 ln alpha + ln(-2 ln alpha + 1)) / n).
    """
    doubled = -2.0 * math.log(alpha)
    return math.sqrt((doubled + math.log(doubled + 1.0)) / n)
