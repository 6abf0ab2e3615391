"""What a run measured: each measure with its interval, and every answer and score that is none."""

from __future__ import annotations

import math

from msgspec import Struct, field
from msgspec.structs import replace

from santral.evals.evaluator import Direction, Measure
from santral.evals.judges.family import family_warnings
from santral.evals.run import Run, total_cost
from santral.statistics.interval import Interval, clustered_mean, wilson


class Measured(Struct, frozen=True, kw_only=True):
    """A measure over all examples; repeats of one are averaged first. None: there are no values."""

    name: str
    direction: Direction = "higher"
    unit: str = ""
    note: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0  # examples with a value
    errors: dict[str, int] = field(default_factory=dict[str, int])  # scores without one, by why


class Summary(Struct, frozen=True, kw_only=True):
    """A run in a screen."""

    examples: int
    samples: int
    measures: list[Measured]
    failures: dict[str, int]  # answers that are none, by code
    replayed: int  # answers that were paid for before
    cost_nanousd: int | None  # None: a price is unknown
    warnings: list[str] = field(default_factory=list[str])  # judges of the family they judge


def summary_of(run: Run) -> Summary:
    """Return what a run measured."""
    failures: dict[str, int] = {}
    for sample in run.samples:
        if sample.answer.error:
            failures[sample.answer.error] = failures.get(sample.answer.error, 0) + 1
    return Summary(
        examples=len({sample.example_id for sample in run.samples}),
        samples=len(run.samples),
        measures=[_measured(run, measure) for measure in run.head.measures],
        failures=failures,
        replayed=sum(sample.answer.is_replayed for sample in run.samples),
        cost_nanousd=total_cost(run.samples),
        warnings=family_warnings(run),
    )


def _measured(run: Run, measure: Measure) -> Measured:
    by_example = run.values(measure.name)
    means = [sum(values) / len(values) for values in by_example.values()]
    found = Measured(
        name=measure.name,
        direction=measure.direction,
        unit=measure.unit,
        note=measure.note,
        n=len(means),
        errors=run.errors(measure.name),
    )
    if not means:
        return found
    clusters = [_cluster(run, example_id) for example_id in by_example]
    interval = _interval(measure, means, clusters)
    return replace(
        found,
        value=sum(means) / len(means),
        low=_within(measure, interval.low),
        high=_within(measure, interval.high),
    )


def _within(measure: Measure, end: float) -> float | None:
    """Return the end of an interval inside the measure's range: no share is above 1."""
    if measure.low is not None:
        end = max(end, measure.low)
    if measure.high is not None:
        end = min(end, measure.high)
    return end if math.isfinite(end) else None


def _interval(measure: Measure, means: list[float], clusters: list[str]) -> Interval:
    """Return the interval of a mean; a share of examples that stand alone has one of its own, which is
    never a point."""
    stands_alone = len(set(clusters)) == len(clusters)
    if measure.is_binary and stands_alone and all(mean in (0, 1) for mean in means):
        return wilson(int(sum(means)), len(means))
    return clustered_mean(means, clusters).interval


def _cluster(run: Run, example_id: str) -> str:
    example = run.examples.get(example_id)
    return (example.cluster if example else "") or f"alone:{example_id}"
