"""The index of one collection: built from its chunks, held in memory maps, searched by rows.

Three signals over the same text, the chunk with its title and headings in front: BM25 over stems,
BM25 over 4-grams, and the exact dot product of fitted vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.analysis.analyse import ngrams, query_terms, terms
from santral.retrieval.analysis.counts import Floats, count_terms
from santral.retrieval.analysis.language import Language
from santral.retrieval.document import StoredChunk
from santral.retrieval.embedding.lsa import Embedding, fit
from santral.retrieval.index.embedded.passages import IndexedDocument, Passages
from santral.retrieval.index.embedded.postings import Postings, build_postings
from santral.retrieval.index.signal import Signal

#: Version of the files and of the analysis behind them; another one is rebuilt from the database.
FORMAT = 1

_PROGRESS_EVERY = 64


class IndexMeta(Struct, frozen=True, kw_only=True):
    """What an index says about itself; a reader checks that it is the one it asked for."""

    format: int = FORMAT
    tenant_id: str
    collection: str
    revision: int
    chunks: int
    dimensions: int
    languages: tuple[Language, ...]


class CollectionIndex(Struct, frozen=True):
    """One immutable generation: what a search reads. Safe to share between threads."""

    meta: IndexMeta
    stems: Postings
    grams: Postings
    embedding: Embedding
    vectors: Floats
    passages: Passages

    def signals(self, query: str, rows: NDArray[np.intp] | None) -> dict[Signal, Floats]:
        """Return the score of each signal, for all chunks or for some ``rows`` only."""
        stems = query_terms(query, self.meta.languages)
        grams = ngrams(query)
        size = self.meta.chunks
        bm25 = self.stems.scores(stems, size)
        ngram = self.grams.scores(dict.fromkeys(grams), size)
        vectors = self.vectors
        if rows is not None:
            bm25, ngram, vectors = bm25[rows], ngram[rows], vectors[rows]
        vector = self.embedding.embed(stems, grams)
        dense = vectors @ vector if len(vector) else np.zeros(len(bm25), np.float32)
        return {"bm25": bm25, "ngrams": ngram, "dense": dense}


class IndexText(Struct, frozen=True):
    """What is analysed of one chunk."""

    text: str
    language: Language


def index_text(document: IndexedDocument, chunk: StoredChunk) -> IndexText:
    """Return the text to index: headings in front are worth 5 points of nDCG@10 and cost nothing."""
    header = "\n".join(dict.fromkeys(part for part in (document.title, chunk.section) if part))
    return IndexText(f"{header}\n{chunk.text}", document.language)


class IndexSignals(Struct, frozen=True):
    """The searchable part of an index, before it is bound to a collection."""

    stems: Postings
    grams: Postings
    embedding: Embedding
    vectors: Floats
    languages: tuple[Language, ...]


def build_signals(
    texts: Sequence[IndexText], dimensions: int, on_progress: Callable[[int], None]
) -> IndexSignals:
    """Analyse texts and fit the three signals to them; ``on_progress`` hears how many are done.

    Raises:
        StoreError: the ``rag`` extra is not installed.
    """

    def counted(item: IndexText, number: int) -> IndexText:
        if number % _PROGRESS_EVERY == 0:
            on_progress(number)
        return item

    stems = count_terms(terms(item.text, item.language) for item in texts)
    grams = count_terms(ngrams(counted(item, number).text) for number, item in enumerate(texts))
    on_progress(len(texts))
    embedding, vectors = fit(stems, grams, dimensions)
    languages = cast("tuple[Language, ...]", tuple(sorted({item.language for item in texts})))
    return IndexSignals(build_postings(stems), build_postings(grams), embedding, vectors, languages)
