"""The scale on which a judge and people are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from santral.errors import BadRequest
from santral.evals.evaluator import Measure

#: Most whole numbers between the ends of an ordinal scale. Chosen.
_MOST_STEPS = 100


class Scale(Struct, frozen=True, kw_only=True):
    """``names``: labels without an order (pairs); ``binary``: passed or failed; ``ordinal``: in order."""

    kind: Literal["names", "binary", "ordinal"]
    categories: tuple[float, ...]
    pass_at: float | None = None  # values from there on are passed

    def place(self, value: float) -> float:
        """Return the label that a judge's value means: passed or failed, or the nearest there is."""
        if self.kind == "binary" and self.pass_at is not None:
            return float(value >= self.pass_at)
        return min(self.categories, key=lambda one: abs(one - value))


def scale_of(measure: Measure, people: Sequence[float], pass_at: float | None) -> Scale:
    """Return the scale of a measure and of what people said, who may have said less.

    People who only said yes and no are compared with whether the judge's value passes: from
    ``pass_at`` on, the middle of its range where none is given.

    Raises:
        BadRequest: people said what the judge cannot.
    """
    low, high = measure.low or 0.0, 1.0 if measure.high is None else measure.high
    said = set(people)
    if said <= {0.0, 1.0}:
        middle = 1.0 if measure.is_binary else (low + high) / 2
        at = middle if pass_at is None else pass_at
        return Scale(kind="binary", categories=(0.0, 1.0), pass_at=at)
    if said <= {0.0, 0.5, 1.0} and (low, high) == (0.0, 1.0):
        return Scale(kind="names", categories=(0.0, 0.5, 1.0))
    outside = sorted(value for value in said if not low <= value <= high)
    if outside:
        raise BadRequest(
            f"People gave {outside[0]:g}, the judge's scale is {low:g} to {high:g}. Give the judge the "
            "scale that people used.",
            code="other_scale",
        )
    steps = range(int(low), int(high) + 1) if high - low <= _MOST_STEPS else ()
    categories = tuple(sorted(said | {float(step) for step in steps if low <= step <= high}))
    return Scale(kind="ordinal", categories=categories, pass_at=pass_at)
