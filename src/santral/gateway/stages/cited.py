"""Which sources an answer cites."""

from __future__ import annotations

import re

_MARK = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")


def cited_numbers(answer: str) -> frozenset[int]:
    """Return the numbers inside ``[1]`` and ``[2, 3]`` marks."""
    return frozenset(int(number) for mark in _MARK.findall(answer) for number in mark.split(","))
