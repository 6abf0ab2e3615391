"""Whether an answer rests on its passages, claim by claim.

Source: Es et al., Ragas, 2023: claims that the passages support over all claims.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct

from santral.evals.evaluator import Case, Measure, Score
from santral.evals.judges.ballot import form, numbered
from santral.evals.judges.judge import Judge
from santral.evals.judges.settings import JudgeSettings
from santral.evals.judges.sitting import Sitting
from santral.evals.judges.verdicts import VERDICTS, read_verdicts, share
from santral.evals.tools import Tools

_CLAIMS = (
    "Take the answer to the question apart into claims: short statements, each of one fact, each "
    "understood alone (names in place of pronouns), in the language of the answer. Leave out what "
    "claims nothing, such as a greeting or that it does not know. An answer may hold no claim."
)
_SUPPORTED = (
    "For every numbered claim, say whether the contexts support it: 1 where it follows from them "
    "directly, 0 where it does not, whether or not it is true."
)
_FORM = form(claims={"type": "array", "items": {"type": "string"}, "maxItems": 100})


class Params(JudgeSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of the judge."""


class Faithfulness(Judge):
    """The share of the answer's claims that its passages support; an answer without a claim has none."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "passages of the answer, or `contexts`"
    use: ClassVar[str] = "faithfulness"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        super().__init__(name, params, tools, _CLAIMS, _SUPPORTED)

    def own_measures(self) -> Sequence[Measure]:
        return (Measure(name=self.name),)

    async def judge(self, case: Case, sitting: Sitting) -> Sequence[Score]:
        if not case.passages:
            return self.lacking("neither the target nor the example gives passages")
        data = {"question": case.example.question, "answer": case.answer.text}
        claims = (await sitting.fill(_CLAIMS, data, _FORM)).fields["claims"]
        if not claims:
            return self.lacking("the answer makes no claim")
        data = {"contexts": numbered(case.passages), "claims": numbered(claims)}
        verdicts = read_verdicts(await sitting.fill(_SUPPORTED, data, VERDICTS), len(claims))
        wrong = [claim for claim, verdict in zip(claims, verdicts, strict=True) if not verdict]
        reason = f"not supported: {'; '.join(wrong)}" if wrong else ""
        return [Score(name=self.name, value=share(verdicts), reason=reason)]
