"""The search that was, as the gateway asks now: until every collection is kept in versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from santral.config.collections import CollectionConfig
from santral.retrieval.access import Scope
from santral.retrieval.search.options import SearchOptions, options_of
from santral.retrieval.search.question import Question
from santral.retrieval.search.result import SearchResult
from santral.retrieval.search.search import Searcher


class FormerSearch:
    """Searches what ``santral ingest`` has published; nothing there names groups."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher

    def find_owner(self, tenant_id: str, name: str) -> str | None:
        """Return the tenant itself: the searcher knows what is shared with it."""
        del name
        return tenant_id

    def options(
        self,
        scope: Scope,
        given: Mapping[str, Any] | None = None,
        *,
        top_k: int = 5,
        max_tokens: int = 2000,
        place: str = "santral.retrieval",
    ) -> SearchOptions:
        """Return the options of a search; see ``options_of``."""
        del scope
        return options_of(
            CollectionConfig(), given, top_k=top_k, max_tokens=max_tokens, place=place
        )

    async def search(
        self, scope: Scope, question: Question, options: SearchOptions | None = None
    ) -> SearchResult:
        """Return the passages; raises as ``Searcher.search``."""
        wanted = options or SearchOptions()
        found = self._searcher.search(
            scope.tenant_id,
            scope.collection,
            question.text,
            top_k=wanted.top_k,
            max_tokens=wanted.max_tokens,
            filters={condition.field: str(condition.value) for condition in wanted.filter},
        )
        named = [msgspec.structs.replace(s, collection=scope.collection) for s in found]
        generation = self._searcher.generation(scope.tenant_id, scope.collection)
        return SearchResult(sources=tuple(named), support=1.0, generation=generation)
