"""What a gateway worker searches with: the library of collections, and what it asks for vectors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from santral.app.asking import deployments_for, model_of_route, rerankers_of
from santral.app.catalogue_file import catalogue_file, from_file
from santral.app.library import library_of, models_of
from santral.config.schema import Config
from santral.providers.provider import Provider
from santral.retrieval.access import Scope
from santral.retrieval.embedding.deployment import Asked
from santral.retrieval.search.options import SearchOptions
from santral.retrieval.search.question import Question
from santral.retrieval.search.result import SearchResult
from santral.retrieval.search.retriever import Retriever


class Searching:
    """Searches what is published, with the configuration in force; ``library.refresh`` looks for more."""

    def __init__(self, config: Config, providers: Mapping[str, Provider]) -> None:
        self._config = config
        self._providers = providers
        models = models_of(config, self._deployment)
        self.library = library_of(config, from_file(catalogue_file(config)), models)
        self._retriever = self._made()

    def configure(self, config: Config, providers: Mapping[str, Provider]) -> None:
        """Take over a changed configuration for the next search."""
        self._config, self._providers = config, providers
        self.library.configure(config.collections)
        self._retriever = self._made()

    def find_owner(self, tenant_id: str, name: str) -> str | None:
        """Return whose collection a tenant searches under a name; None: nothing is in it yet.

        Raises:
            NotFound: the tenant has no such collection; names the nearest.
        """
        shelf = self.library.find(tenant_id, name)
        return None if shelf is None else shelf.collection.tenant_id

    def options(
        self,
        scope: Scope,
        given: Mapping[str, Any] | None = None,
        *,
        top_k: int = 5,
        max_tokens: int = 2000,
        place: str = "santral.retrieval",
    ) -> SearchOptions:
        """Return the options of a search; see ``Retriever.options``."""
        return self._retriever.options(
            scope, given, top_k=top_k, max_tokens=max_tokens, place=place
        )

    async def search(
        self, scope: Scope, question: Question, options: SearchOptions | None = None
    ) -> SearchResult:
        """Return the passages that answer a question; see ``Retriever.search``."""
        return await self._retriever.search(scope, question, options)

    def _made(self) -> Retriever:
        return Retriever(
            self.library,
            ask=model_of_route(self._config, self._providers),
            rerankers=rerankers_of(self._config, self._providers),
            now=time.time,
        )

    def _deployment(self, name: str) -> Asked:
        return deployments_for(self._config, self._providers)(name)
