"""Scores of one answer: every evaluator is asked, and what is no number becomes an error with a name."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from santral.evals.evaluator import Case, Evaluator, Measure, Score, ScoreError

#: Seconds that one evaluator may take for one answer. Chosen: a judge asked in both orders, with a
#: retry of its provider.
DEFAULT_TIMEOUT_S = 120.0

#: Characters of a reason that are kept. Chosen: three lines of a report.
_LONGEST_REASON = 400
#: What sums of floating point may pass a bound by.
_ROUNDING = 1e-9


async def score(
    evaluators: Sequence[Evaluator], case: Case, *, timeout_s: float = DEFAULT_TIMEOUT_S
) -> list[Score]:
    """Return one score for every measure of every evaluator, in their order; raises nothing.

    The only place where a value is believed: what is missing, no number, outside of its measure's
    range, late or raised is a score with an error, and is never averaged.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_scores(one, case, timeout_s)) for one in evaluators]
    return [found for task in tasks for found in task.result()]


def measures_of(evaluators: Iterable[Evaluator]) -> list[Measure]:
    """Return the measures of evaluators, in order."""
    return [measure for one in evaluators for measure in one.measures]


def checked(measure: Measure, given: Score) -> Score:
    """Return a score as it may be counted: with a value inside its measure's range, or an error."""
    if given.error:
        return replace(given, value=None)
    value = given.value
    if value is None or not math.isfinite(value):
        return replace(
            given, value=None, error="not_a_number", reason=_because(f"it gave {value}", given)
        )
    if _is_outside(measure, value):
        why = f"{value:g} is not {_range(measure)}"
        return replace(given, value=None, error="out_of_range", reason=_because(why, given))
    return replace(given, value=_held(measure, float(value)), reason=_short(given.reason))


async def _scores(evaluator: Evaluator, case: Case, timeout_s: float) -> list[Score]:
    """Return what one evaluator says, or why it says nothing."""
    if case.answer.error and not getattr(evaluator, "reads_failures", False):
        return failed(evaluator, "no_answer", case.answer.error)
    try:
        async with asyncio.timeout(timeout_s):
            given = await evaluator(case)
    except TimeoutError:
        return failed(evaluator, "broken", f"it took longer than {timeout_s:g} s")
    except Exception as error:  # noqa: BLE001 - an evaluator is anybody's code, and costs its own score alone
        return failed(evaluator, "broken", f"{type(error).__name__}: {error}")
    return _matched(evaluator, given)


def failed(evaluator: Evaluator, error: ScoreError, reason: str) -> list[Score]:
    """Return a score without a value for every measure of an evaluator."""
    return [Score(name=one.name, error=error, reason=_short(reason)) for one in evaluator.measures]


def _matched(evaluator: Evaluator, given: Sequence[Score]) -> list[Score]:
    """Return the scores in the order of the measures; a name that is missing or unknown is a fault."""
    by_name = {one.name: one for one in given}
    names = [measure.name for measure in evaluator.measures]
    if len(by_name) != len(given) or by_name.keys() != set(names):
        said = ", ".join(one.name for one in given) or "none"
        return failed(evaluator, "broken", f"its scores are {', '.join(names)}, it gave {said}")
    return [checked(measure, by_name[measure.name]) for measure in evaluator.measures]


def _is_outside(measure: Measure, value: float) -> bool:
    if measure.is_binary and value not in (0, 1):
        return True
    is_low = measure.low is not None and value < measure.low - _ROUNDING
    return is_low or (measure.high is not None and value > measure.high + _ROUNDING)


def _held(measure: Measure, value: float) -> float:
    """Return a value without what rounding put it beyond a bound."""
    if measure.low is not None:
        value = max(value, measure.low)
    return value if measure.high is None else min(value, measure.high)


def _range(measure: Measure) -> str:
    if measure.is_binary:
        return "0 or 1"
    low = "-∞" if measure.low is None else f"{measure.low:g}"
    return f"between {low} and {'∞' if measure.high is None else f'{measure.high:g}'}"


def _because(why: str, given: Score) -> str:
    return _short(f"{why}: {given.reason}" if given.reason else why)


def _short(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 1] + "…"
