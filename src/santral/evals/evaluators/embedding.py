"""How near an answer is to a good one in the vectors of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct

from santral.evals.evaluator import Case, Measure, Score
from santral.evals.kind import not_applicable, versioned
from santral.evals.tools import Tools, need_embedding
from santral.retrieval.embedding.model import EmbeddingModel


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """``model``: as collections name it, ``minilm`` or ``deployment:NAME``. Values of two models
    cannot be compared: a threshold belongs to one."""

    model: str = "minilm"


class EmbeddingSimilarity:
    """The cosine of the answer's vector and that of the nearest good answer, from -1 to 1."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "`expected` or `references`"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        self._name, self._params, self._tools = name, params, tools
        self._model: EmbeddingModel | None = None
        self.measures = (Measure(name=name, low=-1.0, note=f"by vectors of {params.model}"),)
        self.version = ""  # once the model is open

    async def prepare(self) -> None:
        """Open the model: its digest is part of the version."""
        self._model = await need_embedding(self._tools, self._params.model)
        card = self._model.card
        self.version = versioned(
            "embedding_similarity", 1, self._params, model=card.name, digest=card.digest
        )

    async def __call__(self, case: Case) -> Sequence[Score]:
        good = case.example.good_answers
        if not good or not case.answer.text.strip():
            return not_applicable([self._name], "no good answer is named, or the answer is empty")
        model = self._model or await need_embedding(self._tools, self._params.model)
        vectors = await model.embed_documents([case.answer.text, *good])
        if not vectors.any(axis=1).all():
            return not_applicable([self._name], f"{self._params.model} knows no word of a text")
        value = float((vectors[1:] @ vectors[0]).max())
        return [Score(name=self._name, value=min(max(value, -1.0), 1.0))]
