"""Rules: the lines that are drawn around the cells of a table."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

#: A line is at most so thick and at least so long, in points; two at one place are this far apart.
_THICKEST, _SHORTEST, _SAME = 2.5, 6.0, 3.0
#: Drawn parts of a page that are looked at. Chosen: maps and charts have more, and no tables.
_MOST_PARTS = 4_000
_MOST_RULES = 1_500


class Rule(Struct, frozen=True):
    """A line across or down a page, counted down from its top, in points."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def is_upright(self) -> bool:
        """Whether it goes down the page."""
        return self.bottom - self.top > self.right - self.left


class Grid(Struct, frozen=True):
    """Lines that make the cells of a table: where its rows and its columns begin, and the last end."""

    rows: tuple[float, ...]
    columns: tuple[float, ...]


def rules_of(raw: Any, page: Any, height: float) -> list[Rule]:
    """Return the lines on a page; the sides of drawn boxes are lines too."""
    count = raw.FPDFPage_CountObjects(page)
    if count > _MOST_PARTS:
        return []
    found: list[Rule] = []
    sides = [ctypes.c_float() for _ in range(4)]
    places = [ctypes.byref(side) for side in sides]
    for number in range(count):
        part = raw.FPDFPage_GetObject(page, number)
        if raw.FPDFPageObj_GetType(part) != raw.FPDF_PAGEOBJ_PATH:
            continue
        if raw.FPDFPageObj_GetBounds(part, *places):
            left, bottom, right, top = (side.value for side in sides)
            found.extend(_lines(left, height - top, right, height - bottom))
    return found if len(found) <= _MOST_RULES else []


def grids(rules: Sequence[Rule]) -> list[Grid]:
    """Return the tables that lines make: those that touch, with two cells at least."""
    found: list[Grid] = []
    for group in _touching(rules):
        rows = _apart(rule.top for rule in group if not rule.is_upright)
        columns = _apart(rule.left for rule in group if rule.is_upright)
        if len(rows) >= 3 and len(columns) >= 3:
            found.append(Grid(tuple(rows), tuple(columns)))
    return found


def _lines(left: float, top: float, right: float, bottom: float) -> Iterator[Rule]:
    """Yield the line that a drawn part is, or the four sides of a box."""
    width, height = right - left, bottom - top
    if min(width, height) <= _THICKEST:
        if max(width, height) >= _SHORTEST:
            yield Rule(left, top, right, bottom)
        return
    if width >= _SHORTEST and height >= _SHORTEST:
        yield Rule(left, top, right, top)
        yield Rule(left, bottom, right, bottom)
        yield Rule(left, top, left, bottom)
        yield Rule(right, top, right, bottom)


def _touching(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Return lines in groups of those that touch each other, one over the other."""
    groups: list[tuple[Rule, list[Rule]]] = []
    for rule in rules:
        box, members = rule, [rule]
        rest: list[tuple[Rule, list[Rule]]] = []
        for other, theirs in groups:
            if _touch(box, other):
                box = Rule(
                    min(box.left, other.left), min(box.top, other.top),
                    max(box.right, other.right), max(box.bottom, other.bottom),
                )  # fmt: skip
                members = theirs + members
            else:
                rest.append((other, theirs))
        groups = [*rest, (box, members)]
    return [members for _, members in groups]


def _touch(one: Rule, other: Rule) -> bool:
    return (
        one.left <= other.right + _SAME
        and other.left <= one.right + _SAME
        and one.top <= other.bottom + _SAME
        and other.top <= one.bottom + _SAME
    )


def _apart(places: Iterator[float] | Any) -> list[float]:
    """Return places in order, those that are nearly the same once."""
    found: list[float] = []
    for place in sorted(places):
        if not found or place - found[-1] > _SAME:
            found.append(place)
    return found
