"""Sums of requests by unit and arm, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UnitTable:
    """One row for each unit and arm that it saw; rows of one index belong together.

    ``sums`` and ``counts`` hold, by metric, what is added up and what it is divided by.
    """

    units: NDArray[Any]  # hashes
    arms: NDArray[Any]
    is_holdout: NDArray[np.bool_]
    propensities: Floats  # of the unit's first request in this arm
    first_us: NDArray[np.int64]
    requests: Floats
    sums: Mapping[str, Floats]
    counts: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.units)

    def where(self, chosen: NDArray[np.bool_]) -> UnitTable:
        """Return the chosen rows."""
        return UnitTable(
            self.units[chosen],
            self.arms[chosen],
            self.is_holdout[chosen],
            self.propensities[chosen],
            self.first_us[chosen],
            self.requests[chosen],
            {name: column[chosen] for name, column in self.sums.items()},
            {name: column[chosen] for name, column in self.counts.items()},
        )
