"""What goes into an index and what comes out of it, the same for every engine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Floats, TermKeys, Terms
from santral.retrieval.analysis.language import Language
from santral.retrieval.document import Attribute, Lifecycle, StoredChunk
from santral.retrieval.filter import Filter
from santral.retrieval.index.signal import Signal


class Partition(Struct, frozen=True):
    """One version of one tenant's collection: what an index holds, apart from every other."""

    tenant_id: str
    collection: str
    version: int


class IndexedDocument(Struct, frozen=True, array_like=True):
    """What a search filters by and says about the document of a chunk.

    Moments are seconds since 1970, None where nobody knows. ``fingerprint`` is that of the stored
    document: an index whose fingerprint is another is behind.
    """

    id: str
    source: str
    title: str
    kind: str
    language: Language
    fingerprint: str = ""
    url: str = ""
    owner: str = ""
    lifecycle: Lifecycle = "current"
    created_at: float | None = None
    modified_at: float | None = None
    allowed_groups: tuple[str, ...] = ()
    attributes: dict[str, Attribute] = {}
    expires_at: float | None = None


class Batch(Struct, frozen=True):
    """Whole documents to put into an index; each replaces what the index holds of its id.

    ``of`` says which document each chunk belongs to, as a place in ``documents``; the chunks of a
    document are in reading order. A document may have no chunk. ``vectors`` is float32
    [chunks, dimensions], unit length or zero.
    """

    documents: tuple[IndexedDocument, ...]
    chunks: tuple[StoredChunk, ...]
    of: NDArray[np.int32]
    stems: Terms
    grams: Terms
    vectors: Floats


class IndexQuery(Struct, frozen=True, kw_only=True):
    """What an index is asked.

    ``stems`` and ``grams`` hold the keys of the question's distinct terms; ``vector`` is float32
    [dimensions] of unit length, or empty where the model knows nothing of the question. ``limit`` is
    how many of the best chunks of *each* signal are wanted.
    """

    stems: TermKeys
    grams: TermKeys
    vector: Floats
    filter: Filter = ()
    limit: int = 60


class Candidate(Struct, frozen=True):
    """A chunk that one signal at least found, with the raw score of every signal (0: no match)."""

    chunk: StoredChunk
    document: IndexedDocument
    scores: Mapping[Signal, float]
    vector: Floats | None = None  # float32 [dimensions], unit length: for diversity


class Candidates(Struct, frozen=True):
    """What an index found; ``least`` and ``best`` are of each signal over all chunks that passed.

    Fusion scales a signal by them. 0 always counts among the scores, so ``least`` is below it for
    ``dense`` at the most, and ``best`` is 0 where nothing matches.
    """

    found: tuple[Candidate, ...]
    least: Mapping[Signal, float]
    best: Mapping[Signal, float]


class IndexState(Struct, frozen=True, kw_only=True):
    """What an index says of itself. ``generation`` changes with every change of what it finds."""

    generation: str
    documents: int
    chunks: int
    dimensions: int
    languages: tuple[Language, ...]
    size_bytes: int = 0
