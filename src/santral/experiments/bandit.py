"""Weights that follow what is seen: top-two Thompson sampling with a floor for every arm."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from msgspec import Struct

#: Draws that the probabilities are counted from. Chosen: their error is below 0.005.
_DRAWS = 10_000


class ArmValue(Struct, frozen=True, kw_only=True):
    """What is known of one arm: the mean of its units, higher is better, and its standard error."""

    mean: float
    se: float


def top_two_weights(
    arms: Mapping[str, ArmValue], floor: float, rng: np.random.Generator
) -> dict[str, float]:
    """Return the shares that arms get next.

    An arm is played as often as it is the best, or the second best, in a draw of what the means may
    be: half of the units go to the runner-up, so the best one is also told from it. Of two arms that
    would always be one half each: there an arm is played as often as it is the best (plain Thompson
    sampling). The means are taken as normal, with no prior knowledge. ``floor`` is the least share of
    every arm.

    Source: Russo (2020), Operations Research 68:1625, top-two Thompson sampling with beta 1/2; as
    GrowthBook's gbstats/bandits.py, top_two_weights.
    """
    names = list(arms)
    means = np.array([arms[name].mean for name in names])
    errors = np.array([arms[name].se for name in names])
    drawn = rng.normal(means, errors, size=(_DRAWS, len(names)))
    ranked = np.argsort(-drawn, axis=1)
    best = np.bincount(ranked[:, 0], minlength=len(names)) / _DRAWS
    second = np.bincount(ranked[:, 1], minlength=len(names)) / _DRAWS
    shares = best if len(names) == 2 else (best + second) / 2.0
    return _with_floor(dict(zip(names, shares.tolist(), strict=True)), floor)


def best_probabilities(arms: Mapping[str, ArmValue], rng: np.random.Generator) -> dict[str, float]:
    """Return how probable it is that each arm is the best, given what was seen."""
    names = list(arms)
    drawn = rng.normal(
        [arms[name].mean for name in names],
        [arms[name].se for name in names],
        size=(_DRAWS, len(names)),
    )
    counts = np.bincount(drawn.argmax(axis=1), minlength=len(names)) / _DRAWS
    return dict(zip(names, counts.tolist(), strict=True))


def _with_floor(shares: Mapping[str, float], floor: float) -> dict[str, float]:
    """Return shares of at least ``floor`` that add up to 1; what is above it shrinks in proportion."""
    room = 1.0 - floor * len(shares)
    above = {name: max(share - floor, 0.0) for name, share in shares.items()}
    total = sum(above.values())
    if total <= 0.0:
        return {name: 1.0 / len(shares) for name in shares}
    return {name: floor + room * part / total for name, part in above.items()}
