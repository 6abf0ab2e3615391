"""Whether an answer contains texts, or does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from msgspec import Struct

from santral.evals.evaluator import Case, Measure, Score
from santral.evals.evaluators.casing import Tongue, lowered, tongue_of
from santral.evals.kind import not_applicable, versioned
from santral.evals.tools import Tools


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """``texts``: what is looked for; empty: the good answers of the example. ``match``: whether one
    of them is enough."""

    texts: tuple[str, ...] = ()
    match: Literal["any", "all"] = "any"
    ignore_case: bool = True
    language: Tongue = "auto"  # of letters in upper and lower case


class Contains:
    """1 where the answer contains a text, or all of them."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "`expected` or `references`, where no `texts` are set"
    kind: ClassVar[str] = "contains"
    is_wanted: ClassVar[bool] = True

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        del tools
        if any(not text for text in params.texts):
            raise ValueError("texts: every answer contains an empty text")
        self._name, self._params = name, params
        self.measures = (Measure(name=name, is_binary=True),)
        self.version = versioned(self.kind, 1, params)

    async def __call__(self, case: Case) -> Sequence[Score]:
        texts = self._params.texts or tuple(filter(None, case.example.good_answers))
        if not texts:
            return not_applicable([self._name], "neither parameters nor example name a text")
        found = self._found(case, texts)
        is_match = len(found) == len(texts) if self._params.match == "all" else bool(found)
        wanted = [text for text in texts if (text in found) != self.is_wanted]
        said = "without" if self.is_wanted else "with"
        reason = "" if is_match == self.is_wanted else f"{said} {', '.join(map(repr, wanted))}"
        return [Score(name=self._name, value=float(is_match == self.is_wanted), reason=reason)]

    def _found(self, case: Case, texts: Sequence[str]) -> list[str]:
        if not self._params.ignore_case:
            return [text for text in texts if text in case.answer.text]
        language = tongue_of(self._params.language, case, " ".join(texts))
        said = lowered(case.answer.text, language)
        return [text for text in texts if lowered(text, language) in said]


class NotContains(Contains):
    """1 where the answer contains none of the texts (with ``match = "all"``: not every one)."""

    kind: ClassVar[str] = "not_contains"
    needs: ClassVar[str] = "`expected` or `references`, where no `texts` are set"
    is_wanted: ClassVar[bool] = False
