"""Two answers before one judge, in both orders: what changes with the order is no preference."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias

import numpy as np
from msgspec import Struct

from santral.evals.answer import Answer
from santral.evals.evaluator import Case, Measure, Score
from santral.evals.judges.ballot import form, shown
from santral.evals.judges.judge import Judge
from santral.evals.judges.settings import JudgeSettings, Shown
from santral.evals.judges.sitting import Sitting, together
from santral.evals.tools import Tools
from santral.statistics.interval import Interval, wilson

Winner: TypeAlias = Literal["head", "base", "tie"]

_FORM = form(reason={"type": "string"}, better={"enum": ["first", "second", "tie"]})


class Params(JudgeSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``criteria``: what makes an answer better. ``shows``: what the judge sees beside the two."""

    criteria: str
    shows: tuple[Shown, ...] = ("question",)


class Pairwise(Judge):
    """1 where the answer is better than the baseline's, 0 where it is worse, 0.5 for a tie.

    Both orders are asked; where they disagree it is a tie, and counted as flipped. The label holds both
    readings, the one that shows this answer first before the other.
    """

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "a baseline, and what it `shows`"
    use: ClassVar[str] = "pairwise"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        self._shows = params.shows
        self._instructions = (
            "You compare two answers, first and second, that were given to the same question.\n\n"
            f"Criteria:\n{params.criteria.strip()}\n\n"
            "First write down, in reason, what speaks for each; then say which is better, or tie "
            "where neither is. The order in which they stand and their length are no merit."
        )
        super().__init__(name, params, tools, self._instructions)

    def own_measures(self) -> Sequence[Measure]:
        return (Measure(name=self.name, neutral=0.5, note="0.5 is as good as the baseline."),)

    async def judge(self, case: Case, sitting: Sitting) -> Sequence[Score]:
        base, data = case.other, shown(case, self._shows)
        if base is None or base.error or data is None:
            return self.lacking("there is no answer of a baseline, or the case lacks what is shown")
        orders: list[bool] = [True, False]
        if _is_turned(case):  # which order is asked first varies from example to example
            orders.reverse()
        readings = await together(
            [self._reading(case.answer, base, data, order, sitting) for order in orders]
        )
        by_order = dict(zip(orders, readings, strict=True))
        return [_score(self.name, by_order[True], by_order[False])]

    async def _reading(
        self,
        head: Answer,
        base: Answer,
        data: dict[str, str],
        is_head_first: bool,
        sitting: Sitting,
    ) -> tuple[Winner, str]:
        first, second = (head, base) if is_head_first else (base, head)
        pair = {**data, "first": first.text, "second": second.text}
        filled = await sitting.fill(self._instructions, pair, _FORM)
        better = str(filled.fields["better"])
        if better == "tie":
            return "tie", str(filled.fields["reason"])
        is_head = (better == "first") == is_head_first
        return "head" if is_head else "base", str(filled.fields["reason"])


class Pairs(Struct, frozen=True, kw_only=True):
    """What many pairs show of a judge. Rates are of pairs, ``first_rate`` of readings with a winner."""

    n: int
    wins: int
    losses: int
    ties: int
    flip_rate: float
    tie_rate: float
    first_rate: float | None  # one half is no preference for a place
    longer_rate: float | None  # of pairs with a winner, how often the longer answer won
    longer: Interval | None
    length_effect: float | None  # correlation of the result and the difference of lengths


def summary(scores: Sequence[Score], lengths: Sequence[tuple[int, int]] = ()) -> Pairs | None:
    """Return what the scores of a pairwise judge show; ``lengths`` are of head and base, in order.

    None where no pair could be judged.
    """
    given = lengths or [(0, 0)] * len(scores)
    valued = [(s, pair) for s, pair in zip(scores, given, strict=True) if s.value is not None]
    if not valued:
        return None
    values = np.array([score.value for score, _ in valued])
    firsts = [first for score, _ in valued for first in _first_won(score.label)]
    longer = [(s.value == 1) == (a > b) for s, (a, b) in valued if s.value != 0.5 and a != b]
    return Pairs(
        n=len(valued),
        wins=int((values == 1).sum()),
        losses=int((values == 0).sum()),
        ties=int((values == 0.5).sum()),
        flip_rate=sum(score.is_flipped for score, _ in valued) / len(valued),
        tie_rate=float((values == 0.5).mean()),
        first_rate=sum(firsts) / len(firsts) if firsts else None,
        longer_rate=sum(longer) / len(longer) if longer else None,
        longer=wilson(sum(longer), len(longer)) if longer else None,
        length_effect=_correlation(values, np.array([a - b for _, (a, b) in valued])),
    )


def _score(name: str, head_first: tuple[Winner, str], base_first: tuple[Winner, str]) -> Score:
    one, other = head_first[0], base_first[0]
    value = {"head": 1.0, "base": 0.0, "tie": 0.5}[one] if one == other else 0.5
    return Score(
        name=name,
        value=value,
        label=f"{one}/{other}",
        reason=head_first[1],
        is_flipped=one != other,
    )


def _first_won(label: str) -> list[bool]:
    """Return, for each reading with a winner, whether it was the one shown first."""
    one, _, other = label.partition("/")
    found = [one == "head"] if one != "tie" else []
    return [*found, other == "base"] if other != "tie" else found


def _is_turned(case: Case) -> bool:
    return hashlib.sha256(f"{case.example.id}/{case.repeat}".encode()).digest()[0] % 2 == 1


def _correlation(values: np.ndarray, differences: np.ndarray) -> float | None:
    if len(values) < 3 or not values.std() or not differences.std():
        return None
    return float(np.corrcoef(values, differences)[0, 1])
