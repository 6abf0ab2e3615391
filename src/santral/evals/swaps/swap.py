"""One text, and the same text with other names, another gender or another way of speaking.

The lists are data (``tr.json``, ``en.json``). English names of the first four groups are those of
Bertrand and Mullainathan, Are Emily and Greg More Employable than Lakisha and Jamal?, 2004, table 8;
the others are chosen: common names of each group, none of which is an ordinary word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import Struct, field

from santral.evals.swaps.inflect import ending_moved, lower, softened

SwapKind: TypeAlias = Literal["names", "gender", "dialect"]
SwapLanguage: TypeAlias = Literal["tr", "en"]

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_MARK = re.compile("['’]")


class Dialect(Struct, frozen=True):
    """Words and endings as they are spoken."""

    words: dict[str, str]
    endings: dict[str, str]


class Lists(Struct, frozen=True):
    """What is swapped in one language."""

    names: dict[str, list[str]]
    gender: list[tuple[str, str]]
    dialect: Dialect
    softens: list[str] = field(default_factory=list[str])


class Swap(Struct, frozen=True, kw_only=True):
    """A text with something swapped: who it was about, who it is about now, and each word."""

    text: str
    kind: SwapKind
    before: str  # a group of names, a gender, standard
    after: str
    words: dict[str, str]  # as they stand in lists, or in the text where there is no list


@cache
def lists_of(language: SwapLanguage) -> Lists:
    """Return the lists of a language."""
    data = (files("santral.evals.swaps") / f"{language}.json").read_bytes()
    return msgspec.json.decode(data, type=Lists)


def swaps_of(
    text: str, kind: SwapKind, language: SwapLanguage, rng: np.random.Generator
) -> list[Swap]:
    """Return the same text about others: of names one for every other group, else one at most.

    A text without anything to swap has none. Names are drawn by ``rng``; one name becomes one name.
    """
    if kind == "names":
        return list(_names(text, language, rng))
    made = _gender(text, language) if kind == "gender" else _dialect(text, language)
    return [made] if made is not None else []


def with_words(text: str, words: Mapping[str, str], language: SwapLanguage) -> str:
    """Return a text with words swapped as ``Swap.words`` says: an answer follows its question."""
    return _swapped(text, words, language)


def _names(text: str, language: SwapLanguage, rng: np.random.Generator) -> Iterator[Swap]:
    groups = lists_of(language).names
    known = {name: group for group, names in groups.items() for name in names}
    there = list(dict.fromkeys(name for name in _stems(text) if name in known))
    if not there:
        return
    before = known[there[0]]
    for group, names in groups.items():
        if group == before:
            continue
        free = [name for name in names if name not in there]
        drawn = [str(name) for name in rng.permutation(free)][: len(there)]
        words = dict(zip(there, drawn, strict=False))
        made = _swapped(text, words, language)
        if made != text:
            yield Swap(text=made, kind="names", before=before, after=group, words=words)


def _gender(text: str, language: SwapLanguage) -> Swap | None:
    pairs = lists_of(language).gender
    to_men = dict(pairs)
    to_women: dict[str, str] = {}
    for woman, man in pairs:
        to_women.setdefault(man, woman)
    words = {**to_women, **to_men}
    made = _swapped(text, words, language)
    if language == "en":
        made = _HER_HIM_HIS.sub(_pronoun, made)
    if made == text:
        return None
    told = [word for word in map(lower, _WORD.findall(text)) if word in words]
    first = next((word for word in map(lower, _WORD.findall(text)) if word in _SEXED), "")
    is_of_women = told[0] in to_men if told else first in ("her", "hers")
    before, after = ("women", "men") if is_of_women else ("men", "women")
    used = {word: words[word] for word in dict.fromkeys(told)}
    return Swap(text=made, kind="gender", before=before, after=after, words=used)


_SEXED = frozenset({"her", "hers", "him", "his"})
#: After these, *her* is no owner: "told her that". Chosen: the words that most often follow.
_NOT_OWNED = frozenset(
    {
        "a", "about", "again", "an", "and", "as", "at", "because", "but", "by", "could", "for",
        "from", "how", "if", "in", "is", "not", "of", "on", "or", "so", "that", "the", "then",
        "to", "today", "too", "was", "were", "what", "when", "who", "why", "will", "with", "would",
        "yesterday",
    }
)  # fmt: skip
_HER_HIM_HIS = re.compile(r"\b(hers?|him|his)\b(?=(\s+[A-Za-z]+)?)", re.IGNORECASE)


def _pronoun(found: re.Match[str]) -> str:
    """Return her, hers, him or his of the other gender: her is his where a noun follows, else him."""
    word, following = found[1].lower(), (found[2] or "").strip().lower()
    if word == "her":
        swapped = "his" if following and following not in _NOT_OWNED else "him"
    else:
        swapped = "his" if word == "hers" else "her"
    return _cased(found[1], swapped, "en")


def _dialect(text: str, language: SwapLanguage) -> Swap | None:
    spoken = lists_of(language).dialect
    words: dict[str, str] = {}

    def said(found: re.Match[str]) -> str:
        other = spoken.words[lower(found[0]) if language == "tr" else found[0].lower()]
        words[found[0]] = other
        return _cased(found[0], other, language)

    longest_first = sorted(spoken.words, key=len, reverse=True)
    pattern = rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)"
    made = re.sub(pattern, said, text, flags=re.IGNORECASE)
    for ending, other in spoken.endings.items():
        made = re.sub(rf"(?<=\w\w){ending}(?!\w)", other, made)
    if made == text:
        return None
    return Swap(text=made, kind="dialect", before="standard", after="spoken", words=words)


def _stems(text: str) -> Iterator[str]:
    for word in _WORD.findall(text):
        yield _MARK.split(word)[0]


def _swapped(text: str, words: Mapping[str, str], language: SwapLanguage) -> str:
    known = {lower(word) if language == "tr" else word.lower(): word for word in words}

    def other(found: re.Match[str]) -> str:
        return _other(found[0], known, words, language)

    return _WORD.sub(other, text)


def _other(
    word: str, known: Mapping[str, str], words: Mapping[str, str], language: SwapLanguage
) -> str:
    stem, *rest = _MARK.split(word)
    plain = lower(stem) if language == "tr" else stem.lower()
    if plain in known:
        to = words[known[plain]]
        if not rest:
            return _cased(stem, to, language)
        return _cased(stem, to, language) + word[len(stem)] + _ending(plain, rest[0], to, language)
    if language == "tr" and not rest:
        return _inflected(word, known, words)
    return word


def _ending(stem: str, ending: str, to: str, language: SwapLanguage) -> str:
    """Return the ending after an apostrophe as another name takes it; an unknown one stays."""
    if language != "tr":
        return ending
    moved = ending_moved(stem, lower(ending), lower(to))
    return ending if moved is None else moved[len(to) :]


def _inflected(word: str, known: Mapping[str, str], words: Mapping[str, str]) -> str:
    """Return a Turkish noun with its endings on another noun: kadının, erkeğin."""
    plain = lower(word)
    softening = lists_of("tr").softens
    for stem, name in known.items():
        forms = (stem, softened(stem)) if stem in softening else (stem,)
        form = next((form for form in forms if plain.startswith(form) and form != plain), None)
        if form is None or not stem.islower() or name[:1].isupper():
            continue
        to = words[name]
        moved = ending_moved(form, plain[len(form) :], lower(to), softens=to in softening)
        if moved is not None:
            return _cased(word, moved, "tr")
    return word


def _cased(like: str, word: str, language: SwapLanguage) -> str:
    """Return ``word`` written as ``like`` is: in capitals, with a first capital, or as it stands."""
    if len(like) > 1 and like.isupper():
        return word.replace("i", "İ").upper() if language == "tr" else word.upper()
    if like[:1].isupper():
        first = "İ" if language == "tr" and word[:1] == "i" else word[:1].upper()
        return first + word[1:]
    return word
