"""Dense vectors fitted to a collection: no key, no download, any language.

TF-IDF over stems and 4-grams, then a truncated singular value decomposition (latent semantic
analysis; Deerwester et al. 1990): words that occur in the same company become neighbours. The fit
needs scipy, a search numpy only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Counts, Floats, find_keys, term_keys
from santral.retrieval.extra import needed

if TYPE_CHECKING:
    from types import ModuleType

#: Chunks that the decomposition is fitted to; the others are projected. Chosen: beyond it the fit
#: takes longer than everything else together.
FIT_CHUNKS = 6_000
#: Features kept, the most frequent first. Chosen: 2 bytes x dimensions each on disk, 16 MB at 256.
MAX_FEATURES = 32_768
#: Columns drawn beyond the dimensions, and power iterations. Source: Halko, Martinsson and Tropp,
#: Finding Structure with Randomness, 2011, sections 4.2 and 4.5.
OVERSAMPLING = 16
POWER_ITERATIONS = 3
SEED = 2011


class Embedding(Struct, frozen=True):
    """How a question becomes a vector.

    keys: uint64 [features], sorted; idf: float32 [features]; directions: float16
    [features, dimensions], orthonormal columns.
    """

    keys: NDArray[np.uint64]
    idf: Floats
    directions: NDArray[np.float16]

    def embed(self, terms: Sequence[str], grams: Sequence[str]) -> Floats:
        """Return the unit vector of a text, or zeros where it shares nothing with the collection."""
        counter = Counter([*terms, *map(_gram_feature, grams)])
        wanted = term_keys(list(counter))
        places = find_keys(self.keys, wanted)
        if not len(places):
            dimensions: int = self.directions.shape[1]
            return np.zeros(dimensions, np.float32)
        by_key = dict(zip(wanted.tolist(), counter.values(), strict=True))
        counts = np.array([by_key[key] for key in self.keys[places].tolist()], np.float32)
        weights = (1 + np.log(counts)) * self.idf[places]
        return _unit(weights @ self.directions[places].astype(np.float32))


def fit(terms: Counts, grams: Counts, dimensions: int) -> tuple[Embedding, Floats]:
    """Fit an embedding to a collection; return it with the vectors of its chunks.

    The vectors are float32 [chunks, dimensions], unit length (zero for a chunk without features).
    Fewer chunks or features than dimensions give that many dimensions. Deterministic.
    """
    matrix, names, idf = _features(terms, grams)
    rows: int = matrix.shape[0]
    kept = min(dimensions, rows, len(names))
    if kept == 0:
        return _empty(), np.zeros((len(terms.lengths), 0), np.float32)
    sample = np.linspace(0, rows - 1, min(rows, FIT_CHUNKS)).astype(np.int64)
    directions = _directions(matrix[sample], kept)
    keys = term_keys(names)
    order = np.argsort(keys, kind="stable")
    vectors = _unit(matrix @ directions)
    embedding = Embedding(keys[order], idf[order], directions[order].astype(np.float16))
    return embedding, vectors


def _features(terms: Counts, grams: Counts) -> tuple[Any, list[str], Floats]:
    """Return the TF-IDF matrix (sparse, float32, unit rows), its column names and their idf."""
    sparse = needed("scipy.sparse", "to build an index")
    parts = [_columns(sparse, terms), _columns(sparse, grams)]
    names = [*terms.vocabulary, *map(_gram_feature, grams.vocabulary)]
    matrix = sparse.hstack([part for part, _ in parts], format="csc")
    frequencies = np.concatenate([frequency for _, frequency in parts])
    kept = _kept(frequencies, matrix.shape[0])
    idf = np.log(matrix.shape[0] / np.maximum(frequencies[kept], 1)).astype(np.float32) + 1
    matrix = (matrix[:, kept] @ sparse.diags(idf)).tocsr().astype(np.float32)
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scale = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
    return (sparse.diags(scale) @ matrix).tocsr(), [names[i] for i in kept], idf


def _columns(sparse: ModuleType, counted: Counts) -> tuple[Any, NDArray[np.int64]]:
    shape = (len(counted.lengths), len(counted.vocabulary))
    weights = 1 + np.log(counted.counts.astype(np.float32))
    matrix = sparse.csr_matrix((weights, (counted.rows, counted.columns)), shape=shape)
    return matrix, counted.frequencies


def _kept(frequencies: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return the features worth a direction: in two chunks at least, the most frequent first."""
    least = 2 if size > 2 else 1
    candidates = np.flatnonzero(frequencies >= least)
    if len(candidates) > MAX_FEATURES:
        order = np.argsort(-frequencies[candidates], kind="stable")
        candidates = np.sort(candidates[order[:MAX_FEATURES]])
    return candidates


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


def _unit(vectors: Any) -> Floats:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0).astype(np.float32)


def _gram_feature(gram: str) -> str:
    return f"\0{gram}"  # a stem and a 4-gram of equal letters are two features


def _empty() -> Embedding:
    empty = np.zeros((0, 0), np.float16)
    return Embedding(np.zeros(0, np.uint64), np.zeros(0, np.float32), empty)
