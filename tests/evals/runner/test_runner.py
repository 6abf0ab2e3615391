"""One target over its examples: order, bounds, repeats, retries, money, and what is asked no more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from tests.evals.asking import ScriptedAsk, echo

from santral.errors import NotFound
from santral.evals.answer import Answer, Question
from santral.evals.evaluator import Case, Measure, Score
from santral.evals.example import Example
from santral.evals.pace import Pace, Purse, paced
from santral.evals.question import Item, items_of, selected
from santral.evals.run import Sample
from santral.evals.runner import Runner
from santral.evals.scoring import score
from santral.evals.suite import EvaluatorUse, Suite, Target

EXAMPLES = [Example(id=f"e{n}", input=f"question {n}") for n in range(6)]
TARGET = Target(name="plain", route="docs")

pytestmark = pytest.mark.anyio


class Length:
    """How long the answer is, and whether it is as long as the other one."""

    measures = (Measure(name="length", high=None),)
    version = "length/1"

    async def __call__(self, case: Case) -> Sequence[Score]:
        return [Score(name="length", value=len(case.answer.text))]


class Kept:
    def __init__(self) -> None:
        self.samples: list[tuple[Sample, str]] = []

    async def __call__(self, sample: Sample, key: str) -> None:
        self.samples.append((sample, key))


def suite_of(**settings: Any) -> Suite:
    return Suite(
        name="s",
        dataset="cases.jsonl",
        targets=[TARGET],
        evaluators=[EvaluatorUse(use="length")],
        **settings,
    )


def items(suite: Suite, config_hash: str = "c" * 64) -> list[Item]:
    return items_of(suite, TARGET, EXAMPLES, config_hash=config_hash, prompt="")


def runner(ask: ScriptedAsk, kept: Kept | None = None, **settings: Any) -> Runner:
    return Runner(
        ask=ask,
        evaluators=[Length()],
        score=score,
        keep=kept or Kept(),
        purse=settings.pop("purse", Purse()),
        sleep=settings.pop("sleep", _no_sleep),
        **settings,
    )


async def _no_sleep(_: float) -> None:
    return None


async def test_every_example_is_answered_and_scored_in_order() -> None:
    ask = ScriptedAsk(echo)

    outcome = await runner(ask).run(items(suite_of(repeats=2)), {})

    assert [(s.example_id, s.repeat) for s in outcome.samples] == [
        (f"e{n}", repeat) for n in range(6) for repeat in range(2)
    ]
    assert all(s.value("length") == 10 for s in outcome.samples)
    assert outcome.stop_reason == ""


async def test_what_is_done_is_not_asked_again() -> None:
    first = await runner(ScriptedAsk(echo)).run(items(suite_of())[:4], {})
    ask = ScriptedAsk(echo)

    done = {(s.example_id, s.repeat): s for s in first.samples}
    outcome = await runner(ask).run(items(suite_of()), done)

    assert len(outcome.samples) == 6
    assert [q.tags["eval_example"] for q in ask.asked] == ["e4", "e5"]


async def test_a_failure_that_may_pass_is_asked_again_within_bounds_and_when_resumed() -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    busy = ScriptedAsk(lambda _: Answer(error="provider_rate_limited"))
    failed = await runner(busy, sleep=sleep, concurrency=1).run(items(suite_of())[:1], {})
    assert pauses == [5.0, 10.0, 20.0]
    assert failed.samples[0].scores[0].error == "no_answer"

    ask = ScriptedAsk(echo)
    done = {(s.example_id, s.repeat): s for s in failed.samples}
    again = await runner(ask).run(items(suite_of())[:1], done)
    assert again.samples[0].answer.text == "question 0"


async def test_a_refusal_is_an_answer_with_an_error_and_asked_once() -> None:
    ask = ScriptedAsk(lambda _: Answer(error="guardrail_refused", error_message="No."))

    outcome = await runner(ask).run(items(suite_of()), {})

    assert len(ask.asked) == 6
    assert {s.answer.error for s in outcome.samples} == {"guardrail_refused"}


async def test_what_holds_for_all_questions_ends_the_run_at_the_first() -> None:
    def no_route(_: Question) -> str:
        raise NotFound("There is no route 'docs'.")

    ask = ScriptedAsk(no_route)
    with pytest.raises(NotFound, match="no route"):
        await runner(ask).run(items(suite_of()), {})
    assert len(ask.asked) == 1


async def test_the_cost_cap_stops_before_it_is_passed() -> None:
    ask, kept = ScriptedAsk(echo, cost_nanousd=1_000), Kept()

    outcome = await runner(ask, kept, purse=Purse(3_500)).run(items(suite_of()), {})

    assert outcome.stop_reason == "cost cap"
    assert len(ask.asked) == len(kept.samples) == len(outcome.samples) == 3


async def test_an_answer_that_was_paid_for_and_refused_counts_against_the_cap() -> None:
    refused = Answer(error="output_refused", error_message="no", cost_nanousd=1_000)
    ask = ScriptedAsk(lambda _: refused)

    outcome = await runner(ask, purse=Purse(3_500), concurrency=1).run(items(suite_of()), {})

    assert outcome.stop_reason == "cost cap"
    assert len(ask.asked) == 3


async def test_an_unknown_price_stops_a_run_with_a_cap_and_no_other() -> None:
    ask = ScriptedAsk(echo, cost_nanousd=None)

    capped = await runner(ask, purse=Purse(10**9)).run(items(suite_of()), {})
    free = await runner(ask).run(items(suite_of()), {})

    assert "price is unknown" in capped.stop_reason
    assert len(capped.samples) == 1
    assert len(free.samples) == 6


async def test_judges_count_towards_the_cap() -> None:
    class Judged(Length):
        async def __call__(self, case: Case) -> Sequence[Score]:
            return [Score(name="length", value=1, cost_nanousd=5_000)]

    ask = ScriptedAsk(echo, cost_nanousd=0)
    made = runner(ask, purse=Purse(10_000), concurrency=1)
    outcome = await Runner(
        **{name: getattr(made, name) for name in made.__struct_fields__ if name != "evaluators"},
        evaluators=[Judged()],
    ).run(items(suite_of()), {})

    assert outcome.stop_reason == "cost cap"
    assert len(outcome.samples) == 2


async def test_no_more_is_asked_at_once_than_the_suite_says() -> None:
    under_way = most = 0

    class Slow(ScriptedAsk):
        async def __call__(self, question: Question) -> Answer:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            under_way -= 1
            return await super().__call__(question)

    await runner(Slow(echo), concurrency=3).run(items(suite_of(repeats=4)), {})

    assert most == 3


async def test_stored_answers_are_taken_by_everything_they_depend_on_the_repeat_too() -> None:
    todo = items(suite_of(repeats=2))
    assert len({item.key for item in todo}) == 12
    assert {item.key for item in items(suite_of(repeats=2), "d" * 64)}.isdisjoint(
        item.key for item in todo
    )
    ask = ScriptedAsk(echo)

    stored = {todo[0].key: Answer(text="stored", cost_nanousd=1_000)}
    outcome = await runner(ask, known=lambda item: stored.get(item.key)).run(todo, {})

    assert outcome.samples[0].answer.text == "stored"
    assert outcome.samples[0].answer.is_replayed
    assert outcome.samples[1].answer.text == "question 0"
    assert len(ask.asked) == 11


async def test_an_answer_of_unknown_making_is_never_taken_again() -> None:
    assert {item.key for item in items(suite_of(), "")} == {""}


async def test_a_baseline_answer_is_beside_the_one_of_the_same_repeat() -> None:
    seen: list[str | None] = []

    class Compares(Length):
        async def __call__(self, case: Case) -> Sequence[Score]:
            seen.append(case.other.text if case.other else None)
            return [Score(name="length", value=0)]

    made = runner(ScriptedAsk(echo), others={("e0", 0): Answer(text="was")}, concurrency=1)
    await Runner(
        **{name: getattr(made, name) for name in made.__struct_fields__ if name != "evaluators"},
        evaluators=[Compares()],
    ).run(items(suite_of())[:2], {})

    assert seen == ["was", None]


async def test_a_pace_spaces_requests() -> None:
    now, slept = 100.0, list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    ask = paced(ScriptedAsk(echo), Pace(120, clock=lambda: now, sleep=sleep))
    for _ in range(3):
        await ask(Question(model="docs"))

    assert slept == [0.5, 1.0]


async def test_a_cancelled_run_has_kept_what_was_answered() -> None:
    kept, gate = Kept(), asyncio.Event()

    class Stuck(ScriptedAsk):
        async def __call__(self, question: Question) -> Answer:
            if len(self.asked) >= 2:
                await gate.wait()
            return await super().__call__(question)

    task = asyncio.create_task(runner(Stuck(echo), kept).run(items(suite_of()), {}))
    while len(kept.samples) < 2:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [sample.example_id for sample, _ in kept.samples] == ["e0", "e1"]


def test_a_limit_draws_the_same_examples_in_whatever_order_they_come() -> None:
    drawn = selected(EXAMPLES, suite_of(limit=3))
    backwards = selected(EXAMPLES[::-1], suite_of(limit=3))

    assert len(drawn) == 3
    assert [one.id for one in drawn] == sorted(one.id for one in backwards)
    assert len(selected(EXAMPLES, suite_of(limit=100))) == 6


def test_examples_are_chosen_by_split_and_metadata() -> None:
    examples = [
        Example(id="a", input="x", split="test", metadata={"language": "tr"}),
        Example(id="b", input="x", split="test", metadata={"language": "en"}),
        Example(id="c", input="x", split="train", metadata={"language": "tr"}),
    ]

    found = selected(examples, suite_of(split="test", filter={"language": "tr"}))

    assert [one.id for one in found] == ["a"]


def test_a_seed_differs_for_each_repeat_and_prompts_get_variables() -> None:
    example = Example(id="a", input="hello", variables={"name": "x"})
    suite = suite_of(seed=7, repeats=2)

    made = items_of(suite, TARGET, [example], config_hash="c", prompt="greet@1.0.0")

    assert [item.question.settings["seed"] for item in made] == [7, 8]
    assert made[0].question.prompt == "greet@1.0.0"
    assert made[0].question.messages == [{"role": "user", "content": "hello"}]
