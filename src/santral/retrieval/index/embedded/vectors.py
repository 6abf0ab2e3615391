"""Vectors in a byte per dimension, each with a scale of its own, compared exactly.

simsimd (extra ``rag``) compares bytes as they are; without it numpy does, two to
five times slower.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Floats

Bytes = NDArray[np.int8]

try:
    import simsimd as _simsimd
except ImportError:
    _simsimd = None

#: One row of so many, or fewer, are copied and compared alone. Measured: copying a row takes as long
#: as comparing three.
_WORTH_COPYING = 4
#: Rows that numpy turns into floats at once. Measured: 10 ms for 100,000 of 384 dimensions, against 22
#: in blocks of 2,048 and 30 at once: they have to stay in the processor's cache.
_BLOCK = 256


class Vectors(Struct, frozen=True):
    """values: int8 [rows, dimensions]; scales: float32 [rows], what a step is worth."""

    values: Bytes
    scales: Floats

    def products(self, vector: Floats, rows: NDArray[np.intp] | None) -> Floats:
        """Return the dot product of a vector with all rows, or with some."""
        if rows is not None and len(rows) * _WORTH_COPYING < len(self.values):
            return Vectors(self.values[rows], self.scales[rows]).products(vector, None)
        asked = pack_vectors(vector[None])
        products = _dot(_simsimd, asked.values, self.values)
        products *= self.scales
        products *= asked.scales[0]
        return products if rows is None else products[rows]

    def some(self, rows: NDArray[np.intp]) -> Floats:
        """Return some vectors as they were, up to rounding."""
        return self.values[rows].astype(np.float32) * self.scales[rows, None]


def pack_vectors(vectors: Floats) -> Vectors:
    """Return vectors with a byte for each number: the largest of a vector becomes 127."""
    largest = np.abs(vectors).max(axis=1, initial=0)
    scales = (largest / 127).astype(np.float32)
    steps = np.divide(1, scales, out=np.zeros_like(scales), where=scales > 0)
    return Vectors(np.rint(vectors * steps[:, None]).astype(np.int8), scales)


def _dot(engine: ModuleType | None, asked: Bytes, values: Bytes) -> Floats:
    if not values.size:
        return np.zeros(len(values), np.float32)
    if engine is not None:
        products = engine.cdist(asked, values, metric="dot")
        return np.asarray(products, np.float32)[0]
    wide = asked[0].astype(np.float32)
    products = np.empty(len(values), np.float32)
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK].astype(np.float32)
        np.dot(block, wide, out=products[start : start + _BLOCK])
    return products
