"""Content words: what a question is about, without the words that any question has."""

from __future__ import annotations

from collections.abc import Collection

from santral.retrieval.analysis.analyse import fold, words
from santral.retrieval.analysis.language import (
    ENGLISH_STOP_WORDS,
    TURKISH_STOP_WORDS,
    Language,
)

_BOTH: tuple[Language, ...] = ("en", "tr")
_STOP_WORDS = {"en": ENGLISH_STOP_WORDS, "tr": TURKISH_STOP_WORDS, "other": frozenset[str]()}


def content_words(text: str, languages: Collection[Language] = _BOTH) -> list[str]:
    """Return the folded words of a question without the stop words of the languages, maybe none."""
    stop_words = frozenset[str]().union(*(_STOP_WORDS[language] for language in languages))
    return [word for word in words(fold(text)) if word not in stop_words]


def asked_text(text: str, languages: Collection[Language]) -> str:
    """Return what is searched for by 4-grams: the content words, all words where there is no other.

    Measured: 0.3 points of nDCG@10 on the average of five collections, 1.5 on the most technical one.
    """
    return " ".join(content_words(text, languages)) or text
