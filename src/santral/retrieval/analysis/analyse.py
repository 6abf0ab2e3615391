"""Analysis: what search sees of a text, the same for a document and for a question.

Robust to how people type: IĞDIR'DA, Iğdır'da and igdirda meet (docs/decisions/0007-retrieval.md).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from santral.retrieval.analysis.language import (
    ENGLISH_STOP_WORDS,
    TURKISH_STOP_WORDS,
    Language,
    detect_language,
    fold,
)
from santral.retrieval.analysis.sentence import sentences
from santral.retrieval.analysis.stem import english_stem, turkish_stem

__all__ = ["Language", "detect_language", "fold", "ngrams", "query_terms", "sentences", "terms"]

#: Length of the character n-grams. Measured: 5 is worse in Turkish and in English by a point.
GRAM = 4

# A word, and what follows an apostrophe in it: İstanbul'da, company's, O'Brien.
_WORD = re.compile(r"([^\W_]+)(?:'([^\W_]+))?")


def terms(text: str, language: Language | None = None) -> list[str]:
    """Return the stems of a text in order, without stop words; the language is detected if not given.

    Compare only what was analysed in one language: short texts are hard to tell, so pass the
    language where you know it.
    """
    known = language or detect_language(text)
    words = _words(fold(text))
    if known == "tr":
        return [turkish_stem(word) for word in words if word not in TURKISH_STOP_WORDS]
    if known == "en":
        return [english_stem(word) for word in words if word not in ENGLISH_STOP_WORDS]
    return list(words)


def query_terms(text: str, languages: Collection[Language]) -> list[str]:
    """Return the stems of a question in every language of a collection, each distinct stem once.

    A question is too short to tell its language, a collection is not. Where the question has
    nothing but stop words, they are kept.
    """
    found: dict[str, None] = {}
    for language in languages:
        found.update(dict.fromkeys(terms(text, language)))
    return list(found) or list(dict.fromkeys(_words(fold(text))))


def ngrams(text: str) -> list[str]:
    """Return the folded character 4-grams of a text, across words with one space between them."""
    words = " ".join(_words(fold(text)))
    if not words:
        return []
    padded = f" {words} "
    return [padded[i : i + GRAM] for i in range(max(1, len(padded) - GRAM + 1))]


def _words(folded: str) -> Iterable[str]:
    """Yield words; a suffix behind an apostrophe is cut, a one-letter prefix before it too."""
    for word, suffix in _WORD.findall(folded):
        yield suffix if suffix and len(word) == 1 and len(suffix) > 2 else word
