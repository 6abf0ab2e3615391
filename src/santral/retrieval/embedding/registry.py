"""Which model a name means: fitted, pulled, or an endpoint; and whether it is still the same one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import TypeAlias

from santral.errors import BadRequest, StoreError
from santral.retrieval.analysis.language import Language
from santral.retrieval.embedding.deployment import PREFIX, Asked, open_deployment
from santral.retrieval.embedding.fitted.file import read_fit
from santral.retrieval.embedding.fitted.model import NAME as FITTED
from santral.retrieval.embedding.model import EmbeddingModel, ModelCard
from santral.retrieval.embedding.pulled.model import open_pulled

#: No vectors: the two lexical signals alone.
OFF = "off"

#: Returns a deployment of santral.toml by name; raises BadRequest where there is none.
FindDeployment: TypeAlias = Callable[[str], Asked]
#: Sees that the file of a fitted model is there: ``keep.fetch_fit`` where there is a database.
FetchFit: TypeAlias = Callable[[str, str], Awaitable[None]]


class Models:
    """Opens models by name. One of a kind is enough for a process: what is large is opened once.

    ``fetch_fit`` (of tenant and digest) is None where only files are read.
    """

    def __init__(
        self, data_folder: Path, find_deployment: FindDeployment, fetch_fit: FetchFit | None = None
    ) -> None:
        self._data_folder = data_folder
        self._find_deployment = find_deployment
        self._fetch_fit = fetch_fit
        self._pulled: dict[str, EmbeddingModel] = {}
        self._opening = asyncio.Lock()  # a pulled model is loaded once, whoever asks for it first

    async def open(
        self,
        tenant_id: str,
        name: str,
        dimensions: int | None,
        card: ModelCard | None,
        languages: Collection[Language] = (),
    ) -> EmbeddingModel | None:
        """Return the model of a version, or None where it has no vectors.

        ``name`` and ``dimensions`` are of its recipe, ``card`` of the model that made its vectors: None
        for a version that is built anew. Fitted vectors have no model before they are fitted:
        ``fitted.keep.fit_model`` makes it.

        Raises:
            BadRequest: nothing is called so, or it has other dimensions than the recipe says.
            StoreError: it is not the model that made the vectors (``embedding_changed``), or it cannot
                be read.
            ProviderError: an endpoint that is asked for the first time does not answer.
        """
        if name == OFF:
            return None
        model = await self._opened(tenant_id, name, dimensions, card, languages)
        if card is not None:
            require_same(card, model.card)
        if dimensions is not None and model.card.dimensions != dimensions:
            raise BadRequest(
                f"'{name}' makes vectors of {model.card.dimensions} numbers, the collection asks for "
                f"{dimensions}. Set dimensions to {model.card.dimensions}, or leave it out.",
                code="wrong_dimension",
                param="dimensions",
            )
        return model

    async def _opened(
        self,
        tenant_id: str,
        name: str,
        dimensions: int | None,
        card: ModelCard | None,
        languages: Collection[Language],
    ) -> EmbeddingModel:
        if name.startswith(PREFIX):
            return await open_deployment(
                self._find_deployment(name.removeprefix(PREFIX)), dimensions, card
            )
        if name != FITTED:
            return await self._pulled_model(name)
        if card is None:
            raise StoreError(
                "Vectors of 'lsa' are fitted to the documents of a collection, and this one has not "
                "been fitted yet. Run: santral ingest",
                code="embedding_changed",
            )
        if self._fetch_fit is not None:
            await self._fetch_fit(tenant_id, card.digest)
        return await asyncio.to_thread(read_fit, self._data_folder, card.digest, languages)

    async def _pulled_model(self, name: str) -> EmbeddingModel:
        async with self._opening:
            known = self._pulled.get(name)
            if known is None:
                known = await asyncio.to_thread(open_pulled, self._data_folder, name)
                self._pulled[name] = known
        return known


def require_same(recorded: ModelCard, found: ModelCard) -> None:
    """Return when the model at hand is the one that made the vectors.

    Raises:
        StoreError: it is another; vectors of two models cannot be compared.
    """
    if recorded == found:
        return
    what = (
        f"has {found.dimensions} dimensions instead of {recorded.dimensions}"
        if recorded.dimensions != found.dimensions
        else "is another model than the one that made the vectors"
    )
    raise StoreError(
        f"The embedding model '{found.name}' {what}: they cannot be compared. Build a version with "
        f"it: santral collections add-version NAME --set embedding={found.name}, then santral ingest. "
        "Until it is complete, bring the former model back.",
        code="embedding_changed",
    )
