"""Amounts as people read them: points, milliseconds, dollars."""

from __future__ import annotations

from santral.evals.evaluator import Measure
from santral.evals.verdict.gate import is_share


def amount(measure: Measure, value: float | None) -> str:
    """Return a value of a measure, or a dash where there is none."""
    if value is None:
        return "–"
    if is_share(measure):
        return f"{value:.3f}" if not measure.is_binary else f"{100 * value:.1f} %"
    return _scaled(measure, value, "")


def change(measure: Measure, value: float | None) -> str:
    """Return a difference of a measure with its sign; shares are told in points of a hundred."""
    if value is None:
        return "–"
    if is_share(measure):
        return f"{100 * value:+.1f}"
    return _scaled(measure, value, "+")


def size(measure: Measure, value: float | None) -> str:
    """Return how large a difference is, with its unit."""
    if value is None:
        return "an unknown amount"
    if is_share(measure):
        points = f"{100 * value:.1f}".removesuffix(".0")
        return f"{points} point{'' if points == '1' else 's'}"
    return _scaled(measure, abs(value), "")


def dollars(nanousd: int | None) -> str:
    """Return an amount of money, or that its price is unknown."""
    return "price unknown" if nanousd is None else f"${nanousd / 1e9:,.4f}"


def _scaled(measure: Measure, value: float, sign: str) -> str:
    if measure.unit == "us":
        return f"{value / 1000:{sign},.1f} ms"
    if measure.unit == "nanousd":
        return f"{value / 1e9:{sign},.6f} USD"
    return f"{value:{sign},.4g} {measure.unit}".rstrip()
