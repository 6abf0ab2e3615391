"""Amounts as people read them: points, milliseconds, dollars."""

from __future__ import annotations

import re

from msgspec import Struct

from santral.evals.evaluator import Measure
from santral.evals.verdict.gate import is_share


class _Scale(Struct, frozen=True):
    """How numbers of a measure are written: times what, with which digits and unit."""

    factor: float
    digits: str
    unit: str


_POINTS = _Scale(100.0, ".1f", "")
_UNITS = {
    "us": _Scale(1e-3, ",.1f", " ms"),
    "nanousd": _Scale(1e-6, ",.4f", " USD/1k"),  # of a thousand answers: one costs next to nothing
}
#: Chosen: no unit is longer.
_LONGEST_UNIT = 16


def amount(measure: Measure, value: float | None) -> str:
    """Return a value of a measure, or a dash where there is none."""
    if value is None:
        return "–"
    if is_share(measure):
        return f"{100 * value:.1f} %" if measure.is_binary else f"{value:.3f}"
    return _written(_scale(measure), value)


def change(
    measure: Measure, value: float | None, low: float | None = None, high: float | None = None
) -> str:
    """Return a difference with its sign and its interval; shares are told in points of a hundred."""
    if value is None:
        return "–"
    scale = _POINTS if is_share(measure) else _scale(measure)
    numbers = [
        f"{scale.factor * one:+{scale.digits}}" for one in (value, low, high) if one is not None
    ]
    around = f" [{numbers[1]}, {numbers[2]}]" if len(numbers) == 3 else ""
    return f"{numbers[0]}{around}{scale.unit}"


def size(measure: Measure, value: float | None) -> str:
    """Return how large a difference is, with its unit."""
    if value is None:
        return "an unknown amount"
    if is_share(measure):
        points = f"{100 * value:.1f}".removesuffix(".0")
        return f"{points} point{'' if points == '1' else 's'}"
    return _written(_scale(measure), abs(value))


def dollars(nanousd: int | None) -> str:
    """Return an amount of money, or that its price is unknown."""
    return "price unknown" if nanousd is None else f"${nanousd / 1e9:,.4f}"


def _scale(measure: Measure) -> _Scale:
    known = _UNITS.get(measure.unit)
    if known is not None:
        return known
    # anybody's evaluator may name one: nothing of it is markup or a link
    unit = re.sub(r"[^\w%/-]+", "", measure.unit)[:_LONGEST_UNIT]
    return _Scale(1.0, ",.4g", f" {unit}".rstrip())


def _written(scale: _Scale, value: float) -> str:
    return f"{scale.factor * value:{scale.digits}}{scale.unit}"
