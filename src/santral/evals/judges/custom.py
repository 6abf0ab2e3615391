"""A judge in one's own words: instructions and labels, each with a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from msgspec import Struct, field

from santral.evals.evaluator import Case, Direction, Measure, Score
from santral.evals.judges.ballot import form, shown
from santral.evals.judges.judge import Judge
from santral.evals.judges.settings import JudgeSettings, Shown
from santral.evals.judges.sitting import Sitting
from santral.evals.tools import Tools


def _yes_or_no() -> dict[str, float]:
    return {"no": 0.0, "yes": 1.0}


class Params(JudgeSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``instructions``, or a ``file`` of them beside the suite. ``labels``: what the judge may say, with
    the value of each. ``shows``: what it sees."""

    instructions: str = ""
    file: str = ""
    labels: dict[str, float] = field(default_factory=_yes_or_no)
    shows: tuple[Shown, ...] = ("question", "answer")
    direction: Direction = "higher"


class CustomJudge(Judge):
    """What a model says to instructions of your own: one of your labels."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "what it `shows`"
    use: ClassVar[str] = "judge"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        if len(params.labels) < 2:
            raise ValueError("labels: two or more")
        self._labels: Mapping[str, float] = params.labels
        self._params = params
        self._instructions = _instructions(params, tools)
        self._form = form(reason={"type": "string"}, label={"enum": list(params.labels)})
        super().__init__(name, params, tools, self._instructions)

    def own_measures(self) -> Sequence[Measure]:
        values = sorted(self._labels.values())
        return (
            Measure(
                name=self.name,
                low=values[0],
                high=values[-1],
                is_binary=set(values) == {0.0, 1.0},
                direction=self._params.direction,
            ),
        )

    async def judge(self, case: Case, sitting: Sitting) -> Sequence[Score]:
        data = shown(case, self._params.shows)
        if data is None:
            return self.lacking(f"the case lacks one of {', '.join(self._params.shows)}")
        filled = await sitting.fill(self._instructions, data, self._form)
        label, reason = str(filled.fields["label"]), str(filled.fields["reason"])
        return [Score(name=self.name, value=self._labels[label], label=label, reason=reason)]


def _instructions(params: Params, tools: Tools) -> str:
    if bool(params.instructions) == bool(params.file):
        raise ValueError("write instructions, or name a file of them")
    if params.instructions:
        return params.instructions
    path = tools.folder / params.file
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"file: {path}: {error}") from None
