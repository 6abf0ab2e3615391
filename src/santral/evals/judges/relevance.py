"""Whether an answer answers the question: questions are made of it and compared with the one asked.

Source: Es et al., Ragas, 2023: the mean cosine of question and made questions; 0 where the answer
commits to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from santral.evals.evaluator import Case, Measure, Score
from santral.evals.judges.ballot import form
from santral.evals.judges.judge import Judge
from santral.evals.judges.settings import JudgeSettings
from santral.evals.judges.sitting import Sitting
from santral.evals.tools import Tools, need_embedding
from santral.retrieval.embedding.model import EmbeddingModel

_MADE = (
    "Write {count} different questions, in the language of the answer, to which the given answer would "
    "be the answer. For each say whether the answer is noncommittal: evasive, vague, or that it does "
    "not know (1), or not (0)."
)


class Params(JudgeSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``questions``: how many are made. ``model``: of the vectors they are compared by, as collections
    name it."""

    questions: Annotated[int, Meta(ge=1, le=10)] = 3
    model: str = "minilm"


class AnswerRelevance(Judge):
    """How near the questions that the answer would answer are to the one that was asked."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "`input`"
    use: ClassVar[str] = "answer_relevance"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        self._params, self._tools = params, tools
        self._model: EmbeddingModel | None = None
        self._instructions = _MADE.format(count=params.questions)
        self._form = _form(params.questions)
        super().__init__(name, params, tools, self._instructions)

    async def prepare(self) -> None:
        """Open the model of vectors."""
        self._model = await need_embedding(self._tools, self._params.model)
        self.version = f"{self.version}+{self._model.card.digest[:12]}"

    def own_measures(self) -> Sequence[Measure]:
        return (Measure(name=self.name, low=-1.0, note=f"By vectors of {self._params.model}."),)

    async def judge(self, case: Case, sitting: Sitting) -> Sequence[Score]:
        question = case.example.question
        if not question or not case.answer.text.strip():
            return self.lacking("the example asks nothing, or the answer is empty")
        filled = await sitting.fill(self._instructions, {"answer": case.answer.text}, self._form)
        made: list[dict[str, Any]] = filled.fields["questions"]
        if all(one["noncommittal"] for one in made):
            return [Score(name=self.name, value=0, reason="the answer is noncommittal")]
        texts = [str(one["question"]) for one in made]
        value = await self._nearness(question, texts)
        return [Score(name=self.name, value=value, reason="; ".join(texts))]

    async def _nearness(self, question: str, texts: Sequence[str]) -> float:
        model = self._model or await need_embedding(self._tools, self._params.model)
        vectors = await model.embed_documents([question, *texts])
        return min(max(float((vectors[1:] @ vectors[0]).mean()), -1.0), 1.0)


def _form(count: int) -> dict[str, Any]:
    item = form(question={"type": "string"}, noncommittal={"enum": [0, 1]})
    return form(questions={"type": "array", "items": item, "minItems": count, "maxItems": count})
