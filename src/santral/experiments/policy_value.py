"""What an arm would have brought had every unit seen it, from units that weights chose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct

from santral.experiments.units.table import Floats, UnitTable

#: Units that an estimate has to be worth, after weighing. Chosen: as many as an arm needs to be read.
LEAST_EFFECTIVE = 100.0


class PolicyValue(Struct, frozen=True, kw_only=True):
    """An estimate for one arm, where enough is known of it."""

    arm: str
    units: int
    effective: float  # units that as much is known from: (sum of weights)^2 / sum of squares
    ips: float | None  # None: too few effective units to say anything
    snips: float | None
    se: float | None  # of snips
    dr: float | None = None


def policy_values(
    seen: UnitTable, metric: str, arms: Sequence[str], scale: float = 1.0
) -> list[PolicyValue]:
    """Return inverse-propensity estimates for every arm.

    Each unit counts by one over the probability with which it was going to see its arm, so weights
    that moved do no harm. A unit's value is its sum over its count; units without one are left out.
    ``dr`` adds what the mean of each arm predicts (doubly robust with the arm as its only feature).

    Source: Horvitz and Thompson (1952); self-normalised: Swaminathan and Joachims (2015), NeurIPS;
    doubly robust: Dudik, Langford and Li (2011), ICML, eq. 2.
    """
    counts = seen.counts.get(metric)
    if counts is None:
        return []
    known = seen.where((counts > 0) & (seen.propensities > 0) & ~seen.is_holdout)
    values = known.sums[metric] * scale / known.counts[metric]
    means = {
        arm: float(values[known.arms == arm].mean()) for arm in arms if (known.arms == arm).any()
    }
    return [_value(known, values, arm, means) for arm in arms]


def _value(known: UnitTable, values: Floats, arm: str, means: Mapping[str, float]) -> PolicyValue:
    chosen = known.arms == arm
    weights = np.where(chosen, 1.0 / np.maximum(known.propensities, 1e-12), 0.0)
    total = float(weights.sum())
    effective = total * total / float((weights**2).sum()) if total else 0.0
    if effective < LEAST_EFFECTIVE:
        return PolicyValue(
            arm=arm, units=int(chosen.sum()), effective=effective, ips=None, snips=None, se=None
        )
    snips = float((weights * values).sum()) / total
    spread = float(((weights * (values - snips)) ** 2).sum())
    rest = float((weights * (values - means[arm])).mean())
    return PolicyValue(
        arm=arm,
        units=int(chosen.sum()),
        effective=effective,
        ips=float((weights * values).mean()),
        snips=snips,
        se=math.sqrt(spread) / total,
        dr=means[arm] + rest,
    )
