"""Words of a text, as measures of overlap count them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypeAlias

from santral.evals.evaluators.casing import lowered
from santral.evals.evaluators.porter import porter_stem
from santral.retrieval.analysis.stem import turkish_stem

#: ``auto`` is ``turkish`` for Turkish, ``english`` for other texts in ASCII, else ``unicode``.
Tokenizer: TypeAlias = Literal["auto", "english", "turkish", "unicode"]
Tokenize: TypeAlias = Callable[[str], list[str]]

_NOT_ASCII_WORD = re.compile(r"[^a-z0-9]+")
_WORD = re.compile(r"[^\W_]+")
# A word, and a suffix behind its apostrophe that is no word: İstanbul'da.
_TURKISH_WORD = re.compile(r"([^\W_]+)(?:['’][^\W_]+)?")


def tokenizer_of(name: Tokenizer, language: str, is_stemmed: bool, text: str) -> Tokenize:
    """Return what takes texts apart; ``language`` and ``text``, one of them, decide ``auto``."""
    if name == "auto":
        name = "turkish" if language == "tr" else "english" if text.isascii() else "unicode"
    if name == "english":
        return _english_stems if is_stemmed else _english
    if name == "turkish":
        return _turkish_stems if is_stemmed else _turkish
    return _unicode


def _english(text: str) -> list[str]:
    """As rouge-score 0.1.2 does: lower case, everything but a-z and 0-9 divides."""
    return _NOT_ASCII_WORD.sub(" ", text.lower()).split()


def _english_stems(text: str) -> list[str]:
    return [porter_stem(word) if len(word) > 3 else word for word in _english(text)]


def _turkish(text: str) -> list[str]:
    return [match[1] for match in _TURKISH_WORD.finditer(lowered(text, "tr"))]


def _turkish_stems(text: str) -> list[str]:
    return [turkish_stem(word) for word in _turkish(text)]


def _unicode(text: str) -> list[str]:
    return _WORD.findall(text.lower())
