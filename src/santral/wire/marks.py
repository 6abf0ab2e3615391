"""Marks of citations as models write them: ``[1]``, ``[2, 3]``, ``[1-3]``, ``【1】``, ``【1†source】``."""

from __future__ import annotations

import re

#: What may stand between the brackets: up to 16 numbers of up to three digits.
_NUMBERS = r"\d{1,3}(?:\s?[,;–—-]\s?\d{1,3}){0,15}"
#: One mark, its numbers in the group ``numbers``. The dagger is OpenAI's: 【4:0†source】, 【1†name】.
MARK_PATTERN = rf"[\[【]\s?(?P<numbers>{_NUMBERS})\s?(?:†[^\]】\n]{{0,60}})?[\]】]"
#: The beginning of what may become a mark once more of the text has come.
MARK_BEGINNING = r"[\[【](?:[\d\s,;–—-]{0,80}|[\d\s,;–—-]{1,80}†[^\]】\n]{0,60})"

_MARK = re.compile(MARK_PATTERN)
_BETWEEN = re.compile(r"\s?[,;]\s?")
_RANGE = re.compile(r"\s?[–—-]\s?")


def numbers_of(text: str) -> list[int]:
    """Return the numbers of one mark in its order, each once: ``2, 4-6`` is 2, 4, 5 and 6."""
    numbers: list[int] = []
    for part in _BETWEEN.split(text):
        first, *rest = (int(number) for number in _RANGE.split(part))
        numbers += range(first, rest[-1] + 1) if rest and rest[-1] > first else [first]
    return list(dict.fromkeys(numbers))


def cited_numbers(text: str) -> frozenset[int]:
    """Return every number that the marks of a text cite."""
    return frozenset(n for mark in _MARK.finditer(text) for n in numbers_of(mark["numbers"]))
