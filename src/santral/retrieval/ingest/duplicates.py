"""Near-duplicates: which documents repeat another one nearly word for word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from santral.retrieval.ingest.sketch import ALIKE, Sketches, bands_of, similarity
from santral.retrieval.store import Sketched


def find_duplicates(documents: Sequence[Sketched]) -> dict[str, str]:
    """Return which document each repeats, by id; those that repeat none are left out.

    ``documents`` come the oldest first: that one is the original. A document that repeats a repeated
    one repeats its original, or none.
    """
    if len(documents) < 2:
        return {}
    sketches = np.stack([np.frombuffer(item.sketch, np.uint32) for item in documents])
    bands = bands_of(sketches)
    candidates = _with_company(bands)
    originals: dict[tuple[int, int], list[int]] = {}
    found: dict[str, str] = {}
    for place in map(int, candidates):
        keys = [(number, int(band)) for number, band in enumerate(bands[place])]
        near = sorted({other for key in keys for other in originals.get(key, ())})
        original = _first_alike(sketches, place, near)
        if original is not None:
            found[documents[place].id] = documents[original].id
            continue
        for key in keys:
            originals.setdefault(key, []).append(place)
    return found


def _with_company(bands: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return the documents that share a band with another one, in order."""
    shares = np.zeros(len(bands), bool)
    for band in bands.T:
        _, places, counts = np.unique(band, return_inverse=True, return_counts=True)
        shares |= counts[places] > 1
    return np.flatnonzero(shares)


def _first_alike(sketches: Sketches, place: int, near: Sequence[int]) -> int | None:
    if not near:
        return None
    alike = np.flatnonzero(similarity(sketches[place], sketches[list(near)]) >= ALIKE)
    return near[int(alike[0])] if len(alike) else None
