"""A fitted model: where each term of a collection lies in its latent space.

Latent semantic vectors (Deerwester et al. 1990): words that occur in the same company become
neighbours. A text is the sum of its terms, stems and 4-grams weighted alike, at unit length; a text
that was not there when the model was fitted is folded in the same way. A search needs numpy only.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Floats, TermKeys, Terms
from santral.retrieval.extra import needed


class Space(Struct, frozen=True):
    """The terms of one kind (stems, or 4-grams) that a model knows.

    keys: uint32 [terms], ascending; idf: float32 [terms]; scales: float32 [terms] and directions:
    int8 [terms, dimensions], the place of a term being ``directions * scales``.
    """

    keys: TermKeys
    idf: Floats
    scales: Floats
    directions: NDArray[np.int8]

    def places(self, keys: TermKeys) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows of the keys that are known, and which of the keys these are."""
        if not len(self.keys):
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        known = np.flatnonzero(self.keys[found] == keys)
        return found[known], known


class Projection(Struct, frozen=True):
    """A model that was fitted: its two spaces, and to what it was fitted.

    ``chunks`` is how many the collection had, ``known_share`` which share of its terms it would know
    of one more chunk like them.
    """

    dimensions: int
    stems: Space
    grams: Space
    chunks: int
    known_share: float

    def vectors_of(self, stems: Terms, grams: Terms) -> Floats:
        """Return float32 [chunks, dimensions] of unit length, zero where no term is known.

        Raises:
            StoreError: the ``rag`` extra is not installed.
        """
        total = _summed(self.stems, stems) + _summed(self.grams, grams)
        return unit(total.reshape(-1, self.dimensions))

    def vector_of(self, stems: TermKeys, grams: TermKeys) -> Floats:
        """Return float32 [dimensions] of a question's distinct terms, zero where none is known."""
        total = np.zeros(self.dimensions, np.float32)
        for space, keys in ((self.stems, stems), (self.grams, grams)):
            places, _ = space.places(keys)
            if len(places):
                weights = unit(space.idf[places])
                total += (weights * space.scales[places]) @ space.directions[places].astype(
                    np.float32
                )
        return unit(total)

    def known_share_of(self, stems: Terms, grams: Terms) -> float:
        """Return which share of the distinct terms of some chunks it knows, 1 where there are none."""
        known = sum(
            len(space.places(terms.keys)[0])
            for space, terms in ((self.stems, stems), (self.grams, grams))
        )
        total = len(stems.keys) + len(grams.keys)
        return known / total if total else 1.0


def weigh(space_idf: Floats, counts: NDArray[np.uint16]) -> Floats:
    """Return the weights of terms that occur ``counts`` times: log-scaled frequency times idf."""
    return ((1 + np.log(counts.astype(np.float32))) * space_idf).astype(np.float32)


def unit(vectors: Floats) -> Floats:
    """Return vectors at unit length; a zero stays zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0).astype(np.float32)


def unit_rows(matrix: NDArray[np.float32], starts: NDArray[np.int64]) -> Floats:
    """Return the entries of sparse rows, each row scaled to unit length."""
    sizes = np.diff(starts)
    if not len(sizes):
        return matrix
    # Behind the last entry stands a zero: the sum of an empty row begins there at the latest.
    sums = np.add.reduceat(np.append(matrix * matrix, np.float32(0)), starts[:-1])
    norms = np.sqrt(np.where(sizes > 0, sums, 1.0))
    return (matrix / np.repeat(norms, sizes)).astype(np.float32)


def known_rows(space: Space, terms: Terms) -> tuple[Floats, NDArray[np.intp], NDArray[np.int64]]:
    """Return the known terms of chunks as sparse rows of unit length: weights, places, starts."""
    places, known = space.places(terms.keys)
    starts = np.searchsorted(known, terms.starts)
    return unit_rows(weigh(space.idf[places], terms.counts[known]), starts), places, starts


def _summed(space: Space, terms: Terms) -> Floats:
    sparse = needed("scipy.sparse", "to make vectors")
    weights, places, starts = known_rows(space, terms)
    shape = (len(terms.lengths), len(space.keys))
    matrix = sparse.csr_matrix((weights * space.scales[places], places, starts), shape=shape)
    return matrix @ space.directions.astype(np.float32)
