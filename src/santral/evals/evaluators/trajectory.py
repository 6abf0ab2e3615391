"""The way an agent took: which tools, in which order, with how many steps too many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from msgspec import Struct

from santral.evals.evaluator import Case, Measure, Score
from santral.evals.evaluators.tool_calls import Compare, Fits, paired
from santral.evals.example import ToolCall
from santral.evals.kind import not_applicable, versioned
from santral.evals.tools import Tools


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """``match``: the same calls in the same order (``exact``), in that order with others between
    (``in_order``), in any order with others (``any_order``), or no call that is not expected
    (``no_extra``). ``arguments``: as in ``tool_calls``. ``forbidden``: tools that must not be called."""

    match: Literal["exact", "in_order", "any_order", "no_extra"] = "in_order"
    arguments: Compare = "ignore"
    forbidden: tuple[str, ...] = ()


class Trajectory:
    """1 where the agent took an expected way; its efficiency: expected steps over steps taken; and
    the share of steps that only repeat an earlier one."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "`expected_tools`, the steps in order"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        del tools
        self._params = params
        self._names = (name, f"{name}_efficiency", f"{name}_repeated")
        self.measures = (
            Measure(name=self._names[0], is_binary=True),
            Measure(name=self._names[1]),
            Measure(name=self._names[2], direction="lower"),
        )
        self.version = versioned("trajectory", 1, params)

    async def __call__(self, case: Case) -> Sequence[Score]:
        expected, taken = case.example.expected_tools, case.answer.tool_calls
        if not expected:
            return not_applicable(self._names, "the example expects no steps")
        fits = Fits(self._params.arguments, case.example)
        forbidden = [one.name for one in taken if one.name in self._params.forbidden]
        is_right = not forbidden and self._matches(expected, taken, fits)
        reason = "" if is_right else _way(taken, forbidden)
        return [
            Score(name=self._names[0], value=float(is_right), reason=reason),
            Score(name=self._names[1], value=_efficiency(expected, taken, fits)),
            Score(name=self._names[2], value=_repeated(taken)),
        ]

    def _matches(self, expected: Sequence[ToolCall], taken: Sequence[ToolCall], fits: Fits) -> bool:
        if self._params.match == "no_extra":
            return all(any(fits(wanted, step) for wanted in expected) for step in taken)
        is_ordered = self._params.match != "any_order"
        found = paired(expected, taken, fits, in_order=is_ordered)
        is_whole = len(found) == len(expected)
        return is_whole and (self._params.match != "exact" or len(taken) == len(expected))


def _efficiency(expected: Sequence[ToolCall], taken: Sequence[ToolCall], fits: Fits) -> float:
    """Return the expected steps that were taken, over all steps taken or expected, whichever are more."""
    found = paired(expected, taken, fits, in_order=False)
    return len(found) / max(len(expected), len(taken))


def _repeated(taken: Sequence[ToolCall]) -> float:
    if not taken:
        return 0.0
    again = sum(
        any(step.name == one.name and step.arguments == one.arguments for one in taken[:place])
        for place, step in enumerate(taken)
    )
    return again / len(taken)


def _way(taken: Sequence[ToolCall], forbidden: Sequence[str]) -> str:
    way = " → ".join(step.name for step in taken) or "no step"
    return f"{way}; forbidden: {', '.join(forbidden)}" if forbidden else way
