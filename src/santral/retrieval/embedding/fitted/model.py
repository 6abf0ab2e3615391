"""The model ``lsa``: fitted to one collection, asked for vectors like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import numpy as np

from santral.retrieval.analysis.analyse import Language, detect_language
from santral.retrieval.analysis.counts import Floats, Terms
from santral.retrieval.analysis.terms import gram_keys, stem_keys, terms_of
from santral.retrieval.embedding.fitted.artefact import digest_of, pack, unpack
from santral.retrieval.embedding.fitted.projection import Projection
from santral.retrieval.embedding.model import ModelCard

NAME = "lsa"
#: How a question is read where nobody says in which languages the collection is.
_ANY: tuple[Language, ...] = ("en", "other", "tr")

#: A collection that has grown by half is fitted anew: half of it had no say in what is near to what.
#: Measured: docs/decisions/0029-embeddings.md.
MOST_GROWTH = 1.5
#: So is one whose new chunks use words that the fit does not know: under this share of what it would
#: know of one more chunk like the old ones. Measured: 0.91 for code of another project, 0.95 and more
#: where only the documents are others.
LEAST_KNOWN = 0.92
#: And these chunks are this share of the collection. Chosen: a fit costs as much as all of them.
LEAST_FRESH = 0.1


class FittedModel:
    """Makes vectors by what was fitted; ``languages`` are those of the collection."""

    def __init__(
        self, projection: Projection, digest: str, languages: Collection[Language] = _ANY
    ) -> None:
        self.projection = projection
        self._languages = tuple(languages) or _ANY
        self._card = ModelCard(name=NAME, digest=digest, dimensions=projection.dimensions)

    @property
    def card(self) -> ModelCard:
        """Which fit this is."""
        return self._card

    async def embed_documents(self, texts: Sequence[str]) -> Floats:
        """Return float32 [texts, dimensions], in a thread; ``embed_terms`` is for who has the terms."""
        return await asyncio.to_thread(self._embed, texts)

    def embed_terms(self, stems: Terms, grams: Terms) -> Floats:
        """Return float32 [chunks, dimensions] of counted terms; takes CPU, some 50 us a chunk."""
        return self.projection.vectors_of(stems, grams)

    async def embed_query(self, text: str) -> Floats:
        """Return float32 [dimensions] of a question, some 100 us."""
        return self.projection.vector_of(stem_keys(text, self._languages), gram_keys(text))

    def refit_reason(self, chunks: int, fresh: int, known_share: float) -> str:
        """Return why to fit anew for a collection of so many chunks, or an empty string.

        ``fresh`` of them came now, and ``known_share`` is what ``projection.known_share_of`` says of
        these: a few with strange words are no reason.
        """
        if chunks >= MOST_GROWTH * max(self.projection.chunks, 1):
            return f"it was fitted to {self.projection.chunks} chunks, now there are {chunks}"
        is_strange = known_share < LEAST_KNOWN * self.projection.known_share
        if is_strange and fresh >= LEAST_FRESH * chunks:
            return f"it knows {known_share:.0%} of the terms of what is new"
        return ""

    def _embed(self, texts: Sequence[str]) -> Floats:
        if not texts:
            return np.zeros((0, self._card.dimensions), np.float32)
        return self.embed_terms(*terms_of(texts, [detect_language(text) for text in texts]))


def made_of(projection: Projection) -> tuple[FittedModel, bytes]:
    """Return the model of a fit, and the bytes in which it is kept."""
    artefact = pack(projection)
    return FittedModel(projection, digest_of(artefact)), artefact


def opened(artefact: bytes, digest: str, languages: Collection[Language] = _ANY) -> FittedModel:
    """Return the model that was kept; raises StoreError where the bytes are not those of ``digest``."""
    return FittedModel(unpack(artefact, digest), digest, languages)
