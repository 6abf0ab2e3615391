"""Whether an answer is one of the good ones."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias

from msgspec import Struct

from santral.evals.evaluator import Case, Measure, Score
from santral.evals.evaluators.casing import Tongue, lowered, tongue_of
from santral.evals.kind import not_applicable, versioned
from santral.evals.tools import Tools

Step: TypeAlias = Literal["case", "space", "punctuation", "accents"]

_SPACE = re.compile(r"\s+")
_PUNCTUATION = re.compile(r"[^\w\s]|_")
_MARKS = re.compile("[\u0300-\u036f]+")


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """``normalise``: what is not looked at. Empty: every character counts; letters that are composed in
    another way are the same ones (NFC)."""

    normalise: tuple[Step, ...] = ("space",)
    language: Tongue = "auto"  # of letters in upper and lower case


class Exact:
    """1 where the answer is one of the good answers, word for word; says what it did not look at."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "`expected` or `references`"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        del tools
        self._name, self._params = name, params
        self.measures = (Measure(name=name, is_binary=True),)
        self.version = versioned("exact", 1, params)

    async def __call__(self, case: Case) -> Sequence[Score]:
        good = case.example.good_answers
        if not good:
            return not_applicable([self._name], "the example names no good answer")
        language = tongue_of(self._params.language, case, good[0])
        said = normalised(case.answer.text, self._params.normalise, language)
        is_equal = any(said == normalised(one, self._params.normalise, language) for one in good)
        steps = ", ".join(self._params.normalise)
        return [
            Score(
                name=self._name,
                value=float(is_equal),
                reason=f"without {steps}, language {language}" if steps else "",
            )
        ]


def normalised(text: str, steps: Sequence[Step], language: str) -> str:
    """Return a text without what ``steps`` leave out; composed alike in any case (NFC)."""
    text = unicodedata.normalize("NFC", text)
    if "case" in steps:
        text = lowered(text, language)
    if "accents" in steps:
        # The dot of a dotless i is no accent: ı stays a letter of its own.
        text = _MARKS.sub("", unicodedata.normalize("NFD", text))
    if "punctuation" in steps:
        text = _PUNCTUATION.sub(" ", text)
    return _SPACE.sub(" ", text).strip() if "space" in steps or "punctuation" in steps else text
