"""Numbers of a calibration: agreement with intervals, rates of right and wrong, steadiness, cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from santral.evals.calibration.labelled import Labelled
from santral.evals.calibration.scale import Scale
from santral.evals.evaluator import Score
from santral.evals.standing import Agreed
from santral.statistics.agreement import (
    Agreement,
    Level,
    cohen_kappa,
    gwet_ac1,
    krippendorff_alpha,
)


class Rates(Struct, frozen=True, kw_only=True):
    """How often a judge is right of what people passed and of what they failed."""

    sensitivity: float | None = None
    specificity: float | None = None
    positives: int = 0
    negatives: int = 0


def agreement(
    scale: Scale, judge: Sequence[float], people: Sequence[float], rng: np.random.Generator
) -> list[Agreed]:
    """Return how far a judge agrees with people: kappa first (quadratic where labels have an order),
    then AC1, which holds where nearly everything is one label, and alpha."""
    said = [scale.place(value) for value in judge]
    pairs = [{"judge": one, "people": other} for one, other in zip(said, people, strict=True)]
    weights = "quadratic" if scale.kind == "ordinal" else "none"
    found = [
        cohen_kappa(said, people, weights=weights, rng=rng),
        gwet_ac1(pairs, rng),
        krippendorff_alpha(pairs, _level(scale), rng),
    ]
    return [_agreed(one) for one in found]


def between_people(
    scale: Scale, labelled: Sequence[Labelled], rng: np.random.Generator
) -> list[Agreed]:
    """Return how far people agree with each other; empty where no two labelled the same answer."""
    ratings = [one.raters for one in labelled if len(one.raters) > 1]
    if not ratings:
        return []
    found = [krippendorff_alpha(ratings, _level(scale), rng), gwet_ac1(ratings, rng)]
    if all(len(one) == 2 for one in ratings):
        weights = "quadratic" if scale.kind == "ordinal" else "none"
        first = [min(one.items())[1] for one in ratings]
        second = [max(one.items())[1] for one in ratings]
        found.insert(0, cohen_kappa(first, second, weights=weights, rng=rng))
    return [_agreed(one) for one in found]


def rates(scale: Scale, judge: Sequence[float], labelled: Sequence[Labelled]) -> Rates:
    """Return sensitivity and specificity; each answer counts for the 1 / p that it was drawn from.

    A sample that was drawn by the judge's own scores would otherwise flatter or wrong it (verification
    bias). The counts are effective ones: Kish (1965), Survey Sampling, section 11.7.
    """
    if scale.pass_at is None:
        return Rates()
    at = 1.0 if scale.kind == "binary" else scale.pass_at
    weights = np.array([1 / one.probability for one in labelled])
    has_passed = np.array([value >= scale.pass_at for value in judge], bool)
    is_good = np.array([one.agreed >= at for one in labelled], bool)
    return Rates(
        sensitivity=_share(has_passed[is_good], weights[is_good]),
        specificity=_share(~has_passed[~is_good], weights[~is_good]),
        positives=_effective(weights[is_good]),
        negatives=_effective(weights[~is_good]),
    )


def repeat_rate(scale: Scale, readings: Sequence[Sequence[Score]]) -> float | None:
    """Return the share of answers about which the judge said the same every time it was asked."""
    same = [
        len({scale.place(one.value) for one in found if one.value is not None}) == 1
        and not any(one.error for one in found)
        for found in readings
    ]
    return sum(same) / len(same) if same and len(readings[0]) > 1 else None


def mean_cost(readings: Sequence[Sequence[Score]]) -> int | None:
    """Return the mean cost of a judgement in nano-USD; None where a price is unknown."""
    costs = [one.cost_nanousd for found in readings for one in found]
    known = [cost for cost in costs if cost is not None]
    return round(sum(known) / len(known)) if known and len(known) == len(costs) else None


def _agreed(found: Agreement) -> Agreed:
    interval = found.interval
    return Agreed(
        method=found.method,
        value=found.value,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        percent=found.percent,
        n=found.n,
    )


def _level(scale: Scale) -> Level:
    return "ordinal" if scale.kind == "ordinal" else "nominal"


def _share(hits: np.ndarray, weights: np.ndarray) -> float | None:
    return float((hits * weights).sum() / weights.sum()) if len(weights) else None


def _effective(weights: np.ndarray) -> int:
    return int(weights.sum() ** 2 / (weights**2).sum()) if len(weights) else 0
