"""A judge with a rubric: bands with descriptions, and reasons before the score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct

from santral.evals.evaluator import Case, Direction, Measure, Score
from santral.evals.judges.ballot import form, shown
from santral.evals.judges.judge import Judge
from santral.evals.judges.settings import JudgeSettings, Shown
from santral.evals.judges.sitting import Sitting
from santral.evals.tools import Tools


class Band(Struct, frozen=True, forbid_unknown_fields=True):
    """A score, and what deserves it."""

    score: int
    text: str


class Params(JudgeSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``criteria``: what is judged. ``bands``: at least two, each with what deserves its score.
    ``pass_at``: it and better scores pass, as a measure of its own. ``shows``: what the judge sees."""

    criteria: str
    bands: tuple[Band, ...]
    pass_at: int | None = None
    shows: tuple[Shown, ...] = ("question", "answer")
    direction: Direction = "higher"


class Rubric(Judge):
    """A score out of bands that are described, by a model that gives its reasons first."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "what it `shows`"
    use: ClassVar[str] = "rubric"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        self._scores = sorted(band.score for band in params.bands)
        if len(set(self._scores)) != len(params.bands) or len(params.bands) < 2:
            raise ValueError("bands: two or more, each with a score of its own")
        self._params = params
        self._instructions = _instructions(params)
        self._form = form(reason={"type": "string"}, score={"enum": self._scores})
        super().__init__(name, params, tools, self._instructions)

    def own_measures(self) -> Sequence[Measure]:
        low, high = float(self._scores[0]), float(self._scores[-1])
        whole = Measure(name=self.name, low=low, high=high, direction=self._params.direction)
        if self._params.pass_at is None:
            return (whole,)
        return whole, Measure(name=f"{self.name}_pass", is_binary=True)

    async def judge(self, case: Case, sitting: Sitting) -> Sequence[Score]:
        data = shown(case, self._params.shows)
        if data is None:
            return self.lacking(f"the case lacks one of {', '.join(self._params.shows)}")
        filled = await sitting.fill(self._instructions, data, self._form)
        value, reason = int(filled.fields["score"]), str(filled.fields["reason"])
        found = [Score(name=self.name, value=value, reason=reason)]
        if self._params.pass_at is not None:
            at, is_lower = self._params.pass_at, self._params.direction == "lower"
            has_passed = value <= at if is_lower else value >= at
            found.append(Score(name=f"{self.name}_pass", value=float(has_passed)))
        return found


def _instructions(params: Params) -> str:
    bands = sorted(params.bands, key=lambda band: band.score)
    lines = "\n".join(f"{band.score}: {band.text}" for band in bands)
    return (
        "You judge an answer that somebody gave. Judge by these criteria alone:\n"
        f"{params.criteria.strip()}\n\nScores:\n{lines}\n\n"
        "First write down, in reason, what in the answer speaks for and against it; then give the "
        "score whose description fits best. Length is no merit."
    )
