"""Turkish endings: what a word carries, put on another word as its sounds want it.

Ayşe'nin becomes Mehmet'in: the ending is the same one, its vowel and its buffer letter are not.
Source: Göksel and Kerslake, Turkish: A Comprehensive Grammar, 2005, chapters 2, 3 and 8.
"""

from __future__ import annotations

#: Endings: A is a or e, I is ı, i, u or ü, D is d or t; in brackets stands what only a word that ends
#: in a vowel takes, in braces what only one that ends in a consonant takes.
_ENDINGS = (
    "lAr", "[n]In", "[y]I", "[y]A", "DA", "DAn", "[y]lA", "[s]I", "{I}m", "{I}n", "{I}mIz",
    "{I}nIz", "nI", "nA", "nDA", "nDAn", "ki", "DIr", "[y]mIş", "[y]sA", "CA", "sIz", "lI", "lIk",
)  # fmt: skip
_VOWELS = "aıoueiöü"
_BACK = "aıou"
_HIGH = {"a": "ı", "ı": "ı", "o": "u", "u": "u", "e": "i", "i": "i", "ö": "ü", "ü": "ü"}
_FOREIGN = str.maketrans("âîûêéáíóú", "aiueeaiou")
_HARD = "fstkçşhp"
_SOFTENED = {"k": "ğ", "t": "d", "p": "b", "ç": "c"}
#: Endings of one word. Chosen: evlerimizdekilerden has five.
_MOST_ENDINGS = 5


def lower(text: str) -> str:
    """Return a Turkish text in lower case: I becomes ı, and İ becomes i."""
    return text.replace("I", "ı").replace("İ", "i").lower()


def ending_moved(stem: str, ending: str, to: str, *, softens: bool = False) -> str | None:
    """Return what ``to`` carries where ``stem`` carries ``ending``; None where it is no ending.

    All in lower case. ``softens``: the last letter of ``to`` changes before a vowel (erkek, erkeğin).
    The answer is the whole word.
    """
    found = _parsed(stem, ending, _MOST_ENDINGS)
    if found is None:
        return None
    word = to
    for form in found:
        made = _made(word, form)
        if softens and word == to and made[:1] in _VOWELS and made:
            word = word[:-1] + _SOFTENED.get(word[-1], word[-1])
        word += made
    return word


def softened(stem: str) -> str:
    """Return a word as it stands before a vowel: erkek, erkeğ."""
    return stem[:-1] + _SOFTENED.get(stem[-1], stem[-1])


def _parsed(stem: str, ending: str, left: int) -> list[str] | None:
    """Return which endings make ``ending``, the longest first; None where none do."""
    if not ending:
        return []
    if not left:
        return None
    candidates = [(form, _made(stem, form)) for form in _ENDINGS]
    for form, made in sorted(candidates, key=lambda pair: -len(pair[1])):
        if made and ending.startswith(made):
            rest = _parsed(stem + made, ending[len(made) :], left - 1)
            if rest is not None:
                return [form, *rest]
    return None


def _made(word: str, form: str) -> str:
    """Return an ending as it sounds after ``word``."""
    plain = word.translate(_FOREIGN)
    ends_in_vowel = plain[-1:] in _VOWELS
    if form[0] in "[{":
        inner, form = form[1], form[3:]
        wanted = ends_in_vowel if inner in "nys" else not ends_in_vowel
        form = inner + form if wanted else form
    made = ""
    for letter in form:
        made += _sound(plain + made, letter)
    return made


def _sound(before: str, letter: str) -> str:
    last = next((c for c in reversed(before) if c in _VOWELS), "e")
    if letter == "A":
        return "a" if last in _BACK else "e"
    if letter == "I":
        return _HIGH[last]
    if letter in "DC":
        is_hard = before[-1:] in _HARD
        return ("t" if is_hard else "d") if letter == "D" else ("ç" if is_hard else "c")
    return letter
