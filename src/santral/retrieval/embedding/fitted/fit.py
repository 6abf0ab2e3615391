"""Fit a model to a collection: a truncated singular value decomposition of its weighted terms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Floats, Terms
from santral.retrieval.embedding.fitted.projection import (
    Projection,
    Space,
    known_rows,
)
from santral.retrieval.extra import needed

#: Chunks that a model is fitted to; of a larger collection they are taken at equal distances, and the
#: others folded in. Measured: docs/decisions/0029-embeddings.md.
FIT_CHUNKS = 10_000
#: Terms that are kept of each kind, the most frequent first. Measured, too.
MAX_STEMS, MAX_GRAMS = 16_384, 32_768
#: Chunks of a collection in which a term that is in one of them only has a direction, too: nearly all
#: of its words are such. Chosen.
FEW_CHUNKS = 256
#: Columns drawn beyond the dimensions, and power iterations. Source: Halko, Martinsson and Tropp,
#: Finding Structure with Randomness, 2011, sections 4.2 and 4.5.
#: More iterations come closer to the exact decomposition, and that finds no better. Measured, too.
OVERSAMPLING = 16
POWER_ITERATIONS = 1
#: Weight of a term that is in every chunk. Measured, too: 1 loses 0.1 points.
LEAST_IDF = 0.1
SEED = 2011


def sample_of(chunks: int) -> NDArray[np.int64]:
    """Return which of so many chunks, in their order, a model is fitted to."""
    return np.linspace(0, chunks - 1, min(chunks, FIT_CHUNKS)).astype(np.int64)


def fit(stems: Terms, grams: Terms, dimensions: int, *, chunks: int | None = None) -> Projection:
    """Fit a model to the chunks of ``sample_of``; ``chunks`` is how many the collection has.

    Fewer chunks or terms than dimensions give zeros in the others. Deterministic.

    Raises:
        StoreError: the ``rag`` extra is not installed.
    """
    rows = len(stems.lengths)
    spaces = [_weighed(stems, rows, MAX_STEMS), _weighed(grams, rows, MAX_GRAMS)]
    matrix = _matrix(spaces, (stems, grams))
    directions = np.zeros((matrix.shape[1], dimensions), np.float32)
    found = min(dimensions, *matrix.shape)
    if found:
        directions[:, :found] = _directions(matrix, found)
    cut = len(spaces[0].keys)
    return Projection(
        dimensions=dimensions,
        stems=_placed(spaces[0], directions[:cut]),
        grams=_placed(spaces[1], directions[cut:]),
        chunks=rows if chunks is None else chunks,
        known_share=_share_without_own(stems, grams),
    )


def _least(rows: int) -> int:
    """Return in how many chunks a term must be to have a direction."""
    return 1 if rows < FEW_CHUNKS else 2


def _weighed(terms: Terms, rows: int, most: int) -> Space:
    """Return the terms worth a direction, the most frequent first."""
    keys, frequencies = np.unique(terms.keys, return_counts=True)
    kept = np.flatnonzero(frequencies >= _least(rows))
    if len(kept) > most:
        kept = np.sort(kept[np.argsort(-frequencies[kept], kind="stable")[:most]])
    idf = (np.log(rows / frequencies[kept]) + LEAST_IDF).astype(np.float32)
    return Space(keys[kept].astype(np.uint32), idf, np.ones_like(idf), _nothing(len(kept)))


def _share_without_own(stems: Terms, grams: Terms) -> float:
    """Return which share of a chunk's terms would be known if the chunk had not been there.

    That is what can be expected of a chunk that comes later: its terms are known by others.
    """
    known = total = 0
    for terms in (stems, grams):
        _, frequencies = np.unique(terms.keys, return_counts=True)
        known += int(frequencies[frequencies > _least(len(terms.lengths))].sum())
        total += len(terms.keys)
    return known / total if total else 1.0


def _matrix(spaces: list[Space], counted: tuple[Terms, Terms]) -> Any:
    sparse = needed("scipy.sparse", "to fit vectors to a collection")
    parts = [
        sparse.csr_matrix(known_rows(space, terms), shape=(len(terms.lengths), len(space.keys)))
        for space, terms in zip(spaces, counted, strict=True)
    ]
    return sparse.hstack(parts, format="csr")


def _directions(matrix: Any, dimensions: int) -> Floats:
    """Return the leading right singular vectors by randomised subspace iteration."""
    rng = np.random.default_rng(SEED)
    width = min(dimensions + OVERSAMPLING, *matrix.shape)
    basis = rng.standard_normal((matrix.shape[0], width)).astype(np.float32)
    transposed = matrix.T.tocsr()
    for _ in range(POWER_ITERATIONS):
        basis = np.linalg.qr(matrix @ (transposed @ basis))[0].astype(np.float32)
    inner = (transposed @ basis).astype(np.float32)
    left, _, _ = np.linalg.svd(inner, full_matrices=False)
    return np.ascontiguousarray(left[:, :dimensions], dtype=np.float32)


def _placed(space: Space, directions: Floats) -> Space:
    """Return a space with its directions in a byte for each number, scaled term by term."""
    most = np.abs(directions).max(axis=1, initial=0.0)
    scales = np.where(most > 0, most / 127, 1.0).astype(np.float32)
    return Space(
        space.keys, space.idf, scales, np.rint(directions / scales[:, None]).astype(np.int8)
    )


def _nothing(terms: int) -> NDArray[np.int8]:
    return np.zeros((terms, 0), np.int8)
