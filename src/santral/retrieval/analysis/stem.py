"""Stems: the part of a word that its inflected forms share.

English follows Porter2 with few of its exceptions: on folded text and for search most do not pay.
Source: https://snowballstem.org/algorithms/english/stemmer.html. Turkish keeps the first five
letters: suffixes pile up behind the root, and the prefix beats the Snowball stemmer on questions as
people type them (docs/decisions/0007-retrieval.md).
"""

from __future__ import annotations

import re
from functools import lru_cache

#: Measured on TQuad: 5 letters 79.7 nDCG@10, Snowball 77.8, whole words 75.8.
TURKISH_PREFIX = 5

_R1 = re.compile(r"[aeiouy][^aeiouy]")
# Of the algorithm's exceptions, those that common words need.
_INVARIANT = frozenset(("exceed", "proceed", "succeed", "herring", "inning", "outing"))
_LONG_ROOT = re.compile("gener|commun|arsen")
_VOWEL = re.compile(r"[aeiouy]")
_SHORT = re.compile(r"(?:^[aeiouy][^aeiouy]|[^aeiouy][aeiouy][^aeiouywx])$")
_DOUBLE = ("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt")
_VALID_LI = frozenset("cdeghkmnrt")

_STEP_2 = (
    ("ization", "ize"), ("ational", "ate"), ("fulness", "ful"), ("ousness", "ous"),
    ("iveness", "ive"), ("tional", "tion"), ("biliti", "ble"), ("lessli", "less"),
    ("entli", "ent"), ("ation", "ate"), ("alism", "al"), ("aliti", "al"), ("ousli", "ous"),
    ("iviti", "ive"), ("fulli", "ful"), ("enci", "ence"), ("anci", "ance"), ("abli", "able"),
    ("izer", "ize"), ("ator", "ate"), ("alli", "al"), ("bli", "ble"),
)  # fmt: skip
_STEP_3 = (
    ("ational", "ate"), ("tional", "tion"), ("alize", "al"), ("icate", "ic"), ("iciti", "ic"),
    ("ical", "ic"), ("ness", ""), ("ful", ""),
)  # fmt: skip
_STEP_4 = (
    "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous",
    "ive", "ize", "al", "er", "ic",
)  # fmt: skip


def turkish_stem(word: str) -> str:
    """Return the stem of a folded Turkish word."""
    return word[:TURKISH_PREFIX]


@lru_cache(maxsize=1 << 16)
def english_stem(word: str) -> str:
    """Return the stem of a folded English word; words of three letters or fewer stay as they are."""
    if len(word) <= 3 or not word.isascii() or not word.isalpha():
        return word
    match = _LONG_ROOT.match(word) or _R1.search(word)
    r1 = match.end() if match else len(word)
    match = _R1.search(word, r1)
    r2 = match.end() if match else len(word)
    word = _plural(word)
    if word in _INVARIANT:
        return word
    word = _inflection(word, r1)
    if word.endswith("y") and len(word) > 2 and word[-2] not in "aeiouy":
        word = word[:-1] + "i"
    word = _replace_suffix(word, _STEP_2, r1)
    if word.endswith("li") and len(word) - 2 >= r1 and word[-3] in _VALID_LI:
        word = word[:-2]
    word = _replace_suffix(word, _STEP_3, r1)
    return _final_e(_drop_suffix(word, r2), r1, r2)


def _plural(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")) and _VOWEL.search(word[:-2]):
        return word[:-1]
    return word


def _inflection(word: str, r1: int) -> str:
    for suffix in ("eedly", "eed"):
        if word.endswith(suffix):
            return word[: -len(suffix)] + "ee" if len(word) - len(suffix) >= r1 else word
    for suffix in ("ingly", "edly", "ing", "ed"):
        if word.endswith(suffix):
            root = word[: -len(suffix)]
            return _restored(root, r1) if _VOWEL.search(root) else word
    return word


def _restored(root: str, r1: int) -> str:
    """Undo what an ending did to the root: ``hopp`` is ``hop``, ``locat`` is ``locate``."""
    if root.endswith(("at", "bl", "iz")):
        return root + "e"
    if root.endswith(_DOUBLE):
        return root[:-1]
    return root + "e" if r1 >= len(root) and _SHORT.search(root) else root


def _replace_suffix(word: str, table: tuple[tuple[str, str], ...], region: int) -> str:
    for suffix, replacement in table:
        if word.endswith(suffix):
            start = len(word) - len(suffix)
            return word[:start] + replacement if start >= region else word
    return word


def _drop_suffix(word: str, r2: int) -> str:
    for suffix in _STEP_4:
        if word.endswith(suffix):
            start = len(word) - len(suffix)
            return word[:start] if start >= r2 else word
    if word.endswith("ion") and len(word) - 3 >= r2 and word[-4] in "st":
        return word[:-3]
    return word


def _final_e(word: str, r1: int, r2: int) -> str:
    end = len(word) - 1
    if word.endswith("e"):
        is_droppable = end >= r2 or (end >= r1 and not _SHORT.search(word[:-1]))
        return word[:-1] if is_droppable else word
    return word[:-1] if word.endswith("ll") and end >= r2 else word
