"""Learning: fusion weights and a ranker of a collection's own, from questions with known answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from santral.retrieval.analysis.language import Language
from santral.retrieval.evaluation.questions import Case, QuestionSet
from santral.retrieval.evaluation.run import Explains, found_at, scope_of
from santral.retrieval.search.fit import (
    LEAST_QUESTIONS,
    OWN_PENALTY,
    Judgement,
    fit_ranker,
    fit_weights,
    ideal_of,
)
from santral.retrieval.search.fuse import SIGNALS
from santral.retrieval.search.options import SearchOptions
from santral.retrieval.search.rerank.features import FEATURES, View, features_of
from santral.retrieval.search.rerank.known import LEARNED, OFF
from santral.retrieval.search.result import SearchResult


class _Lesson(Struct, frozen=True):
    """One question as weights learn from it, and as a ranker does."""

    signals: Judgement
    features: Judgement


async def learn(
    retriever: Explains,
    tenant_id: str,
    collection: str,
    questions: QuestionSet,
    options: SearchOptions,
    languages: Collection[Language],
) -> list[dict[str, Any]]:
    """Return changes of the options that are worth trying: weights, and with enough questions a ranker.

    ``languages`` are those of the collection. Each change is what these questions taught: whether it
    helps, others have to say.

    Raises:
        NotFound: no such collection.
        StoreError: a server of indexes does not answer, or the ``rag`` extra is not installed.
    """
    plain = replace(options, rerank=OFF, diversity=0.0)
    lessons: list[_Lesson] = []
    for case in questions.cases:
        scope = scope_of(tenant_id, collection, case)
        result = await retriever.explain(scope, case.asked(), plain)
        if case.relevant and result.ranked:
            lessons.append(_lesson(case, result, options.rerank_candidates, languages))
    if not lessons:
        return []
    weights, _, _ = fit_weights([one.signals for one in lessons], options.weights)
    changes: list[dict[str, Any]] = [{"weights": weights}]
    if len(lessons) >= LEAST_QUESTIONS:
        taught = [[one.features for one in lessons]]
        ranker: Mapping[str, float] = fit_ranker(taught, list(FEATURES), OWN_PENALTY)
        changes.append({"rerank": LEARNED, "ranker": ranker})
    return changes


def _lesson(
    case: Case, result: SearchResult, reranked: int, languages: Collection[Language]
) -> _Lesson:
    places = found_at(case.relevant, result.ranked)
    rows = [result.ranked[place] for place, _ in places]
    gains = np.array(
        [max((answer.gain for answer in answers), default=0.0) for _, answers in places], np.float32
    )
    ideal = ideal_of([answer.gain for answer in case.relevant])
    signals = np.array([[one.signals[name] for name in SIGNALS] for one in rows], np.float32)
    first = rows[:reranked]
    features = features_of(View(result.queries[0], first, languages), list(FEATURES))
    return _Lesson(
        signals=Judgement(signals, gains, ideal),
        features=Judgement(features, gains[:reranked], ideal),
    )
