"""Units that were made up from a seed, with an effect that is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from santral.experiments.analyse import Design
from santral.experiments.units.table import UnitTable

ARMS = {"plain": 0.5, "new": 0.5}
DESIGN = Design(control="plain", shares=ARMS, primary=("score:helpful",), expected_units=2000)


def units(
    n: int,
    rng: np.random.Generator,
    *,
    lift: float = 0.0,
    shares: dict[str, float] | None = None,
    before: NDArray[np.float64] | None = None,
    pull: float = 0.0,
) -> UnitTable:
    """Return ``n`` units with some requests each: a binary score, and a cost of 1000 nano-USD and more.

    ``lift`` is added to the share of helpful answers of the arm ``new``; ``before`` moves the costs of
    a unit by ``pull`` for each of its own.
    """
    wanted = shares or ARMS
    arms = rng.choice(list(wanted), size=n, p=list(wanted.values())).astype(object)
    requests = rng.integers(1, 6, size=n).astype(np.float64)
    rate = np.where(arms == "new", 0.5 + lift, 0.5)
    helpful = rng.binomial(requests.astype(int), rate).astype(np.float64)
    base = rng.normal(1000.0, 100.0, size=n)
    if before is not None:
        base = base + pull * before
    return UnitTable(
        units=np.array([f"u{i}" for i in range(n)], object),
        arms=arms,
        is_holdout=np.zeros(n, np.bool_),
        propensities=np.array([wanted[arm] for arm in arms]),
        first_us=np.arange(n),
        requests=requests,
        sums={"score:helpful": helpful, "cost_usd": base * requests, "error_rate": np.zeros(n)},
        counts={"score:helpful": requests, "cost_usd": requests, "error_rate": requests},
    )
