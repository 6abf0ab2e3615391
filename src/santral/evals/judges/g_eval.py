"""G-Eval: criteria become steps, and the score is what the model would say on average.

With log-probabilities the score is the sum of p(s) x s over the integers that might have stood where
the score stands; without them it is the mean of several samples.
Source: Liu et al., G-Eval, 2023, section 2; the cut at 1 % as DeepEval has it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from santral.evals.answer import Answer, Chance
from santral.evals.evaluator import Case, Measure, Score
from santral.evals.judges.ballot import form, shown
from santral.evals.judges.judge import Judge
from santral.evals.judges.settings import JudgeSettings, Shown
from santral.evals.judges.sitting import Sitting, together
from santral.evals.tools import Tools

#: Tokens less likely than this say nothing of the score. Source: DeepEval, g_eval/utils.py.
_LEAST_CHANCE = 0.01
#: An integer in a token, and what a tokenizer may leave around it.
_INTEGER = re.compile(r"^[\s\":{,]*(-?\d+)[\s\"},]*$")


class Params(JudgeSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``steps``: how the judge goes about it, one after the other; write them out, or let
    ``santral judges steps`` draft some. ``samples`` and ``sampling_temperature``: for models that tell no
    log-probabilities."""

    criteria: str
    steps: tuple[str, ...]
    low: int = 1
    high: int = 5
    shows: tuple[Shown, ...] = ("question", "answer")
    samples: Annotated[int, Meta(ge=1, le=20)] = 5
    sampling_temperature: float = 1.0


class GEval(Judge):
    """The score a model expects to give, weighted by how likely it would say each number."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "what it `shows`"
    use: ClassVar[str] = "g_eval"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        if not params.steps:
            raise ValueError("steps: write at least one, or draft them with: santral judges steps")
        if params.low >= params.high:
            raise ValueError("low is below high")
        self._params = params
        self._instructions = _instructions(params)
        self._form = form(
            reason={"type": "string"},
            score={"type": "integer", "minimum": params.low, "maximum": params.high},
        )
        super().__init__(name, params, tools, self._instructions)

    def own_measures(self) -> Sequence[Measure]:
        low, high = float(self._params.low), float(self._params.high)
        return (Measure(name=self.name, low=low, high=high),)

    async def judge(self, case: Case, sitting: Sitting) -> Sequence[Score]:
        data = shown(case, self._params.shows)
        if data is None:
            return self.lacking(f"the case lacks one of {', '.join(self._params.shows)}")
        settings = {"temperature": 0.0}
        filled = await sitting.fill(
            self._instructions, data, self._form, settings=settings, top_logprobs=20
        )
        reason, raw = str(filled.fields["reason"]), int(filled.fields["score"])
        weighted = expected_score(filled.answer, raw, self._params.low, self._params.high)
        if weighted is not None:
            return [Score(name=self.name, value=weighted, label="logprobs", reason=reason)]
        raws = [raw, *await self._samples(data, sitting)]
        mean = sum(raws) / len(raws)
        return [Score(name=self.name, value=mean, label=f"{len(raws)} samples", reason=reason)]

    async def _samples(self, data: dict[str, str], sitting: Sitting) -> list[int]:
        """Return further scores, each drawn with a seed of its own."""
        first = self.settings.seed or 0

        async def one(number: int) -> int:
            settings = {"temperature": self._params.sampling_temperature, "seed": first + number}
            filled = await sitting.fill(self._instructions, data, self._form, settings=settings)
            return int(filled.fields["score"])

        return await together([one(number) for number in range(1, self._params.samples)])


def expected_score(answer: Answer, raw: int, low: int, high: int) -> float | None:
    """Return the mean score under the chances of the token where the score stands.

    That is the last token equal to the score that was read: numbers in the reason come before it.
    None where the model told no chances, or split the score over tokens.
    """
    for chances in reversed(answer.chances):
        if chances and _integer(chances[0]) == raw:
            return _mean(chances, low, high)
    return None


def _mean(chances: Sequence[Chance], low: int, high: int) -> float | None:
    weights: dict[int, float] = {}
    for chance in chances:
        number, likely = _integer(chance), math.exp(chance.logprob)
        if number is not None and low <= number <= high and likely >= _LEAST_CHANCE:
            weights[number] = weights.get(number, 0.0) + likely
    total = sum(weights.values())
    return sum(number * weight for number, weight in weights.items()) / total if total else None


def _integer(chance: Chance) -> int | None:
    match = _INTEGER.match(chance.token)
    return int(match[1]) if match else None


def _instructions(params: Params) -> str:
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(params.steps, 1))
    return (
        "You judge an answer that somebody gave.\n\n"
        f"Criteria:\n{params.criteria.strip()}\n\nSteps:\n{steps}\n\n"
        f"Then give a score from {params.low} (worst) to {params.high} (best), a whole number. "
        "Length is no merit."
    )
