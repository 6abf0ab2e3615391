"""What makes vectors: one Protocol, several models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from santral.errors import BadRequest
from santral.retrieval.analysis.counts import Floats


class ModelCard(Struct, frozen=True, kw_only=True):
    """Which model made some vectors. Two cards that differ make vectors that cannot be compared.

    ``name`` as configured (``lsa``, ``minilm``, ``deployment:NAME``), ``digest`` of what computes them
    (weights, fit, or the upstream's model name), ``languages`` empty: any.
    """

    name: str
    digest: str
    dimensions: int
    languages: tuple[str, ...] = ()


class EmbeddingModel(Protocol):
    """Makes vectors of texts: float32, unit length, zero for a text of which nothing is known."""

    @property
    def card(self) -> ModelCard:
        """Which model this is."""
        ...

    async def embed_documents(self, texts: Sequence[str]) -> Floats:
        """Return float32 [texts, dimensions]; batches by itself and leaves the event loop.

        Raises:
            ProviderError: an endpoint failed.
            StoreError: it answered with another dimension than it is declared with.
        """
        ...

    async def embed_query(self, text: str) -> Floats:
        """Return float32 [dimensions] of a question."""
        ...


def wrong_dimension(card: ModelCard, found: int) -> BadRequest:
    """Return the refusal of vectors that are longer or shorter than the model's, with the remedy."""
    return BadRequest(
        f"'{card.name}' gave vectors of {found} numbers, the collection was made with "
        f"{card.dimensions}. Build a version with the model as it is now: "
        "santral collections add-version NAME --set embedding=" + card.name,
        code="wrong_dimension",
        param="embedding",
    )
