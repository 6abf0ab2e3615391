"""Whether the model itself declined to answer, in English or Turkish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from msgspec import Struct

from santral.guardrails.check import Inspection
from santral.guardrails.patterns import any_of, compiled
from santral.guardrails.verdict import NOTHING_FOUND, Action, Finding, Span

#: A refusal stands at the beginning. Measured on XSTest completions: field/guardrails.md 4.
_LOOKED_AT: Final = 220

_REFUSAL: Final = compiled(
    "(?i)"
    + any_of(
        (
            r"\bI(?:'m| am) (?:very |so |really |truly |deeply )?(?:sorry|afraid),?(?: but)? (?:\w+,? )?(?:I|that|this|it)\b.{0,30}(?:can'?t|cannot|can not|won'?t|unable|not able|not (?:something|appropriate)|don'?t)",
            r"\bI(?:'m| am) (?:unable|not able|not (?:allowed|permitted|comfortable|going)) to\b",
            r"\bI (?:can'?t|cannot|can not|won'?t|will not|must (?:decline|refuse)|have to decline|decline to|refuse to)(?: \w+)? "
            r"(?:assist|help|provide|answer|comply|fulfil\w*|do that|support|give|create|write|share|discuss|engage|participate|generate|recommend|offer|produce|respond|with that|in good)",
            r"\bI (?:must|have to|need to) (?:respectfully )?(?:decline|refuse)\b",
            r"\bas an? (?:AI|language model|artificial intelligence)\b.{0,60}(?:can'?t|cannot|unable|not able|don'?t have|must not|won'?t)",
            r"\b(?:it|this|that) (?:is|would be|goes)(?: not|n'?t)? (?:appropriate|ethical|unethical|inappropriate|against my)\b",
            r"\bI (?:do not|don'?t) (?:feel comfortable|have (?:any )?(?:information|access|enough information)|engage in|condone|support)\b",
            # Turkish, folded to ASCII
            r"\b(?:uzgunum|maalesef|ne yazik ki|kusura bakma\w*|ozur diler\w*)\b.{0,120}\b\w{2,24}(?:am[iy]yorum|em[iy]yorum|amam|emem|amayiz|emeyiz|amiyoruz|emiyoruz|mumkun degil|yetkim yok)\b",
            r"\bbu (?:konuda|istege|isteginize|talebe|talebinize|soruya|sorunuza)\b.{0,60}\b(?:yardimci ol|yanit ver|cevap ver|bilgi ver|destek ol|karsilik ver)\w{0,4}(?:amam|emem|amiyorum|emiyorum|amayiz|emeyiz)\b",
            r"\b(?:yardimci olamam|yardim edemem|yardimci olamiyorum|yardim edemiyorum|cevap veremem|yanit veremem|yanitlayamam|cevaplayamam|bunu yapamam|uygun degil(?:dir)?|etik degil(?:dir)?)\b",
            r"\b(?:yapay zeka|dil modeli)\b.{0,40}\bolarak\b.{0,80}\b\w{2,24}(?:am[iy]yorum|em[iy]yorum|amam|emem)\b",
        )
    )
)


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of ``refusal``: none."""


class Refusal:
    """Tells an answer that declines from one that answers; not from a provider's own filter."""

    Params: ClassVar[type[Struct]] = Params
    places: ClassVar[frozenset[str]] = frozenset({"output"})
    actions: ClassVar[tuple[Action, ...]] = ("report", "refuse", "retry")
    only_patterns = False
    patterns: Mapping[str, str] = {}  # one look at 220 characters: not worth a place in the Set
    reads_whole = True

    def __init__(self, params: Params) -> None:
        del params

    async def __call__(self, looked: Inspection) -> Finding:
        for number, view in enumerate(looked.views):
            match = _REFUSAL.search(view.data[:_LOOKED_AT])
            if match:
                span = Span(number, *view.span(*match.span()), "refusal")
                return Finding(1, "the model declined to answer", (span,))
        return NOTHING_FOUND
