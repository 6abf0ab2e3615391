"""Whether two folded words are forms of one word: endings of English and Turkish, not stems.

A stem throws away what an ending said; here both words must be one root with known endings, and
endings that turn the meaning round (Turkish -siz, -me/-ma) are not among them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from santral.cache.meaning.words import IRREGULAR, SYNONYMS

#: Empty where a text is too short to tell.
Language = Literal["en", "tr", ""]

_ENGLISH = frozenset(("", "s", "es", "ed", "d", "ing", "'s", "ies", "y", "ied", "ly", "e"))
# Number, possession, case, then tense and person of verbs, folded (no umlauts, dotless i is i).
_TURKISH = re.compile(
    r"(?:l[ae]r)?"
    r"(?:[iu]?m[iu]z|[iu]?n[iu]z|l[ae]r[iu]|[iu]?m|[iu]n|s[iu]|[iu])?"
    r"(?:n?[dt][ae]n|n?[dt][ae]|n?[iu]n|[yn]?[iu]|[yn]?[ae]|yl[ae]|l[ae])?"
    r"(?:ki)?"
    r"(?:[dt][iu]r|[iu]m|[iu]z|s[iu]n|s[iu]n[iu]z)?"
)
_TURKISH_VERB = re.compile(
    r"(?:m[ae]k|m[ae]|[iu]?yor|[iuae]?r|[dt][iu]|m[iu]s|y?[ae]c[ae][kg]|[dt][iu]k|y?[ae]r[ae]k|"
    r"y?[iu]p|y?[ae]bil(?:[iu]r|[iu]yor|m[ae]k)?)?"
    r"(?:l[ae]r)?(?:[iu]?m[iu]z|n[iu]z|[iu]m|[iu]n|s[iu]n[iu]z|s[iu]n|[iu]z|m|k|[dt][iu]r|l[ae]r|[iu])?"
    r"(?:[yn]?[iu]|[yn]?[ae]|n?[dt][ae]n|n?[dt][ae])?"
)
#: Last letters of Turkish roots that soften before a vowel. Source: Turkish phonology (p, c, t, k).
_SOFT = str.maketrans("bdg", "ptk")

#: Shortest root that two words may share. Chosen: two letters and endings explain anything.
_LEAST_ROOT = 3

_ABLATIVE = re.compile(r".{2,}?n?[dt][ae]n$")
_DATIVE = re.compile(r".{2,}?[yn]?[ae]$")


@lru_cache(maxsize=1 << 15)
def are_forms(one: str, other: str, language: Language) -> bool:
    """Whether two words are one word in two forms, or synonyms."""
    one, other = IRREGULAR.get(one, one), IRREGULAR.get(other, other)
    if one == other:
        return True
    number = SYNONYMS.get(one)
    if number is not None and number == SYNONYMS.get(other):
        return True
    shared = _shared(one, other)
    least = max(_LEAST_ROOT, shared - 4)
    if language != "tr":
        return any(_are_english(one, other, at) for at in range(shared, least - 1, -1))
    return any(_are_turkish(one, other, at) for at in range(shared, least - 1, -1))


def case_of(word: str, language: Language) -> str:
    """Return ``from`` or ``to`` for a Turkish word with that case, else an empty string."""
    if language != "tr":
        return ""
    if _ABLATIVE.match(word):
        return "from"
    return "to" if _DATIVE.match(word) else ""


def _shared(one: str, other: str) -> int:
    shared = 0
    for a, b in zip(one, other, strict=False):
        if a != b and not (a.translate(_SOFT) == b.translate(_SOFT) and shared >= _LEAST_ROOT - 1):
            break
        shared += 1
    return shared


def _are_english(one: str, other: str, at: int) -> bool:
    ends = (one[at:], other[at:])
    doubled = [end[1:] if end[:1] == one[at - 1] else end for end in ends]  # planning, plan
    return all(end in _ENGLISH for end in ends) or all(end in _ENGLISH for end in doubled)


def _are_turkish(one: str, other: str, at: int) -> bool:
    return all(_is_ending(end) for end in (one[at:], other[at:]))


def _is_ending(text: str) -> bool:
    return _TURKISH.fullmatch(text) is not None or _TURKISH_VERB.fullmatch(text) is not None
