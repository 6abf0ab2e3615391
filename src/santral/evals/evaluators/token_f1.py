"""Token F1, as SQuAD measures it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct

from santral.evals.evaluator import Case, Measure, Score
from santral.evals.evaluators.casing import Tongue, lowered, tongue_of
from santral.evals.kind import not_applicable, versioned
from santral.evals.tools import Tools

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
#: ASCII punctuation, as SQuAD takes it out, and what typesetters use in its place.
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~‘’“”„«»–—…]")


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """Words are compared in lower case, without punctuation and, in English, without articles."""

    language: Tongue = "auto"


class TokenF1:
    """Words that the answer shares with a good one: F1, the best of all good answers (SQuAD)."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "`expected` or `references`"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        del tools
        self._name, self._params = name, params
        self.measures = (Measure(name=name),)
        self.version = versioned("token_f1", 1, params)

    async def __call__(self, case: Case) -> Sequence[Score]:
        good = case.example.good_answers
        if not good:
            return not_applicable([self._name], "the example names no good answer")
        language = tongue_of(self._params.language, case, good[0])
        value = max(token_f1(one, case.answer.text, language) for one in good)
        return [Score(name=self._name, value=value)]


def token_f1(wanted: str, given: str, language: str = "en") -> float:
    """Return the F1 of the words of two texts; 1 where neither has any.

    Source: Rajpurkar et al., SQuAD, 2016, evaluate-v2.0.py.
    """
    one, other = _words(wanted, language), _words(given, language)
    if not one or not other:
        return float(one == other)
    shared = (Counter(one) & Counter(other)).total()
    return 2 * shared / (len(one) + len(other))


def _words(text: str, language: str) -> list[str]:
    plain = _PUNCTUATION.sub("", lowered(text, language))
    return (plain if language == "tr" else _ARTICLES.sub(" ", plain)).split()
