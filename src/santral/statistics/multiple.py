"""Several tests at once: p-values that may be compared with the level that was meant for one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that the chance of any false alarm stays below the level.

    Source: Holm (1979), Scandinavian Journal of Statistics 6:65; as R's p.adjust.
    """
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    stepped = np.maximum.accumulate(np.asarray(p, np.float64)[order] * factors)
    return _in_place(np.minimum(stepped, 1.0).tolist(), order.tolist())


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that the expected share of false among all alarms stays below.

    Source: Benjamini and Hochberg (1995), JRSS B 57:289; as R's p.adjust.
    """
    order = np.argsort(p, kind="stable")[::-1]
    factors = len(p) / (len(p) - np.arange(len(p)))
    stepped = np.minimum.accumulate(np.asarray(p, np.float64)[order] * factors)
    return _in_place(np.minimum(stepped, 1.0).tolist(), order.tolist())


def _in_place(values: list[float], order: list[int]) -> list[float]:
    placed = [0.0] * len(values)
    for value, index in zip(values, order, strict=True):
        placed[index] = value
    return placed
