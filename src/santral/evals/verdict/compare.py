"""Compares two runs: what may be said of a change, and what may not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from santral.evals.evaluator import Measure
from santral.evals.run import Run, total_cost
from santral.evals.verdict.comparison import (
    Comparison,
    MeasureChange,
    Past,
)
from santral.evals.verdict.gate import Gate
from santral.evals.verdict.measured import Measured, crossed, flaky
from santral.evals.verdict.outcome import failures_of, notes_of, outcome_of
from santral.evals.verdict.pairs import base_noise, noise_band, pair, same_answers
from santral.evals.verdict.slices import slices_of
from santral.evals.verdict.tier import Evidence, detectable_of, is_out_of_history, judge
from santral.evals.verdict.worst import worst_of
from santral.statistics.distribution import normal_quantile
from santral.statistics.multiple import holm
from santral.statistics.paired import Paired


def compare(
    base: Run,
    head: Run,
    gate: Gate,
    *,
    history: Sequence[Past] = (),
    rng: np.random.Generator,
) -> Comparison:
    """Compare a run with the one it should not be worse than.

    Args:
        base: before the change.
        head: after it.
        gate: what decides, and what a change may cost.
        history: earlier runs of what base is, with any version of data set and evaluators; those
            that measured something else are left out here.
        rng: draws the bootstrap; the same seed gives the same verdict.
    """
    pairs = pair(base, head)
    is_same = same_answers(base, head, pairs.shared)
    found = [
        Measured.of(measure, base, head, pairs.shared, gate, rng) for measure in head.head.measures
    ]
    adjusted = _adjusted(found)
    measures = [
        _changed(one, base, head, gate, history, adjusted.get(one.measure.name), is_same)
        for one in found
    ]
    sliced = [(one.measure, one.numbers) for one in found if one.pairs and one.decides]
    failures_base, failures_head = failures_of(base), failures_of(head)
    notes = [*pairs.notes, *notes_of(base, head, measures, gate)]
    return Comparison(
        outcome=outcome_of(base, head, measures, gate),
        base=base.head,
        head=head.head,
        level=gate.level,
        pairs=len(pairs.shared),
        measures=measures,
        slices=slices_of(head, pairs.shared, sliced, gate, rng),
        worst=worst_of(base, head, found),
        failures_base=failures_base,
        failures_head=failures_head,
        cost_base_nanousd=total_cost(base.samples),
        cost_head_nanousd=total_cost(head.samples),
        notes=notes,
    )


def _adjusted(found: Sequence[Measured]) -> dict[str, float]:
    deciding = [one for one in found if one.decides and one.pairs is not None]
    p = holm([one.pairs.p for one in deciding if one.pairs is not None])
    return {one.measure.name: value for one, value in zip(deciding, p, strict=True)}


def _changed(
    one: Measured, base: Run, head: Run, gate: Gate, history: Sequence[Past],
    p_holm: float | None, is_same: bool,
) -> MeasureChange:  # fmt: skip
    name = one.measure.name
    change = MeasureChange(
        measure=one.measure,
        tier="not_enough_data",
        decides=one.decides,
        errors_base=base.errors(name),
        errors_head=head.errors(name),
        flipped=sum(
            s.is_flipped for sample in head.samples for s in sample.scores if s.name == name
        ),
    )
    if one.series:
        return replace(
            change,
            tier="new_series",
            base=_mean_of(base, name),
            head=_mean_of(head, name),
            words=one.series,
        )
    if one.pairs is None:
        return replace(change, words="No example has a value in both runs.")
    counted = _with_numbers(change, one, one.pairs, gate, p_holm)
    noise = base_noise(one.numbers)
    return _tiered(counted, one.measure, one.pairs, base, gate, history, is_same, noise)


def _with_numbers(
    change: MeasureChange, one: Measured, pairs: Paired, gate: Gate, p_holm: float | None
) -> MeasureChange:
    broken, fixed = crossed(one)
    return replace(
        change,
        n=pairs.n,
        base=pairs.base,
        head=pairs.head,
        difference=pairs.difference,
        low=_finite(pairs.interval.low),
        high=_finite(pairs.interval.high),
        noise_band=noise_band(one.numbers, normal_quantile(0.5 + gate.level / 2)),
        p=pairs.p,
        p_holm=p_holm,
        method=pairs.method,
        margin=gate.margin_of(one.measure, pairs.base),
        detectable=_finite(detectable_of(one.measure, pairs, gate)),
        broken=broken,
        fixed=fixed,
        flaky=flaky(one),
    )


def _tiered(
    change: MeasureChange, measure: Measure, pairs: Paired, base: Run, gate: Gate, history: Sequence[Past],
    is_same: bool, noise: float | None,
) -> MeasureChange:  # fmt: skip
    if measure.direction == "none":
        return replace(change, tier="shown")
    margin = gate.margin_of(measure, pairs.base)
    past = _past(measure, base, history)
    whole = _mean_of(base, measure.name)  # earlier runs are known by the mean of all their examples
    if whole is not None and is_out_of_history(whole, noise, past, gate, margin):
        return replace(change, tier="unreliable_baseline", words=_unlike(past))
    evidence = Evidence(
        measure=measure,
        found=pairs,
        margin=margin,
        detectable=detectable_of(measure, pairs, gate),
        p_holm=pairs.p if change.p_holm is None else change.p_holm,
        is_same=is_same,
    )
    tier, words = judge(evidence, gate)
    return replace(change, tier=tier, words=words)


def _past(measure: Measure, base: Run, history: Sequence[Past]) -> list[float]:
    name = measure.name
    return [
        past.values[name]
        for past in history
        if name in past.values
        and past.head.id != base.head.id
        and past.head.dataset_digest == base.head.dataset_digest
        and past.head.evaluators.get(name) == base.head.evaluators.get(name)
    ]


def _unlike(past: Sequence[float]) -> str:
    return (
        f"Base lies outside of its {len(past)} earlier runs ({min(past):.3g} to {max(past):.3g}): "
        "run it again before you compare anything with it."
    )


def _mean_of(run: Run, measure: str) -> float | None:
    means = [sum(values) / len(values) for values in run.values(measure).values()]
    return sum(means) / len(means) if means else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
