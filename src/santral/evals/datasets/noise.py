"""Noise: the same question as hurried people type it. What it means stays readable."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import numpy as np

from santral.evals.swaps.swap import SwapLanguage

NoiseKind: TypeAlias = Literal["typos", "case", "diacritics", "punctuation", "whitespace"]

#: Rows of the keyboards, each key a little right of the one above it: TS EN 13134 (Turkish Q), US QWERTY.
_ROWS: Mapping[SwapLanguage, tuple[str, ...]] = {
    "tr": ("qwertyuıopğü", "asdfghjklşi", "zxcvbnmöç"),
    "en": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
}
#: Share of letters that are mistyped. Source: Dhakal et al., Observations on Typing from 136 Million
#: Keystrokes, 2018: people leave 1.2 % and correct 6 %; chosen between, so that a short question has one.
_TYPOS = 0.04
_PLAIN = str.maketrans("çğıöşüÇĞİÖŞÜâîûÂÎÛéèêáàóúñ", "cgiosuCGIOSUaiuAIUeeeaaoun")
_PUNCTUATION = re.compile(r"(?<!\d)[.,;:!?…'’\"“”()-]|[.,;:!?…](?!\d)")
_SPACE = re.compile(r" ")


def noisy(text: str, kind: NoiseKind, language: SwapLanguage, rng: np.random.Generator) -> str:
    """Return a text with noise of one kind; a text that has nothing to lose comes back as it is."""
    return _KINDS[kind](text, language, rng)


def _typos(text: str, language: SwapLanguage, rng: np.random.Generator) -> str:
    near = _neighbours(language)
    places = [n for n, letter in enumerate(text) if letter.lower() in near]
    if not places:
        return text
    count = max(1, round(_TYPOS * len(places)))
    letters = list(text)
    for place in rng.choice(places, size=min(count, len(places)), replace=False):
        letters[place] = _mistyped(text, int(place), near, rng)
    return "".join(letters)


def _mistyped(text: str, place: int, near: Mapping[str, str], rng: np.random.Generator) -> str:
    """Return what stands at a place: a key beside the right one, the letter twice, or nothing."""
    letter = text[place]
    what = rng.random()
    if what < 0.6:
        other = str(rng.choice(list(near[letter.lower()])))
        return other.upper() if letter.isupper() else other
    return letter * 2 if what < 0.8 else ""


def _neighbours(language: SwapLanguage) -> dict[str, str]:
    rows = _ROWS[language]
    found: dict[str, str] = {}
    for number, row in enumerate(rows):
        for place, letter in enumerate(row):
            beside = row[max(0, place - 1) : place] + row[place + 1 : place + 2]
            above = rows[number - 1][place : place + 2] if number else ""
            below = rows[number + 1][max(0, place - 1) : place + 1] if number < 2 else ""
            found[letter] = beside + above + below
    return found


def _case(text: str, language: SwapLanguage, rng: np.random.Generator) -> str:
    """Return a text in small letters, or now and then all in capitals, by the language's rules."""
    if rng.random() < 0.8:
        plain = text.replace("I", "ı").replace("İ", "i") if language == "tr" else text
        return plain.lower()
    return (text.replace("i", "İ") if language == "tr" else text).upper()


def _diacritics(text: str, language: SwapLanguage, rng: np.random.Generator) -> str:
    del language, rng
    return text.translate(_PLAIN)


def _punctuation(text: str, language: SwapLanguage, rng: np.random.Generator) -> str:
    del language, rng
    return _PUNCTUATION.sub("", text)


def _whitespace(text: str, language: SwapLanguage, rng: np.random.Generator) -> str:
    """Return a text in which one space in eight is missing or doubled, one at the least."""
    del language
    spaces = [found.start() for found in _SPACE.finditer(text)]
    if not spaces:
        return text
    letters = list(text)
    for place in rng.choice(spaces, size=max(1, len(spaces) // 8), replace=False):
        letters[place] = "" if rng.random() < 0.5 else "  "
    return "".join(letters)


_Noise: TypeAlias = Callable[[str, SwapLanguage, np.random.Generator], str]
_KINDS: Mapping[NoiseKind, _Noise] = {
    "typos": _typos,
    "case": _case,
    "diacritics": _diacritics,
    "punctuation": _punctuation,
    "whitespace": _whitespace,
}
