"""Furniture of pages: running heads, feet and page numbers, which are no part of the text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from santral.retrieval.reading.pdf.run import Row, Run, rows_of

#: Part of a page's height at its top and bottom where furniture stands, and rows looked at there.
_MARGIN, _ROWS = 0.14, 2
#: Pages on which the same row stands before it is furniture, and their share of all. Chosen: a head
#: may change with every chapter, so few of many pages are enough.
_LEAST_PAGES, _LEAST_SHARE = 3, 0.1
_DIGITS = re.compile(r"\d+")
_NUMBER = re.compile(
    r"^[-–—\s|]*(?:(?:page|sayfa|s\.|p\.)\s*)?(?:\d{1,5}|[ivxlc]{1,7})(?:\s*(?:/|of|sur|von)\s*\d{1,5})?[-–—\s|]*$",
    re.IGNORECASE,
)


def without_furniture(pages: Sequence[list[Run]], heights: Sequence[float]) -> list[list[Run]]:
    """Return the runs of each page without what is on every page."""
    margins = [_margins(runs, height) for runs, height in zip(pages, heights, strict=True)]
    seen = Counter(
        name for rows in margins for name in {_name(row, is_top) for row, is_top in rows}
    )
    if len(pages) < 2:
        return list(pages)
    least = min(len(pages), max(_LEAST_PAGES, _LEAST_SHARE * len(pages)))
    found: list[list[Run]] = []
    for runs, rows in zip(pages, margins, strict=True):
        dropped = {
            id(run)
            for row, is_top in rows
            if seen[_name(row, is_top)] >= least or _NUMBER.match(row.text)
            for run in row.runs
        }
        found.append([run for run in runs if id(run) not in dropped])
    return found


def _margins(runs: Sequence[Run], height: float) -> list[tuple[Row, bool]]:
    """Return the outermost rows of a page, and whether each is at its top."""
    edge = _MARGIN * height
    top = rows_of([run for run in runs if run.bottom < edge])[:_ROWS]
    bottom = rows_of([run for run in runs if run.top > height - edge])[-_ROWS:]
    return [*((row, True) for row in top), *((row, False) for row in bottom)]


def _name(row: Row, is_top: bool) -> tuple[str, bool]:
    return _DIGITS.sub("#", row.text), is_top
