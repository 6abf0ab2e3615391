"""Porter's stemmer, as ROUGE is computed with in the field: with NLTK's extensions of it.

Search has a stemmer of its own (retrieval/analysis): this one exists to give the same numbers as others.
Source: Porter, An algorithm for suffix stripping, 1980; the extensions as in nltk.stem.porter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

#: Words that the rules get wrong. Source: nltk.stem.porter, after a list of Martin Porter's.
_IRREGULAR = {
    "sky": "sky", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news",
    "innings": "inning", "inning": "inning", "outings": "outing", "outing": "outing",
    "cannings": "canning", "canning": "canning", "howe": "howe", "proceed": "proceed",
    "exceed": "exceed", "succeed": "succeed",
}  # fmt: skip
_STEP_1A = (("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", ""))
_STEP_2 = (
    ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"),
    ("bli", "ble"), ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"),
    ("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"), ("iveness", "ive"),
    ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"),
    ("fulli", "ful"),
)  # fmt: skip
_STEP_3 = (
    ("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""),
    ("ness", ""),
)  # fmt: skip
_STEP_4 = (
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
    "ism", "ate", "iti", "ous", "ive", "ize",
)  # fmt: skip


@lru_cache(maxsize=50_000)
def porter_stem(word: str) -> str:
    """Return the stem of a word in lower case."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    word = _step_1b(_step_1a(word))
    if word.endswith("y") and len(word) > 2 and _shape(word[:-1])[-1] == "c":
        word = word[:-1] + "i"
    return _step_5(_step_4(_replaced(_step_2(word), _STEP_3)))


def _step_1a(word: str) -> str:
    if word.endswith("ies") and len(word) == 4:
        return word[:-1]
    return _replaced(word, _STEP_1A, lambda _: True)


def _step_1b(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        root = word.removesuffix(suffix)
        if root != word and "v" in _shape(root):
            return _restored(root)
    return word


def _restored(root: str) -> str:
    """Undo what an ending did to the root: ``hopp`` is ``hop``, ``fil`` is ``file``."""
    if root.endswith(("at", "bl", "iz")):
        return root + "e"
    if len(root) > 1 and root[-1] == root[-2] and _shape(root)[-1] == "c":
        return root if root[-1] in "lsz" else root[:-1]
    return root + "e" if _measure(root) == 1 and _ends_short(root) else root


def _step_2(word: str) -> str:
    if word.endswith("alli") and _measure(word[:-4]) > 0:
        return _step_2(word[:-2])
    if word.endswith("logi") and not word.endswith(tuple(suffix for suffix, _ in _STEP_2)):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    return _replaced(word, _STEP_2)


def _step_4(word: str) -> str:
    for suffix in _STEP_4:
        if word.endswith(suffix):
            root = word[: -len(suffix)]
            is_kept = _measure(root) <= 1 or (suffix == "ion" and root[-1] not in "st")
            return word if is_kept else root
    return word


def _step_5(word: str) -> str:
    if word.endswith("e"):
        root = word[:-1]
        measure = _measure(root)
        if measure > 1 or (measure == 1 and not _ends_short(root)):
            word = root
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word


def _replaced(
    word: str,
    table: tuple[tuple[str, str], ...],
    may: Callable[[str], bool] = lambda root: _measure(root) > 0,
) -> str:
    """Replace the first suffix that fits, where the root allows it; no other one is tried then."""
    for suffix, replacement in table:
        if word.endswith(suffix):
            root = word[: len(word) - len(suffix)]
            return root + replacement if may(root) else word
    return word


def _shape(word: str) -> str:
    """Return a c for every consonant and a v for every vowel; y is one after a consonant."""
    shape = ""
    for letter in word:
        is_vowel = letter in "aeiou" or (letter == "y" and shape.endswith("c"))
        shape += "v" if is_vowel else "c"
    return shape


def _measure(root: str) -> int:
    return _shape(root).count("vc")


def _ends_short(root: str) -> bool:
    """Whether a root ends in consonant, vowel, consonant (not w, x, y), or is vowel and consonant."""
    shape = _shape(root)
    return shape == "vc" or (shape.endswith("cvc") and root[-1] not in "wxy")
