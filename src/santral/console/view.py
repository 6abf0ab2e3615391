"""What a page needs beyond the record itself: rows of a waterfall, marked citations, bars of a chart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypedDict

from msgspec import Struct

from santral.traces.question import Bucket
from santral.traces.readable import depths
from santral.traces.record import Attribute, TraceRecord

#: Rows of a waterfall that are drawn; the page says so where there are more. Chosen.
MOST_ROWS = 400
#: The width that charts are drawn in; the browser scales them.
WIDTH = 1000
_CITATION = re.compile(r"\[(\d{1,3})\]")


class Bar(Struct, frozen=True, kw_only=True):
    """One row of the waterfall; ``x`` and ``width`` are in ``WIDTH``."""

    name: str
    kind: str  # span, attempt
    depth: int
    x: float
    width: float
    start_us: int
    duration_us: int
    error: str = ""
    details: Sequence[tuple[str, Attribute]] = ()


class Piece(Struct, frozen=True):
    """A piece of an answer; ``source`` is the number of the passage it cites."""

    text: str
    source: int | None = None


class Column(Struct, frozen=True, kw_only=True):
    """One stretch of a chart over time; heights are in 100."""

    bucket: Bucket
    x: float
    width: float
    ok_height: float
    error_height: float
    p50_y: float | None
    p95_y: float | None


def waterfall(record: TraceRecord) -> list[Bar]:
    """Return spans and attempts in the order they began, attempts below what was running then."""
    depth_of = depths(record.spans)
    total = total_us(record)
    bars = [
        Bar(
            name=span.name,
            kind="span",
            depth=min(depth_of.get(span.id, 0), 8),
            error=span.error,
            details=list(span.attributes.items()),
            **_place(span.start_us, span.duration_us, total),
        )
        for span in record.spans
    ]
    bars += [
        Bar(
            name=f"{attempt.number}. {attempt.deployment}",
            kind="attempt",
            depth=2,
            error=attempt.error,
            **_place(attempt.start_us, attempt.duration_us, total),
        )
        for attempt in record.attempts
    ]
    bars.sort(key=lambda bar: (bar.start_us, bar.kind == "attempt", -bar.duration_us))
    return bars[:MOST_ROWS]


def mark_at(moment_us: int | None, record: TraceRecord) -> float | None:
    """Return where a moment lies on the waterfall."""
    if moment_us is None:
        return None
    return round(min(WIDTH, max(0, moment_us * WIDTH / total_us(record))), 1)


def total_us(record: TraceRecord) -> int:
    """Return how long the waterfall is: the request, or a step that outlasted it."""
    ends = (step.start_us + step.duration_us for step in (*record.spans, *record.attempts))
    return max(1, record.duration_us, *ends)


def pieces(answer: str, known: frozenset[int]) -> list[Piece]:
    """Cut an answer at the citations of passages it was given; other brackets are text."""
    found: list[Piece] = []
    at = 0
    for citation in _CITATION.finditer(answer):
        if (number := int(citation[1])) in known:
            found.append(Piece(answer[at : citation.start()]))
            found.append(Piece(citation[0], number))
            at = citation.end()
    return [*found, Piece(answer[at:])]


def columns(history: Sequence[Bucket]) -> list[Column]:
    """Return the columns of the charts over time."""
    most = max((bucket.n for bucket in history), default=0) or 1
    slowest = max((bucket.p95_us or 0 for bucket in history), default=0) or 1
    width = WIDTH / max(1, len(history))
    return [
        Column(
            bucket=bucket,
            x=round(i * width + width * 0.1, 2),
            width=round(width * 0.8, 2),
            ok_height=round((bucket.n - bucket.errors) * 100 / most, 2),
            error_height=round(bucket.errors * 100 / most, 2),
            p50_y=_height(bucket.p50_us, slowest),
            p95_y=_height(bucket.p95_us, slowest),
        )
        for i, bucket in enumerate(history)
    ]


def _height(value: int | None, most: int) -> float | None:
    return None if value is None else round(100 - value * 100 / most, 2)


class _Place(TypedDict):
    x: float
    width: float
    start_us: int
    duration_us: int


def _place(start_us: int, duration_us: int, total: int) -> _Place:
    """Return a bar's place; clocks that disagree must not draw outside."""
    x = min(WIDTH - 3.0, max(0.0, start_us * WIDTH / total))
    width = min(WIDTH - x, max(3.0, duration_us * WIDTH / total))
    return _Place(x=round(x, 1), width=round(width, 1), start_us=start_us, duration_us=duration_us)
