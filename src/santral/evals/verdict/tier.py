"""Tiers: what an interval, a margin and the number of pairs allow to be said of one measure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from santral.evals.evaluator import Measure
from santral.evals.verdict.amount import size
from santral.evals.verdict.comparison import Tier
from santral.evals.verdict.gate import Gate
from santral.statistics.distribution import normal_quantile, student_quantile
from santral.statistics.paired import Paired, examples_needed


class Evidence(Struct, frozen=True, kw_only=True):
    """Everything that a tier rests on, in the measure's own unit."""

    measure: Measure
    found: Paired
    margin: float
    detectable: float
    p_holm: float  # of a measure that decides, over all of these; else its own p
    is_same: bool  # both runs gave the very same answers


def judge(evidence: Evidence, gate: Gate) -> tuple[Tier, str]:
    """Return the tier of a measure, and in words what may be concluded."""
    low, high = _towards_better(evidence)
    margin, found = evidence.margin, evidence.found
    if evidence.is_same and not (found.worse or found.better):
        return "noise", "Both runs gave the same answers."
    if found.n < gate.min_pairs:
        return (
            "not_enough_data",
            f"{found.n} pairs are fewer than the {gate.min_pairs} a test needs.",
        )
    if high < 0.0:
        return _worse(evidence, gate, high)
    if low > 0.0:
        return "improvement", ""
    if low > -margin:
        return "noise", f"Worse by more than {size(evidence.measure, margin)} is ruled out."
    if evidence.detectable <= margin:
        return "noise", _sees(evidence)
    return "not_enough_data", _blind(evidence, gate)


def detectable_of(measure: Measure, found: Paired, gate: Gate) -> float:
    """Return the smallest difference that pairs like these show.

    From the interval and not from the spread alone, so that it stays above 0 where all pairs agree.
    """
    half = (found.interval.high - found.interval.low) / 2.0
    quantile = normal_quantile(0.5 + gate.level / 2)
    return half * (quantile + normal_quantile(gate.power)) / quantile


def is_out_of_history(
    base: float, noise: float | None, past: Sequence[float], gate: Gate, margin: float
) -> bool:
    """Return whether base lies outside of what it used to be, by chance and by more than the margin.

    The interval for one more value of a series; its spread is at least what asking again causes.
    """
    if len(past) < gate.min_history:
        return False
    away = abs(base - float(np.mean(past)))
    spread = max(float(np.std(past, ddof=1)), noise or 0.0)
    reach = student_quantile(0.5 + gate.level / 2, len(past) - 1) * spread
    return away > max(reach * math.sqrt(1 + 1 / len(past)), margin)


def _worse(evidence: Evidence, gate: Gate, high: float) -> tuple[Tier, str]:
    margin = size(evidence.measure, evidence.margin)
    if high >= -evidence.margin:
        return "soft", f"Worse, but perhaps by less than the {margin} that a change may cost."
    if evidence.p_holm > 1 - gate.level:
        return (
            "not_enough_data",
            "It looks worse, but so few pairs differ that chance alone may have done it "
            f"(p = {evidence.p_holm:.3f} over all measures that decide).",
        )
    return "regression", f"Worse by more than the {margin} that a change may cost."


def _towards_better(evidence: Evidence) -> tuple[float, float]:
    """Return the interval of the difference so that above 0 is better."""
    interval = evidence.found.interval
    if evidence.measure.direction == "lower":
        return -interval.high, -interval.low
    return interval.low, interval.high


def _sees(evidence: Evidence) -> str:
    return f"With {evidence.found.n} examples a difference of {size(evidence.measure, evidence.detectable)} would have been seen."


def _blind(evidence: Evidence, gate: Gate) -> str:
    seen = size(evidence.measure, evidence.detectable)
    words = f"With {evidence.found.n} examples you cannot see less than {seen}"
    if evidence.margin <= 0.0 or not math.isfinite(evidence.detectable):
        return f"{words}."
    sd = evidence.detectable * math.sqrt(evidence.found.n)
    sd /= normal_quantile(0.5 + gate.level / 2) + normal_quantile(gate.power)
    needed = examples_needed(sd, evidence.margin, gate.power, 1 - gate.level)
    return f"{words}; {size(evidence.measure, evidence.margin)} need about {needed:,}."
