"""The ``[gate]`` of a suite: what a change may cost, and what decides."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from santral.evals.evaluator import Measure

_Share = Annotated[float, Meta(ge=0, le=1)]


class MeasureGate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[gate.measures.NAME]``: one measure otherwise than the rest."""

    margin: Annotated[float, Meta(ge=0)] | None = None  # in the measure's own unit
    relative_margin: Annotated[float, Meta(ge=0)] | None = None  # a share of base's mean
    gates: bool | None = None  # None: shares do, amounts (cost, latency, tokens) do not


class Gate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much worse a measure may become, and how sure that has to be.

    A change is a regression where its whole interval lies beyond the margin.
    """

    margin: _Share = 0.05  # of measures from 0 to 1. Chosen: what a reader would call worse
    relative_margin: Annotated[float, Meta(ge=0)] = 0.10  # of amounts. Chosen
    level: Annotated[float, Meta(ge=0.5, lt=1)] = 0.95
    power: Annotated[float, Meta(ge=0.5, lt=1)] = 0.8  # of the smallest difference that is stated
    min_pairs: Annotated[int, Meta(ge=2)] = 6  # below it no test can reach 5 %
    max_more_errors: _Share | None = None  # of answers and scores; None: they are only told
    min_history: Annotated[int, Meta(ge=2)] = 5  # earlier runs that make base's history
    slices: list[str] | None = None  # keys of metadata; None: all with few values
    measures: dict[str, MeasureGate] = field(default_factory=dict[str, MeasureGate])

    def decides(self, measure: Measure) -> bool:
        """Return whether a measure may fail the gate. A judge that may not, cannot be told to."""
        if measure.direction == "none" or not measure.gates:
            return False
        own = self.measures.get(measure.name)
        return is_share(measure) if own is None or own.gates is None else own.gates

    def margin_of(self, measure: Measure, base: float) -> float:
        """Return how much worse a measure may become, in its own unit."""
        own = self.measures.get(measure.name)
        if own is not None and own.margin is not None:
            return own.margin
        if own is not None and own.relative_margin is not None:
            return own.relative_margin * abs(base)
        return self.margin if is_share(measure) else self.relative_margin * abs(base)


def is_share(measure: Measure) -> bool:
    """Return whether a measure has ends, from 0 or -1 to 1, and is not an amount of something."""
    return measure.low in (0.0, -1.0) and measure.high == 1.0
