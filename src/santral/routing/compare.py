"""Holds mirrored answers against the real ones, after the fact."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from statistics import median

from msgspec import Struct

from santral.routing.shadow import SHADOW_OF
from santral.traces.question import TraceSummary
from santral.traces.record import AttemptRecord, TraceRecord

#: Characters of each answer that are compared. Chosen: difflib is quadratic.
_COMPARED = 4000


class Pair(Struct, frozen=True, kw_only=True):
    """A real answer and that of one shadow to the same request."""

    real: TraceRecord
    shadow: TraceRecord

    @property
    def likeness(self) -> float | None:
        """How much the texts agree, 0 to 1; None where one was not kept."""
        texts = [_answer(record) for record in (self.real, self.shadow)]
        if not all(texts):
            return None
        real, shadow = (text[:_COMPARED].split() for text in texts)
        return difflib.SequenceMatcher(None, real, shadow, autojunk=False).ratio()


class Comparison(Struct, frozen=True, kw_only=True):
    """What pairs of one shadow deployment say together; milliseconds and nano-dollars are medians."""

    deployment: str
    pairs: int
    failed: int
    real_ms: float | None
    shadow_ms: float | None
    real_nanousd: float | None
    shadow_nanousd: float | None
    likeness: float | None


def pairs_of(
    shadows: Iterable[TraceSummary], get: Callable[[str], TraceRecord | None]
) -> list[Pair]:
    """Return the copies together with what they are copies of; those whose original is gone are left out."""
    pairs: list[Pair] = []
    for summary in shadows:
        shadow = get(summary.trace_id)
        real = get(shadow.tags[SHADOW_OF]) if shadow and SHADOW_OF in shadow.tags else None
        if shadow is not None and real is not None:
            pairs.append(Pair(real=real, shadow=shadow))
    return pairs


def compare(pairs: Sequence[Pair]) -> list[Comparison]:
    """Return one comparison for each shadow deployment, by name."""
    names = sorted({_attempt(pair.shadow).deployment for pair in pairs})
    return [
        _compared(name, [pair for pair in pairs if _attempt(pair.shadow).deployment == name])
        for name in names
    ]


def _compared(name: str, pairs: Sequence[Pair]) -> Comparison:
    good = [pair for pair in pairs if not pair.shadow.error]
    return Comparison(
        deployment=name,
        pairs=len(pairs),
        failed=len(pairs) - len(good),
        real_ms=_median(_attempt(pair.real).duration_us / 1000 for pair in good),
        shadow_ms=_median(_attempt(pair.shadow).duration_us / 1000 for pair in good),
        real_nanousd=_median(_attempt(pair.real).cost_nanousd for pair in good),
        shadow_nanousd=_median(_attempt(pair.shadow).cost_nanousd for pair in good),
        likeness=_median(pair.likeness for pair in good),
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None


def _attempt(record: TraceRecord) -> AttemptRecord:
    if record.attempts:
        return record.attempts[-1]
    return AttemptRecord(
        number=0, deployment="", provider="", model="", start_us=0, duration_us=record.duration_us
    )


def _answer(record: TraceRecord) -> str:
    return record.payload.response if record.payload else ""
