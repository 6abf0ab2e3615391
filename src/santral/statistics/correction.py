"""Correction: what people's labels of a sample say of the number that a judge gave to everything."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from santral.statistics.interval import Estimate, Interval, normal_interval


def rogan_gladen(
    judge_rate: float,
    n: int,
    sensitivity: float,
    specificity: float,
    n_positive: int,
    n_negative: int,
    level: float = 0.95,
) -> Estimate:
    """Return the true rate behind the rate that an imperfect judge reports.

    Args:
        judge_rate: share of the ``n`` answers that the judge passed.
        n: answers the judge has seen.
        sensitivity: share of those people passed that the judge passes.
        specificity: share of those people failed that the judge fails.
        n_positive: how many people passed, of which sensitivity was measured.
        n_negative: how many people failed, of which specificity was measured.
        level: of the interval.

    Source: Rogan and Gladen (1978), American Journal of Epidemiology 107:71, eq. 1 and 3.

    Raises:
        ValueError: the judge is no better than a coin, so its rate says nothing.
    """
    informed = sensitivity + specificity - 1.0
    if informed <= 0.0:
        raise ValueError(
            f"sensitivity {sensitivity:.2f} and specificity {specificity:.2f}: the judge is no "
            "better than a coin, and its rate cannot be corrected"
        )
    true = min(max((judge_rate + specificity - 1.0) / informed, 0.0), 1.0)
    variance = _binomial(judge_rate, n)
    variance += true**2 * _binomial(sensitivity, n_positive)
    variance += (1.0 - true) ** 2 * _binomial(specificity, n_negative)
    se = math.sqrt(variance) / informed
    around = normal_interval(true, se, level)
    interval = Interval(max(0.0, around.low), min(1.0, around.high), level)
    return Estimate(true, se, n, n, interval)


def prediction_powered(
    judge_all: ArrayLike, judge_labelled: ArrayLike, human_labelled: ArrayLike, level: float = 0.95
) -> Estimate:
    """Return the mean that people would have given, from a judge's of all and people's of a sample.

    Args:
        judge_all: the judge's numbers of answers that people did not label.
        judge_labelled: the judge's numbers of the answers that they did.
        human_labelled: people's numbers of these, in the same order.
        level: of the interval.

    Source: Angelopoulos, Bates, Fannjiang, Jordan and Zrnic (2023), Science 382:669.

    Raises:
        ValueError: fewer than two numbers anywhere, or not the same answers.
    """
    judged = np.asarray(judge_all, np.float64)
    before, after = np.asarray(judge_labelled, np.float64), np.asarray(human_labelled, np.float64)
    if before.shape != after.shape:
        raise ValueError(f"the judge labelled {before.shape[0]} answers, people {after.shape[0]}")
    if len(judged) < 2 or len(before) < 2:
        raise ValueError("a correction needs two answers of each kind at least")
    errors = after - before
    value = float(judged.mean() + errors.mean())
    se = math.sqrt(
        float(judged.var(ddof=1)) / len(judged) + float(errors.var(ddof=1)) / len(errors)
    )
    n = len(judged) + len(errors)
    return Estimate(value, se, n, n, normal_interval(value, se, level))


def _binomial(share: float, n: int) -> float:
    return share * (1.0 - share) / n if n else math.inf
