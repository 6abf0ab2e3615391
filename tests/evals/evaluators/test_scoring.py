"""What is no number becomes an error with a name, in one place."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from santral.evals.answer import Answer
from santral.evals.evaluator import Case, Measure, Score
from santral.evals.example import Example
from santral.evals.scoring import score

CASE = Case(example=Example(id="1", input="?"), answer=Answer(text="yes"))


class Says:
    """Gives the scores it was made with, or raises."""

    version = "says/1"

    def __init__(self, *scores: Score, measures: Sequence[Measure] = (Measure(name="x"),)) -> None:
        self.measures = measures
        self._scores = scores

    async def __call__(self, case: Case) -> Sequence[Score]:
        return self._scores


class Raises(Says):
    async def __call__(self, case: Case) -> Sequence[Score]:
        raise ZeroDivisionError("by nothing")


class Hangs(Says):
    async def __call__(self, case: Case) -> Sequence[Score]:
        await asyncio.sleep(30)
        return ()


def scored(*evaluators: Says, case: Case = CASE, timeout_s: float = 5) -> list[Score]:
    return asyncio.run(score(evaluators, case, timeout_s=timeout_s))


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (math.nan, "not_a_number"),
        (math.inf, "not_a_number"),
        (None, "not_a_number"),
        (1.5, "out_of_range"),
        (-0.1, "out_of_range"),
    ],
)
def test_what_is_no_value_is_an_error(value: float | None, error: str) -> None:
    (found,) = scored(Says(Score(name="x", value=value)))
    assert (found.value, found.error) == (None, error)
    assert found.reason


def test_rounding_beyond_a_bound_is_no_error() -> None:
    (found,) = scored(Says(Score(name="x", value=1 + 1e-12)))
    assert (found.value, found.error) == (1.0, "")


def test_a_binary_measure_takes_nothing_between() -> None:
    measure = Measure(name="x", is_binary=True)
    (found,) = scored(Says(Score(name="x", value=0.5), measures=[measure]))
    assert found.error == "out_of_range"
    (found,) = scored(Says(Score(name="x", value=True), measures=[measure]))
    assert found.value == 1.0


def test_an_evaluator_that_raises_costs_its_own_score_alone() -> None:
    broken, fine = scored(Raises(), Says(Score(name="y", value=1), measures=[Measure(name="y")]))
    assert (broken.error, broken.value) == ("broken", None)
    assert "ZeroDivisionError: by nothing" in broken.reason
    assert fine.value == 1


def test_an_evaluator_that_hangs_is_given_up() -> None:
    (found,) = scored(Hangs(), timeout_s=0.01)
    assert found.error == "broken"
    assert "longer than 0.01 s" in found.reason


def test_scores_of_other_names_than_the_measures_are_a_fault() -> None:
    (found,) = scored(Says(Score(name="z", value=1)))
    assert found.error == "broken"
    assert "z" in found.reason
    (found,) = scored(Says())
    assert found.error == "broken"


def test_a_failed_answer_is_not_scored() -> None:
    failed = replace(CASE, answer=Answer(error="provider_timeout"))
    (found,) = scored(Says(Score(name="x", value=1)), case=failed)
    assert (found.error, found.reason) == ("no_answer", "provider_timeout")


def test_an_error_keeps_no_value() -> None:
    (found,) = scored(Says(Score(name="x", value=1, error="unreadable")))
    assert (found.value, found.error) == (None, "unreadable")
