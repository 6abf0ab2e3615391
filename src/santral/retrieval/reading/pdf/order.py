"""Order: the parts of a page as people read it, column after column."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from statistics import median

from msgspec import Struct

from santral.retrieval.reading.pdf.run import Row, Run, rows_of

#: Lines on each side of a gutter at least, and words and letters of such a line in the middle of all.
#: Chosen: shorter ones are cells of a table, which is read row by row.
_LEAST_LINES, _LEAST_WORDS, _LEAST_LETTERS = 4, 3.5, 18
#: How far left edges of a column may be apart, and how far a line may reach into a gutter, in points.
_EDGE, _SLACK = 4.0, 1.0
#: Gutters inside gutters. Chosen: newspapers have eight columns.
_DEEPEST = 8


class _Band(Struct):
    """A part of a page with a gutter in it."""

    above: list[Run]
    left: list[Run]
    right: list[Run]
    below: list[Run]

    @property
    def weight(self) -> int:
        """How many lines stand beside the gutter on its poorer side."""
        return min(len(self.left), len(self.right))


def regions(runs: Sequence[Run], depth: int = 0) -> Iterator[list[Row]]:
    """Yield the parts of a page in reading order, each as its rows from top to bottom."""
    band = _widest(runs) if depth < _DEEPEST else None
    if band is None:
        if runs:
            yield rows_of(runs)
        return
    for part in (band.above, band.left, band.right, band.below):
        if part:
            yield from regions(part, depth + 1)


def _widest(runs: Sequence[Run]) -> _Band | None:
    """Return the part with the most lines on both sides of a gutter, if there is a gutter."""
    best: _Band | None = None
    for edge in _edges(runs):
        band = _band(runs, edge)
        if band is not None and (best is None or band.weight > best.weight):
            best = band
    return best


def _edges(runs: Sequence[Run]) -> Iterator[float]:
    """Yield the left edges that several lines share: what lies left of one may be a gutter."""
    held: list[float] = []
    for left in sorted(run.left for run in runs):
        if held and left - held[0] > _EDGE:
            if len(held) >= _LEAST_LINES:
                yield held[0]
            held = []
        held.append(left)
    if len(held) >= _LEAST_LINES:
        yield held[0]


def _band(runs: Sequence[Run], edge: float) -> _Band | None:
    """Return the part beside a gutter left of ``edge`` that no line crosses, with the most lines."""
    gutter = edge - _SLACK
    crossing = sorted(
        (run for run in runs if run.left < gutter and run.right > edge + _SLACK),
        key=lambda run: run.middle,
    )
    free = [run for run in runs if run.right <= edge + _SLACK or run.left >= gutter]
    walls = [float("-inf"), *(run.middle for run in crossing), float("inf")]
    best: _Band | None = None
    for upper, lower in itertools.pairwise(walls):
        inside = [run for run in free if upper < run.middle < lower]
        left = [run for run in inside if run.right <= edge + _SLACK and run.left < gutter]
        right = [run for run in inside if run.left >= gutter]
        if _are_columns(left, right) and (best is None or min(len(left), len(right)) > best.weight):
            above = [run for run in runs if run.middle <= upper]
            below = [run for run in runs if run.middle >= lower]
            best = _Band(above, left, right, below)
    return best


def _are_columns(left: Sequence[Run], right: Sequence[Run]) -> bool:
    """Whether two sides are prose, and stand beside each other."""
    if min(len(left), len(right)) < _LEAST_LINES:
        return False
    for side in (left, right):
        lines = [row.text for row in rows_of(side)]
        if len(lines) < _LEAST_LINES or median(len(line) for line in lines) < _LEAST_LETTERS:
            return False
        if median(len(line.split()) for line in lines) < _LEAST_WORDS:
            return False
    top, bottom = (
        max(min(run.top for run in side) for side in (left, right)),
        min(max(run.bottom for run in side) for side in (left, right)),
    )
    return bottom > top
