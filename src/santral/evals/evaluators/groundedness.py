"""How much of an answer stands in its passages, word for word: a signal without a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from msgspec import Struct

from santral.evals.evaluator import Case, Measure, Score
from santral.evals.evaluators.casing import Tongue, tongue_of
from santral.evals.evaluators.words import Tokenizer, tokenizer_of
from santral.evals.kind import not_applicable, versioned
from santral.evals.tools import Tools
from santral.wire.marks import MARK_PATTERN

#: Said wherever the values are shown. Measured: docs/decisions/0038-evaluators-and-judges.md.
CAUTION = (
    "counts shared words: of use for answers that quote (AUC .84 on FaithDial), worthless for answers "
    "in other words (r .26 on XSum summaries); ask a judge for faithfulness there"
)

_MARK = re.compile(MARK_PATTERN)


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """How words are taken; see ``rouge``."""

    tokenizer: Tokenizer = "auto"
    stem: bool = False
    language: Tongue = "auto"


class Groundedness:
    """The share of the answer's words, and of its pairs of words, that its passages hold.

    Worthless for abstractive answers: it sees words, not meaning.
    """

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "passages of the answer, or `contexts`"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        del tools
        self._params = params
        self._names = (name, f"{name}_bigram")
        self.measures = tuple(Measure(name=one, note=CAUTION) for one in self._names)
        self.version = versioned("groundedness", 1, params)

    async def __call__(self, case: Case) -> Sequence[Score]:
        passages = case.passages
        said = _MARK.sub(" ", case.answer.text)  # a citation is no word of the answer
        if not passages:
            return not_applicable(self._names, "neither the target nor the example gives passages")
        language = tongue_of(self._params.language, case, said)
        tokenize = tokenizer_of(self._params.tokenizer, language, self._params.stem, said)
        words, held = tokenize(said), [tokenize(text) for text in passages]
        if not words:
            return not_applicable(self._names, "the answer holds no word")
        known = {word for text in held for word in text}
        pairs = {pair for text in held for pair in _pairs(text)}
        own = _pairs(words)
        return [
            Score(name=self._names[0], value=sum(word in known for word in words) / len(words)),
            Score(name=self._names[1], value=sum(pair in pairs for pair in own) / len(own))
            if own
            else not_applicable(self._names[1:], "the answer is one word")[0],
        ]


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    return list(pairwise(words))
