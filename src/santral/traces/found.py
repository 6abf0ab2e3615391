"""Rows that a query found, as what they mean."""

from __future__ import annotations

from santral.traces.question import BilledAttempt, Bucket, Progress, TraceSummary
from santral.traces.rows import Row
from santral.wire.usage import CLASSES, Usage


def progress_in(row: Row) -> Progress:
    """Return how far a segment was read."""
    return Progress(**dict(zip(Progress.__struct_fields__, row, strict=True)))


def summary_in(row: Row) -> TraceSummary:
    """Return a trace as lists show it."""
    return TraceSummary(**dict(zip(TraceSummary.__struct_fields__, row, strict=True)))


def bucket_in(row: Row, since_us: int, width: int) -> Bucket:
    """Return a stretch of a history."""
    p50, p95 = row[3] or (None, None)
    return Bucket(
        start_us=since_us + row[0] * width,
        n=row[1],
        errors=row[2],
        p50_us=p50,
        p95_us=p95,
        cost_nanousd=row[4],
    )


def billed_in(row: Row) -> BilledAttempt:
    """Return an attempt with what it used."""
    plain = BilledAttempt.__struct_fields__[:-1]
    is_estimated, *counts = (value or 0 for value in row[len(plain) :])
    usage = Usage(**dict(zip(CLASSES, counts, strict=True)), is_estimated=bool(is_estimated))
    return BilledAttempt(**dict(zip(plain, row, strict=False)), usage=usage)
