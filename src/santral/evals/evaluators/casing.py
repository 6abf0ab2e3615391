"""Letters in lower case, as the language has it: İ and i, I and ı are pairs in Turkish."""

from __future__ import annotations

from typing import Literal, TypeAlias

from santral.evals.evaluator import Case
from santral.retrieval.analysis.language import detect_language

Tongue: TypeAlias = Literal["auto", "en", "tr", "other"]

_TURKISH = str.maketrans({"İ": "i", "I": "ı"})


def lowered(text: str, language: str) -> str:
    """Return ``text`` in lower case: ``IĞDIR`` is ``ığdır`` in Turkish, ``ISSUE`` is ``issue`` elsewhere."""
    return (text.translate(_TURKISH) if language == "tr" else text).lower()


def tongue_of(given: Tongue, case: Case, text: str) -> str:
    """Return the language of a case: the one that is set, its metadata's, or what ``text`` looks like."""
    if given != "auto":
        return given
    told = case.example.metadata.get("language")
    return told if isinstance(told, str) and told else detect_language(text)
