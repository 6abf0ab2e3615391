"""Counts: how often each term occurs in each chunk."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Integers: TypeAlias = NDArray[np.int32]
#: Stand for terms on disk, in sparse vectors and in SQL: the same in every process and release.
TermKeys: TypeAlias = NDArray[np.uint32]


class Terms(Struct, frozen=True):
    """Counted terms of some chunks: chunk ``i`` has entries ``starts[i]`` to ``starts[i + 1]``.

    keys: uint32 [entries], ascending within a chunk, no key twice; counts: uint16 [entries];
    starts: int64 [chunks + 1]; lengths: int32 [chunks], terms with repetition. ``terms.py`` makes them.
    """

    keys: TermKeys
    counts: NDArray[np.uint16]
    starts: NDArray[np.int64]
    lengths: Integers
