"""A question becomes passages: rewrite, search, fuse, weigh by age, rerank, spread, pack.

The one way into a collection for gateway, command line, API, console and evaluation. Each step is a
module beside this one; here they stand in their order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from santral.errors import SantralError
from santral.retrieval.access import Scope
from santral.retrieval.library import Shelf
from santral.retrieval.search.options import SearchOptions, options_of
from santral.retrieval.search.pack import pack
from santral.retrieval.search.question import Question, bounded
from santral.retrieval.search.rerank.registry import Rerankers
from santral.retrieval.search.result import SearchResult
from santral.retrieval.search.reword import AskModel, invent_answer, reword
from santral.retrieval.search.rewrite import rewrite
from santral.retrieval.search.run import HITS_PER_PASSAGE, Run
from santral.retrieval.search.support import support_of


class Shelves(Protocol):
    """What is open to be searched: the library, or a single shelf in tests."""

    def find(self, tenant_id: str, name: str) -> Shelf | None:
        """Return a collection; None where nothing was published; raises NotFound."""
        ...


class Retriever:
    """Searches collections. Safe to use from many tasks at once.

    ``ask`` reaches the model of a route, for ``rewrite_route`` and ``hyde``; without it they are
    done without, as is a reranker that ``rerankers`` does not hold.
    """

    def __init__(
        self,
        library: Shelves,
        *,
        ask: AskModel | None = None,
        rerankers: Rerankers | None = None,
        now: Callable[[], float],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._library = library
        self._ask = ask
        self._rerankers = rerankers or Rerankers()
        self._now = now
        self._clock = clock

    def shelf(self, tenant_id: str, name: str) -> Shelf | None:
        """Return the collection that a tenant searches under a name; its ``tenant_id`` owns it.

        Raises:
            NotFound: no such collection; names the nearest.
        """
        return self._library.find(tenant_id, name)

    def options(
        self,
        scope: Scope,
        given: Mapping[str, Any] | None = None,
        *,
        top_k: int = 5,
        max_tokens: int = 2000,
        place: str = "santral.retrieval",
    ) -> SearchOptions:
        """Return the options of a collection with what a request says otherwise; see ``options_of``.

        Raises:
            NotFound: no such collection.
            BadRequest: an unknown option, or one that does not fit.
        """
        shelf = self._library.find(scope.tenant_id, scope.collection)
        if shelf is None:
            return SearchOptions(top_k=top_k, max_tokens=max_tokens)
        settings = shelf.collection.settings
        return options_of(settings, given, top_k=top_k, max_tokens=max_tokens, place=place)

    async def search(
        self, scope: Scope, question: Question, options: SearchOptions | None = None
    ) -> SearchResult:
        """Return the passages that answer a question, as its collection or ``options`` say.

        Raises:
            NotFound: no such collection; names the nearest.
            BadRequest: a filter or an option that does not fit.
            StoreError: a server of indexes does not answer (retryable).
        """
        return await self._search(scope, question, options, is_explained=False)

    async def explain(
        self, scope: Scope, question: Question, options: SearchOptions | None = None
    ) -> SearchResult:
        """Search, and keep every chunk that was found, with the scores of every step."""
        return await self._search(scope, question, options, is_explained=True)

    async def _search(
        self,
        scope: Scope,
        question: Question,
        options: SearchOptions | None,
        *,
        is_explained: bool,
    ) -> SearchResult:
        shelf = self._library.find(scope.tenant_id, scope.collection)
        if shelf is None or not question.text.strip():
            return SearchResult(generation="" if shelf is None else shelf.generation)
        wanted = options or options_of(shelf.collection.settings)
        run = Run(scope, shelf, wanted, question.languages, self._clock)
        queries = await self._wordings(run, question)
        invented = await self._invented(run, queries[0])
        found = await run.find(queries, invented, self._now())
        ranked = await run.rank(found, queries[0], self._rerankers)
        support = support_of(queries[0], ranked, run.languages)
        is_weak = support < wanted.min_score
        shown = ranked[: wanted.top_k * HITS_PER_PASSAGE]
        sources = [] if is_weak else await pack(shown, wanted, run.stretch, scope.collection)
        run.lap("pack")
        return SearchResult(
            sources=tuple(sources),
            support=support,
            is_weak=is_weak,
            generation=shelf.generation,
            queries=tuple(queries),
            ranked=tuple(ranked if is_explained else shown),
            timings_ms=run.timings_ms,
            troubles=tuple(run.troubles),
        )

    async def _wordings(self, run: Run, question: Question) -> list[str]:
        """Return what is searched for: by the model if one is configured and answers, else by rules."""
        options = run.options
        if options.rewrite_route is not None:
            try:
                made = await self._reworded(options.rewrite_route, question, options.queries)
            except SantralError:
                made = []
            run.lap("rewrite")
            if made:
                return [bounded(text) for text in made]
            run.troubles.append("rewrite")
        if options.rewrite == "off":
            return [bounded(question.text)]
        return [bounded(text) for text in rewrite(question)]

    async def _reworded(self, route: str, question: Question, count: int) -> list[str]:
        if self._ask is None:
            return []
        return await reword(self._ask, route, question, count)

    async def _invented(self, run: Run, text: str) -> str:
        options = run.options
        if not options.hyde or options.rewrite_route is None or run.shelf.model is None:
            return ""
        try:
            made = await invent_answer(self._ask, options.rewrite_route, text) if self._ask else ""
        except SantralError:
            made = ""
        if not made:
            run.troubles.append("hyde")
        run.lap("hyde")
        return made
