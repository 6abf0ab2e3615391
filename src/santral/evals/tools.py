"""What evaluators need from outside: a gateway to ask, models of vectors, what judges have shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct, field

from santral.errors import BadRequest
from santral.evals.answer import Ask
from santral.evals.standing import Standing
from santral.retrieval.embedding.model import EmbeddingModel

#: Opens an embedding model by the name that collections give it (``minilm``, ``deployment:NAME``).
#: Raises BadRequest, StoreError, ProviderError.
OpenEmbedding: TypeAlias = Callable[[str], Awaitable[EmbeddingModel]]
#: Tells which models answer for a route, the first one first; the route itself where that is not known.
ModelsOf: TypeAlias = Callable[[str], tuple[str, ...]]


def _unknown(route: str) -> tuple[str, ...]:
    return (route,)


class Tools(Struct, frozen=True, kw_only=True):
    """Handed to every evaluator when it is built. What is None is not there, and one that needs it
    says so before anything is asked."""

    ask: Ask | None = None
    embedding: OpenEmbedding | None = None
    models_of: ModelsOf = _unknown
    standings: Mapping[str, Standing] = field(default_factory=dict[str, Standing])  # by digest
    folder: Path = Path()  # files that parameters name lie here


def need_ask(tools: Tools, use: str) -> Ask:
    """Return what asks models.

    Raises:
        BadRequest: there is nothing to ask.
    """
    if tools.ask is None:
        raise BadRequest(
            f"The evaluator '{use}' asks a model, and there is no gateway to ask. Run it where "
            "santral.toml declares the route, or name a server with --url.",
            code="no_gateway_to_ask",
        )
    return tools.ask


async def need_embedding(tools: Tools, name: str) -> EmbeddingModel:
    """Open a model of vectors.

    Raises:
        BadRequest: there is nothing that opens one.
        SantralError: it cannot be opened.
    """
    if tools.embedding is None:
        raise BadRequest(
            f"Vectors of '{name}' are needed, and nothing here opens models. Run the suite with a "
            "configuration (--config santral.toml).",
            code="no_embedding_model",
        )
    return await tools.embedding(name)
