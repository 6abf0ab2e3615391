"""What comparing two runs found: shapes that every report is made of."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct, field

from santral.evals.evaluator import Measure
from santral.evals.run import RunHead
from santral.statistics.paired import Method

#: What may be said of one measure. Only ``regression`` fails.
Tier: TypeAlias = Literal[
    "regression",  # worse, and the whole interval lies beyond the margin
    "soft",  # worse, but perhaps by less than the margin
    "noise",  # no difference that matters would have been missed
    "improvement",
    "not_enough_data",  # a difference beyond the margin could have been missed
    "unreliable_baseline",  # base is not what it used to be
    "new_series",  # another version of the evaluator or judge: numbers of two instruments
    "shown",  # it has no better and worse
]

Outcome: TypeAlias = Literal["pass", "regression", "infrastructure", "not_enough_data"]

EXIT_CODES: dict[Outcome, int] = {
    "pass": 0,
    "regression": 1,
    "infrastructure": 2,
    "not_enough_data": 3,
}


class Past(Struct, frozen=True, kw_only=True):
    """An earlier run of what base is, and the means of its measures."""

    head: RunHead
    values: dict[str, float]


class Flaky(Struct, frozen=True, kw_only=True):
    """An example whose repeats do not agree: the values of each, in order."""

    example_id: str
    base: list[float]
    head: list[float]


class MeasureChange(Struct, frozen=True, kw_only=True):
    """What became of one measure. Numbers are None where they are not known."""

    measure: Measure
    tier: Tier
    decides: bool  # it may fail the gate
    n: int = 0  # pairs
    base: float | None = None
    head: float | None = None
    difference: float | None = None  # head minus base, in the measure's unit
    low: float | None = None
    high: float | None = None
    noise_band: float | None = None  # asking again alone moves the difference this far
    p: float | None = None
    p_holm: float | None = None  # over the measures that decide
    method: Method | None = None
    margin: float | None = None
    detectable: float | None = None  # the smallest difference these pairs would show
    broken: list[str] = field(default_factory=list[str])  # examples that passed, and fail
    fixed: list[str] = field(default_factory=list[str])
    flaky: list[Flaky] = field(default_factory=list[Flaky])
    errors_base: dict[str, int] = field(default_factory=dict[str, int])  # scores without a value
    errors_head: dict[str, int] = field(default_factory=dict[str, int])
    flipped: int = 0  # judgements of head that changed with the order in which answers were shown
    words: str = ""  # what may be concluded, or why nothing


class SliceChange(Struct, frozen=True, kw_only=True):
    """What became of a measure on the examples that share one value of their metadata."""

    key: str
    value: str
    measure: Measure
    n: int
    base: float
    head: float
    difference: float
    low: float | None
    high: float | None
    p: float
    p_adjusted: float  # Benjamini-Hochberg over all slices


class Said(Struct, frozen=True, kw_only=True):
    """One example that became worse: what was asked, and what both answered."""

    example_id: str
    measure: Measure
    base: float
    head: float
    asked: str
    base_answer: str
    head_answer: str
    trace_id: str = ""  # of head's answer


class Comparison(Struct, frozen=True, kw_only=True):
    """Two runs of one target, and the verdict."""

    outcome: Outcome
    base: RunHead
    head: RunHead
    level: float
    pairs: int  # examples that are the same in both
    measures: list[MeasureChange]
    slices: list[SliceChange] = field(default_factory=list[SliceChange])
    worst: list[Said] = field(default_factory=list[Said])
    failures_base: dict[str, int] = field(default_factory=dict[str, int])  # answers, by code
    failures_head: dict[str, int] = field(default_factory=dict[str, int])
    cost_base_nanousd: int | None = None
    cost_head_nanousd: int | None = None
    notes: list[str] = field(default_factory=list[str])  # what a reader has to know


def exit_code(*comparisons: Comparison) -> int:
    """Return what a command ends with: 0 pass, 1 regression, 2 infrastructure, 3 not enough data.

    Of several targets a regression comes first, then what could not be measured.
    """
    found = {comparison.outcome for comparison in comparisons}
    order: tuple[Outcome, ...] = ("regression", "infrastructure", "not_enough_data")
    return next((EXIT_CODES[outcome] for outcome in order if outcome in found), 0)
