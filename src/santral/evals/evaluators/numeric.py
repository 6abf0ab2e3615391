"""Whether the number in an answer is the right one, within a tolerance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias

from msgspec import Struct

from santral.evals.evaluator import Case, Measure, Score
from santral.evals.kind import not_applicable, versioned
from santral.evals.tools import Tools

# Groups of three digits with one mark between them, and perhaps a fraction; or digits and a fraction.
_NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>[-+−]?)"
    r"(?:(?P<whole>[1-9]\d{0,2}(?P<mark>[.,'’\u00a0\u202f])\d{3}(?:(?P=mark)\d{3})*)"
    r"(?P<rest>[.,]\d+)?|(?P<plain>\d*[.,]?\d+))"
    r"(?P<power>[eE][-+]?\d+)?(?!\d)"
)

#: What a written number may mean: 1.234 is two numbers.
Readings: TypeAlias = tuple[float, ...]


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """Right where the difference is at most ``absolute``, or at most ``relative`` times the right
    number. ``take``: which number of the answer. ``decimal``: what divides the fraction; ``auto`` asks
    the example's metadata (``language``), and reads 1.234 both ways where it does not say."""

    absolute: float = 0.0
    relative: float = 1e-9
    take: Literal["last", "first", "any"] = "last"
    decimal: Literal["auto", "comma", "point"] = "auto"


class Numeric:
    """1 where the answer's number is the expected one, in Turkish (1.234,5) or English (1,234.5)."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "a number in `expected`"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        del tools
        if params.absolute < 0 or params.relative < 0:
            raise ValueError("a tolerance is 0 or more")
        self._name, self._params = name, params
        self.measures = (Measure(name=name, is_binary=True),)
        self.version = versioned("numeric", 1, params)

    async def __call__(self, case: Case) -> Sequence[Score]:
        decimal = self._decimal(case)
        expected = numbers(case.example.expected or "", decimal)
        if not expected:
            return not_applicable([self._name], "the example expects no number")
        wanted, found = expected[-1], numbers(case.answer.text, decimal)
        taken = found if self._params.take == "any" else _one(found, self._params.take)
        said = ", ".join(_shown(one) for one in taken) or "no number"
        reason = f"found {said}, want {_shown(wanted)}"
        return [Score(name=self._name, value=float(self._has(taken, wanted)), reason=reason)]

    def _has(self, found: Sequence[Readings], wanted: Readings) -> bool:
        return any(self._is_near(a, b) for one in found for a in one for b in wanted)

    def _is_near(self, found: float, wanted: float) -> bool:
        slack = max(self._params.absolute, self._params.relative * abs(wanted))
        return abs(found - wanted) <= slack

    def _decimal(self, case: Case) -> str:
        told = case.example.metadata.get("language")
        if self._params.decimal != "auto" or not isinstance(told, str):
            return self._params.decimal
        return {"tr": "comma", "en": "point"}.get(told, "auto")


def numbers(text: str, decimal: str = "auto") -> list[Readings]:
    """Return the numbers in a text, in order, each in every way it may be read; ``decimal`` as in
    ``Params``."""
    return [_readings(match, decimal) for match in _NUMBER.finditer(text)]


def _one(found: Sequence[Readings], take: str) -> Sequence[Readings]:
    return found[:1] if take == "first" else found[-1:]


def _readings(match: re.Match[str], decimal: str) -> Readings:
    sign = -1.0 if match["sign"] in ("-", "−") else 1.0
    power = match["power"] or ""
    if match["plain"]:
        return (sign * float(match["plain"].replace(",", ".") + power),)
    whole, mark, rest = match["whole"], match["mark"], match["rest"] or ""
    in_groups = sign * float(whole.replace(mark, "") + rest.replace(",", ".") + power)
    if rest or mark not in ".," or whole.count(mark) > 1:
        return (in_groups,)
    as_fraction = sign * float(whole.replace(mark, ".") + power)
    if decimal == "auto":
        return as_fraction, in_groups
    return (as_fraction if mark == {"comma": ",", "point": "."}[decimal] else in_groups,)


def _shown(readings: Readings) -> str:
    return " or ".join(f"{one:.12g}" for one in readings)
