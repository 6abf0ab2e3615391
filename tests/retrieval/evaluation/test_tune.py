"""Tuning: it finds what helps, and does not believe what luck has found."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest

from santral.retrieval.evaluation.questions import Answer, Case, QuestionSet
from santral.retrieval.evaluation.run import Asked, Run
from santral.retrieval.evaluation.tune import halves, tune
from santral.retrieval.search.options import SearchOptions

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def questions(count: int) -> QuestionSet:
    cases = [Case(f"q{n}", (Answer("d"),)) for n in range(count)]
    return QuestionSet("set", (*cases, Case("unanswerable")), "digest")


def measured(asked: QuestionSet, options: SearchOptions, values: list[float]) -> Run:
    return Run(
        questions=asked.name,
        options=options,
        asked=tuple(
            Asked(
                case=case, values={"ndcg@10": value, "context_recall": value},
                latency_ms=1.0, cpu_ms=1.0, tokens=500, support=1.0,
            )
            for case, value in zip(asked.cases, values, strict=True)
        ),
    )  # fmt: skip


async def nothing(asked: QuestionSet, options: SearchOptions) -> list[dict[str, Any]]:
    return []


async def test_what_the_first_half_teaches_is_tried_and_confirmed() -> None:
    halves_taught: list[str] = []

    async def learn(asked: QuestionSet, options: SearchOptions) -> list[dict[str, Any]]:
        halves_taught.append(asked.name)
        return [{"weights": {"bm25": 1.0, "ngrams": 0.0, "dense": 0.0}}]

    async def run(asked: QuestionSet, options: SearchOptions) -> Run:
        better = 0.1 if options.weights.get("bm25") == 1.0 else 0.0
        return measured(asked, options, [0.5 + better] * len(asked.cases))

    found = await tune(questions(40), SearchOptions(), run, learn)
    assert halves_taught == ["set (first half)"]
    assert found.changes == {"weights": {"bm25": 1.0, "ngrams": 0.0, "dense": 0.0}}
    assert found.is_better


async def test_a_setting_that_helps_is_found_and_confirmed() -> None:
    async def run(asked: QuestionSet, options: SearchOptions) -> Run:
        better = 0.2 if options.rerank == "learned" else 0.0
        noise = Random(3)
        return measured(asked, options, [0.5 + better + noise.gauss(0, 0.05) for _ in asked.cases])

    found = await tune(questions(60), SearchOptions(), run, nothing)
    assert found.changes == {"rerank": "learned"}
    assert found.is_better
    assert found.gain.mean == pytest.approx(0.2)
    assert found.gain.n == 30
    assert found.after.questions == "set (second half)"


async def test_what_luck_has_found_is_not_recommended() -> None:
    luck = Random(11)
    believed = 0
    for _ in range(40):

        async def run(asked: QuestionSet, options: SearchOptions) -> Run:
            return measured(asked, options, [luck.random() for _ in asked.cases])

        believed += (await tune(questions(40), SearchOptions(), run, nothing)).is_better
    # One in forty by its own interval; several times that would be believing luck.
    assert believed <= math.ceil(40 * 0.025) + 3


async def test_nothing_that_helps_leaves_everything_as_it_is() -> None:
    async def run(asked: QuestionSet, options: SearchOptions) -> Run:
        return measured(asked, options, [0.5] * len(asked.cases))

    found = await tune(questions(40), SearchOptions(weights={"bm25": 1.0}), run, nothing)
    assert found.changes == {}
    assert not found.is_better
    assert found.gain.mean == 0


async def test_more_context_has_to_pay_for_itself() -> None:
    async def run(asked: QuestionSet, options: SearchOptions) -> Run:
        made = measured(asked, options, [0.5] * len(asked.cases))
        tokens = 500 + 3000 * options.neighbours
        asked_more = tuple(
            Asked(
                case=one.case, values=one.values, latency_ms=1.0, cpu_ms=1.0,
                tokens=tokens, support=1.0,
            )
            for one in made.asked
        )  # fmt: skip
        return Run(questions=asked.name, options=options, asked=asked_more)

    assert (await tune(questions(40), SearchOptions(), run, nothing)).changes == {}


def test_halves_share_nothing_and_are_the_same_every_time() -> None:
    first, second = halves(questions(41))
    names = [case.question for case in (*first.cases, *second.cases)]
    assert len(set(names)) == 41
    assert "unanswerable" not in names
    assert halves(questions(41))[0] == first


def test_too_few_questions_are_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"20 questions.*santral retrieval questions"):
        halves(questions(19))
