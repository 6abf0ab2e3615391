"""What a gateway worker searches with: the library of collections, and what it asks for vectors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from santral.app.asking import deployments_for, model_of_route, scores_at
from santral.app.catalogue_file import catalogue_file, from_file
from santral.app.former import FormerSearch
from santral.app.library import library_of, models_of
from santral.config.schema import Config
from santral.errors import NotFound
from santral.providers.provider import Provider
from santral.retrieval.access import Scope
from santral.retrieval.embedding.deployment import Asked
from santral.retrieval.library import Shelf
from santral.retrieval.search.options import SearchOptions
from santral.retrieval.search.question import Question
from santral.retrieval.search.rerank.registry import Rerankers
from santral.retrieval.search.result import SearchResult
from santral.retrieval.search.retriever import Retriever


class Searching:
    """Searches what is published, with the configuration in force; ``refresh`` looks for more.

    ``former`` has the collections that are not kept in versions yet.
    """

    def __init__(
        self, config: Config, providers: Mapping[str, Provider], former: FormerSearch
    ) -> None:
        self._former = former
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
        """Return whose collection a tenant searches under a name; raises NotFound."""
        shelf = self._shelf(tenant_id, name)
        return (
            self._former.find_owner(tenant_id, name)
            if shelf is None
            else shelf.collection.tenant_id
        )

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
        search = self._search(scope)
        return search.options(scope, given, top_k=top_k, max_tokens=max_tokens, place=place)

    async def search(
        self, scope: Scope, question: Question, options: SearchOptions | None = None
    ) -> SearchResult:
        """Return the passages that answer a question; see ``Retriever.search``."""
        return await self._search(scope).search(scope, question, options)

    def _search(self, scope: Scope) -> Retriever | FormerSearch:
        shelf = self._shelf(scope.tenant_id, scope.collection)
        return self._former if shelf is None else self._retriever

    def _shelf(self, tenant_id: str, name: str) -> Shelf | None:
        try:
            return self.library.find(tenant_id, name)
        except NotFound:
            return None

    def _made(self) -> Retriever:
        return Retriever(
            self.library,
            ask=model_of_route(self._config, self._providers),
            rerankers=Rerankers(at_deployment=scores_at(self._config, self._providers)),
            now=time.time,
        )

    def _deployment(self, name: str) -> Asked:
        return deployments_for(self._config, self._providers)(name)
