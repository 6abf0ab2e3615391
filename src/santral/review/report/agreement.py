"""How far raters of one label agree, all together and each with the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from santral.review.label import Label, Value
from santral.statistics.agreement import (
    Agreement,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
)

#: Resamples of an interval: the report of a queue is asked for often. Chosen.
_RESAMPLES = 400
#: Items with several raters below which a coefficient says nothing. Chosen: field notes, section 4.4.
FEW = 6


def agreement_of(
    label: Label, ratings: Sequence[Mapping[str, Value]], rng: np.random.Generator
) -> list[Agreement]:
    """Return the coefficients of a label; ``ratings`` are one dict of rater to value for each item.

    Kappa of two people is Cohen's, weighted by the square of the distance on a scale; of more it is
    Fleiss's. None where fewer than ``FEW`` items have two raters.
    """
    rated = [one for one in ratings if len(one) > 1]
    if label.kind == "text" or len(rated) < FEW:
        return []
    raters = sorted({name for one in rated for name in one})
    is_scale = label.kind == "scale"
    kappa = (
        cohen_kappa(
            [one[raters[0]] for one in rated],
            [one[raters[1]] for one in rated],
            weights="quadratic" if is_scale else "none",
            order=label.values if is_scale else None,
            rng=rng,
            resamples=_RESAMPLES,
        )
        if len(raters) == 2
        else fleiss_kappa(rated, rng, _RESAMPLES)
    )
    level = "interval" if is_scale else "nominal"
    return [
        kappa,
        gwet_ac1(rated, rng, _RESAMPLES),
        krippendorff_alpha(rated, level, rng, resamples=_RESAMPLES),
    ]


def with_others(
    label: Label, ratings: Sequence[Mapping[str, Value]], rng: np.random.Generator
) -> dict[str, Agreement]:
    """Return how far each rater agrees with the others: Gwet's AC1 over items that both have rated."""
    names = sorted({name for one in ratings for name in one})
    found: dict[str, Agreement] = {}
    for name in names:
        pairs: list[Mapping[str, Value]] = [
            {"one": one[a], "other": one[b]}
            for one in ratings
            for a, b in combinations(sorted(one), 2)
            if name in (a, b)
        ]
        if label.kind != "text" and len(pairs) >= FEW:
            found[name] = gwet_ac1(pairs, rng, _RESAMPLES)
    return found
