"""Vectors that were computed once: kept by what they were made of, computed never again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256

import msgspec
import numpy as np

from santral.db.engine import Engine, reading, writing
from santral.retrieval.analysis.counts import Floats
from santral.retrieval.embedding import store
from santral.retrieval.embedding.model import EmbeddingModel, ModelCard, wrong_dimension

#: Texts between two commits: a kill loses the work on so many at most. Chosen.
_AT_ONCE = 256


def key_of(card: ModelCard) -> str:
    """Return what the vectors of a model are kept under: another card is another key."""
    return sha256(msgspec.json.encode(card)).hexdigest()


class Cached:
    """A model whose vectors of documents are kept in the control database, one tenant's apart.

    Two bytes a number: half of what is computed, and no ranking changes by it. A fitted model needs
    none of this: its vectors cost less than a row. ``computed`` counts the texts that the model saw.
    """

    def __init__(
        self, model: EmbeddingModel, engine: Engine, tenant_id: str, now: Callable[[], datetime]
    ) -> None:
        self._model = model
        self._engine = engine
        self._tenant_id = tenant_id
        self._now = now
        self.computed = 0

    @property
    def card(self) -> ModelCard:
        """Which model this is."""
        return self._model.card

    async def embed_documents(self, texts: Sequence[str]) -> Floats:
        """Return float32 [texts, dimensions]; texts are told apart by their SHA-256."""
        hashes = [sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts]
        return await self.embed_chunks(hashes, texts)

    async def embed_query(self, text: str) -> Floats:
        """Return float32 [dimensions] of a question; questions are not kept."""
        return await self._model.embed_query(text)

    async def embed_chunks(self, hashes: Sequence[str], texts: Sequence[str]) -> Floats:
        """Return the vectors of chunks by their ``content_hash``; only misses are computed.

        What was computed stays, also when a later text fails or the process is killed.

        Raises:
            ProviderError: an endpoint failed.
            BadRequest: vectors of another dimension than the model's.
        """
        made = np.zeros((len(texts), self.card.dimensions), np.float32)
        for start in range(0, len(texts), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            made[part] = await self._part(hashes[part], texts[part])
        return made

    async def _part(self, hashes: Sequence[str], texts: Sequence[str]) -> Floats:
        key = key_of(self.card)
        async with reading(self._engine) as conn:
            kept = await store.find_vectors(conn, self._tenant_id, key, list(dict.fromkeys(hashes)))
        missing = {each: text for each, text in zip(hashes, texts, strict=True) if each not in kept}
        if missing:
            fresh = await self._compute(missing)
            async with writing(self._engine) as conn:
                await store.add_vectors(conn, self._tenant_id, key, fresh, self._now())
            kept |= fresh
        return np.stack([self._read(kept[each]) for each in hashes])

    async def _compute(self, missing: Mapping[str, str]) -> dict[str, bytes]:
        vectors = await self._model.embed_documents(list(missing.values()))
        self.computed += len(missing)
        return {
            each: vector.astype("<f2").tobytes()
            for each, vector in zip(missing, vectors, strict=True)
        }

    def _read(self, kept: bytes) -> Floats:
        vector = np.frombuffer(kept, "<f2").astype(np.float32)
        if len(vector) != self.card.dimensions:
            raise wrong_dimension(self.card, len(vector))
        return vector
