"""Whether the passages were the right ones: early enough, and all that was needed.

Source: Es et al., Ragas, 2023, and ragas/metrics: average precision over the passages judged useful, and
the share of the good answer's sentences that the passages hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct

from santral.evals.evaluator import Case, Measure, Score
from santral.evals.judges.ballot import numbered
from santral.evals.judges.judge import Judge
from santral.evals.judges.settings import JudgeSettings
from santral.evals.judges.sitting import Sitting
from santral.evals.judges.verdicts import VERDICTS, read_verdicts, share
from santral.evals.tools import Tools
from santral.retrieval.analysis.sentence import sentences
from santral.retrieval.evaluation.measure import context_precision

_USEFUL = (
    "For every numbered context, say whether it was of use in arriving at the given answer to the "
    "question: 1 where it was, 0 where it was not."
)
_HELD = (
    "For every numbered sentence of a good answer, say whether it can be attributed to the contexts: "
    "1 where they hold what it says, 0 where they do not."
)


class Params(JudgeSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of the judge."""


class ContextPrecision(Judge):
    """How early the useful passages stand among those given: average precision over them.

    Useful for the good answer, or where the example has none, for the answer given.
    """

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "passages of the answer, or `contexts`"
    use: ClassVar[str] = "context_precision"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        super().__init__(name, params, tools, _USEFUL)

    def own_measures(self) -> Sequence[Measure]:
        return (Measure(name=self.name),)

    async def judge(self, case: Case, sitting: Sitting) -> Sequence[Score]:
        passages = case.passages
        if not passages:
            return self.lacking("neither the target nor the example gives passages")
        data = {
            "question": case.example.question,
            "given_answer": case.example.expected or case.answer.text,
            "contexts": numbered(passages),
        }
        verdicts = read_verdicts(await sitting.fill(_USEFUL, data, VERDICTS), len(passages))
        reason = f"{sum(verdicts)} of {len(verdicts)} passages were of use"
        return [Score(name=self.name, value=context_precision(verdicts), reason=reason)]


class ContextRecall(Judge):
    """The share of the good answer's sentences that the passages hold."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "`expected`, and passages of the answer or `contexts`"
    use: ClassVar[str] = "context_recall"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        super().__init__(name, params, tools, _HELD)

    def own_measures(self) -> Sequence[Measure]:
        return (Measure(name=self.name),)

    async def judge(self, case: Case, sitting: Sitting) -> Sequence[Score]:
        said = sentences(case.example.expected or "")
        if not said or not case.passages:
            return self.lacking("the example expects no answer, or there are no passages")
        data = {
            "question": case.example.question,
            "contexts": numbered(case.passages),
            "sentences": numbered(said),
        }
        verdicts = read_verdicts(await sitting.fill(_HELD, data, VERDICTS), len(said))
        missing = [text for text, verdict in zip(said, verdicts, strict=True) if not verdict]
        reason = f"not in the passages: {' '.join(missing)}" if missing else ""
        return [Score(name=self.name, value=share(verdicts), reason=reason)]
