"""Learning over a shelf in memory: what questions teach, and that few teach no ranker."""

from __future__ import annotations

import pytest
from tests.retrieval.search.shelves import NOW_S, OneShelf, document

from santral.retrieval.evaluation import learn as learning
from santral.retrieval.evaluation.learn import learn
from santral.retrieval.evaluation.questions import Answer, Case, QuestionSet
from santral.retrieval.evaluation.run import run_questions
from santral.retrieval.search.options import SearchOptions
from santral.retrieval.search.rerank.known import FEATURE_NAMES
from santral.retrieval.search.retriever import Retriever

pytestmark = pytest.mark.anyio

TOPICS = ("backups", "invoices", "holidays", "parking", "visitors", "laptops")
OPTIONS = SearchOptions(weights={"bm25": 0.0, "ngrams": 0.0, "dense": 1.0})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def library() -> tuple[Retriever, QuestionSet]:
    entries = [
        document(topic, f"Rules about {topic}.", f"Who pays for {topic} stands here.")
        for topic in TOPICS
    ]
    cases = [
        Case(f"Who pays for {topic}?", (Answer(topic, f"pays for {topic}"),)) for topic in TOPICS
    ]
    shelf = OneShelf(entries)
    return Retriever(shelf, now=lambda: NOW_S), QuestionSet("set", (*cases, Case("Unknown?")), "")


async def test_weights_are_taught_that_put_answers_first() -> None:
    retriever, questions = library()
    (taught,) = await learn(retriever, "acme", "docs", questions, OPTIONS, ("en",))
    weights = taught["weights"]
    assert sum(weights.values()) == pytest.approx(1)
    with_them = SearchOptions(weights=weights)
    run = await run_questions(retriever, "acme", "docs", questions, with_them)
    before = await run_questions(retriever, "acme", "docs", questions, OPTIONS)
    assert run.mean("ndcg@10") >= before.mean("ndcg@10")
    assert run.mean("mrr@10") == 1


async def test_enough_questions_teach_a_ranker_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "LEAST_QUESTIONS", len(TOPICS))
    retriever, questions = library()
    _, taught = await learn(retriever, "acme", "docs", questions, OPTIONS, ("en",))
    assert taught["rerank"] == "learned"
    assert set(taught["ranker"]) == set(FEATURE_NAMES)
    with_it = SearchOptions(**taught)
    run = await run_questions(retriever, "acme", "docs", questions, with_it)
    assert run.mean("mrr@10") == 1


async def test_questions_that_find_nothing_teach_nothing() -> None:
    retriever, _ = library()
    strangers = QuestionSet("set", (Case("Qwzx vbnm?", (Answer("backups"),)),), "")
    assert await learn(retriever, "acme", "docs", strangers, OPTIONS, ("en",)) == []
