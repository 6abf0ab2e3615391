"""One search under way: candidates of all wordings, what each step makes of them, how long it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from santral.errors import SantralError
from santral.retrieval.access import Scope
from santral.retrieval.analysis.counts import Floats
from santral.retrieval.analysis.language import Language
from santral.retrieval.analysis.terms import gram_keys, stem_keys
from santral.retrieval.document import StoredChunk
from santral.retrieval.filter import Condition, Filter
from santral.retrieval.index.entry import Candidate, Candidates, IndexQuery
from santral.retrieval.library import Shelf
from santral.retrieval.search.age import age_factors
from santral.retrieval.search.content import asked_text
from santral.retrieval.search.diversity import diverse_order
from santral.retrieval.search.fuse import SIGNALS, scaled_signals, weighted
from santral.retrieval.search.options import SearchOptions, Weights
from santral.retrieval.search.rerank.known import LEARNED, OFF
from santral.retrieval.search.rerank.learned import learned_scores
from santral.retrieval.search.rerank.registry import Rerankers, scores_by
from santral.retrieval.search.result import Ranked
from santral.retrieval.search.weights import default_weights

#: Chunks that packing looks at per passage asked for: the further ones join passages of their own
#: parents. Measured: docs/decisions/0007-retrieval.md.
HITS_PER_PASSAGE = 3
#: Candidates of a signal at the most, when rules of age hide what was found first. Chosen.
MAX_CANDIDATES = 1_000
#: What the other wordings of a question count for, beside the first one.
#: Measured: docs/decisions/0030-search.md.
OTHER_WORDINGS = 0.8


class Found(Struct):
    """All candidates of all wordings, each once, with what fusion made of them."""

    candidates: list[Candidate]
    signals: Floats
    fused: Floats
    age: Floats | None


class Run:
    """One search under way: whose, of what, how, and how long its steps took."""

    def __init__(
        self,
        scope: Scope,
        shelf: Shelf,
        options: SearchOptions,
        hints: Sequence[Language],
        clock: Callable[[], float],
    ) -> None:
        self.scope, self.shelf, self.options = scope, shelf, options
        self.languages = tuple(dict.fromkeys((*shelf.reader.state.languages, *hints)))
        self.timings_ms: dict[str, float] = {}
        self.troubles: list[str] = []
        self._clock, self._lap_at = clock, clock()

    def lap(self, step: str) -> None:
        """Note how long it has been since the last step ended."""
        now = self._clock()
        self.timings_ms[step] = self.timings_ms.get(step, 0.0) + 1000 * (now - self._lap_at)
        self._lap_at = now

    async def stretch(self, document_id: str, first: int, last: int) -> Sequence[StoredChunk]:
        """Return chunks of a document, within what the asker may see."""
        return await self.shelf.reader.stretch(self.scope, document_id, first, last)

    async def find(self, queries: Sequence[str], invented: str, now_s: float) -> Found:
        """Search for every wording; again with more candidates where rules of age hide the first."""
        asked = [await self._query(text, invented) for text in queries]
        self.lap("analyse")
        while True:
            found = _merged([await self._ask(query) for query in asked], self._weights())
            self.lap("search")
            found.age = age_factors(found.candidates, self.options, now_s)
            hidden = 0 if found.age is None else int((found.age == 0).sum())
            limit = asked[0].limit
            is_enough = len(found.candidates) - hidden >= self.options.top_k * HITS_PER_PASSAGE
            if not hidden or is_enough or limit >= MAX_CANDIDATES:
                return found
            asked = [replace(query, limit=min(4 * limit, MAX_CANDIDATES)) for query in asked]

    async def rank(self, found: Found, asked: str, rerankers: Rerankers) -> list[Ranked]:
        """Return the candidates, best first, without those that are hidden."""
        age = np.ones(len(found.fused), np.float32) if found.age is None else found.age
        scores = found.fused * age
        order = np.argsort(-scores, kind="stable")
        ranked = [self._ranked(found, row, scores) for row in order.tolist() if scores[row] > 0]
        self.lap("fuse")
        if self.options.rerank != OFF and ranked:
            ranked = await self._reranked(ranked, asked, rerankers)
            self.lap("rerank")
        if self.options.diversity:
            ranked = self._spread(ranked)
            self.lap("spread")
        return ranked

    async def _reranked(
        self, ranked: list[Ranked], asked: str, rerankers: Rerankers
    ) -> list[Ranked]:
        """Return the best chunks in the order of the reranker, then the others as they were."""
        first = ranked[: self.options.rerank_candidates]
        scores = await self._scores_again(first, asked, rerankers)
        if scores is None or len(scores) != len(first):
            self.troubles.append("rerank")
            return ranked
        again = [_scored(one, score) for one, score in zip(first, scores, strict=True)]
        again.sort(key=lambda one: -one.score)
        share = again[-1].score / (first[-1].score or 1.0)
        return [*again, *(_behind(one, share) for one in ranked[len(first) :])]

    async def _scores_again(
        self, first: Sequence[Ranked], asked: str, rerankers: Rerankers
    ) -> Sequence[float] | None:
        if self.options.rerank == LEARNED:
            return learned_scores(asked, first, self.languages, self.options.ranker).tolist()
        try:
            return await scores_by(rerankers, self.options.rerank, asked, first)
        except SantralError:
            return None

    def _spread(self, ranked: list[Ranked]) -> list[Ranked]:
        """Return the chunks so that the first ones differ from each other."""
        scores = np.array([one.score for one in ranked], np.float32)
        found = [one.candidate for one in ranked]
        count = self.options.top_k * HITS_PER_PASSAGE
        order = diverse_order(found, scores, self.options.diversity, count)
        return [ranked[place] for place in order.tolist()]

    def _ranked(self, found: Found, row: int, scores: Floats) -> Ranked:
        steps = {"fused": float(found.fused[row])}
        if found.age is not None:
            steps["age"] = float(found.age[row])
        signals = dict(zip(SIGNALS, found.signals[row].tolist(), strict=True))
        return Ranked(found.candidates[row], float(scores[row]), signals, steps)

    def _weights(self) -> Weights:
        model = self.shelf.model
        return self.options.weights or default_weights(
            None if model is None else model.card, self.languages
        )

    async def _query(self, text: str, invented: str) -> IndexQuery:
        return IndexQuery(
            stems=stem_keys(text, self.languages),
            grams=gram_keys(asked_text(text, self.languages)),
            vector=await self._vector(text, invented),
            filter=_with_lifecycle(self.options.filter),
            limit=self.options.candidates,
        )

    async def _vector(self, text: str, invented: str) -> Floats:
        model = self.shelf.model
        if model is None or not self._weights().get("dense"):
            return np.zeros(0, np.float32)
        vector = await model.embed_query(text)
        if invented:
            vector = vector + (await model.embed_documents([invented]))[0]
            vector = vector / (float(np.linalg.norm(vector)) or 1.0)
        return vector if vector.any() else np.zeros(0, np.float32)

    async def _ask(self, query: IndexQuery) -> Candidates:
        return await self.shelf.reader.search(self.scope, query)


def _with_lifecycle(wanted: Filter) -> Filter:
    """Return the filter, narrowed to current documents where it does not speak of their lifecycle."""
    if any(condition.field == "lifecycle" for condition in wanted):
        return wanted
    return (*wanted, Condition("lifecycle", "eq", "current"))


def _merged(answers: Sequence[Candidates], weights: Weights) -> Found:
    """Return every candidate once, with the signals of the wording that it fits best."""
    best: dict[str, tuple[float, Candidate, Floats]] = {}
    for place, answer in enumerate(answers):
        signals = scaled_signals(answer)
        fused = (weighted(signals, weights) * (OTHER_WORDINGS if place else 1)).tolist()
        for row, candidate in enumerate(answer.found):
            known = best.get(candidate.chunk.id)
            if known is None or fused[row] > known[0]:
                best[candidate.chunk.id] = (fused[row], candidate, signals[row])
    return Found(
        candidates=[candidate for _, candidate, _ in best.values()],
        signals=np.array([signals for _, _, signals in best.values()], np.float32).reshape(-1, 3),
        fused=np.array([score for score, _, _ in best.values()], np.float32),
        age=None,
    )


def _scored(one: Ranked, score: float) -> Ranked:
    """Return a chunk with what a reranker says of it; age counts there too."""
    return replace(
        one,
        score=score * one.steps.get("age", 1.0),
        steps={**one.steps, "rerank": score},
    )


def _behind(one: Ranked, share: float) -> Ranked:
    """Return a chunk that was not reranked, with a score below those that were."""
    return replace(one, score=min(1.0, share) * one.score)
