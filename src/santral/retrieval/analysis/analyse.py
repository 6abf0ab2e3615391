"""Analysis: what search sees of a text, the same for a document and for a question.

Robust to how people type: IĞDIR'DA, Iğdır'da and igdirda meet (docs/decisions/0007-retrieval.md).
"""

from __future__ import annotations

import re
from codecs import charmap_build, charmap_encode
from collections.abc import Collection

from santral.retrieval.analysis.language import (
    ENGLISH_STOP_WORDS,
    TURKISH_STOP_WORDS,
    Language,
    detect_language,
    fold,
)
from santral.retrieval.analysis.sentence import sentences
from santral.retrieval.analysis.stem import english_stem, turkish_stem

__all__ = [
    "GRAM",
    "Language",
    "counted_text",
    "detect_language",
    "fold",
    "indexed_text",
    "ngrams",
    "query_terms",
    "sentences",
    "stem",
    "terms",
    "words",
]

#: Length of the character n-grams. Measured: 5 is worse in Turkish and in English by a point.
GRAM = 4

# A word, and what follows an apostrophe in it: İstanbul'da, company's, O'Brien.
_WORD = re.compile(r"([^\W_]+)(?:'([^\W_]+))?")


def indexed_text(title: str, section: str, text: str) -> str:
    """Return what is indexed and embedded of a chunk: its headings in front, equal ones once.

    Headings are worth 5 points of nDCG@10 and cost nothing (docs/decisions/0007-retrieval.md).
    """
    return "\n".join([*dict.fromkeys(part for part in (title, section) if part), text])


def counted_text(title: str, section: str, text: str) -> str:
    """Return what ``terms_of`` counts of a chunk: as ``indexed_text``, with its headings twice.

    Measured: 0.5 points of nDCG@10 on the average of five collections, 1.4 on the most technical one.
    """
    headings = dict.fromkeys(part for part in (title, section) if part)
    return "\n".join([*headings, *headings, text])


def terms(text: str, language: Language | None = None) -> list[str]:
    """Return the stems of a text in order, without stop words; the language is detected if not given.

    Compare only what was analysed in one language: short texts are hard to tell, so pass the
    language where you know it.
    """
    known = language or detect_language(text)
    stems = (stem(word, known) for word in words(text))
    return [found for found in stems if found is not None]


def stem(word: str, language: Language) -> str | None:
    """Return the stem of a folded word, nothing for a stop word."""
    if language == "tr":
        return None if word in TURKISH_STOP_WORDS else turkish_stem(word)
    if language == "en":
        return None if word in ENGLISH_STOP_WORDS else english_stem(word)
    return word


def query_terms(text: str, languages: Collection[Language]) -> list[str]:
    """Return the stems of a question in every language of a collection, each distinct stem once.

    A question is too short to tell its language, a collection is not. Where the question has
    nothing but stop words, they are kept.
    """
    found: dict[str, None] = {}
    for language in languages:
        found.update(dict.fromkeys(terms(text, language)))
    return list(found) or list(dict.fromkeys(words(text)))


def ngrams(text: str) -> list[str]:
    """Return the folded character 4-grams of a text, across words with one space between them."""
    line = " ".join(words(text))
    if not line:
        return []
    padded = f" {line} "
    return [padded[i : i + GRAM] for i in range(max(1, len(padded) - GRAM + 1))]


def words(text: str) -> list[str]:
    """Return the folded words of a text; a suffix behind an apostrophe is cut, so is O' before it."""
    try:
        line = charmap_encode(text, "strict", _LETTERS)[0].translate(_FOLDED).decode("ascii")
    except UnicodeEncodeError:
        return _cut(fold(text))
    found = line.split()
    if "'" not in line:
        return found
    return [word for token in found for word in (_cut(token) if "'" in token else (token,))]


def _cut(folded: str) -> list[str]:
    return [
        suffix if suffix and len(word) == 1 and len(suffix) > 2 else word
        for word, suffix in _WORD.findall(folded)
    ]


def _fast_letters() -> tuple[str, bytes]:
    """Return up to 256 letters that stand for themselves, and the folded letter or a space of each.

    Texts of nothing else (most of Western Europe, Turkish) are folded and taken apart in C.
    """
    candidates = [*range(0x80), *range(0xA0, 0x100), *map(ord, "ıİğĞşŞ"), *range(0x2010, 0x2028)]
    letters, folded = "", ""
    for letter in map(chr, candidates):
        plain = fold(letter)
        is_word = _WORD.search(plain) is not None
        if len(plain) == 1 and plain.isascii() and (is_word or plain == "'"):
            letters, folded = letters + letter, folded + plain
        elif plain and not is_word and "'" not in plain:
            letters, folded = letters + letter, folded + " "
    return letters.ljust(256, "\ufffe"), folded.ljust(256).encode("ascii")


_alphabet, _FOLDED = _fast_letters()
_LETTERS = charmap_build(_alphabet)
