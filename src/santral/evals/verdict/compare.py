"""Compares two runs: what may be said of a change, and what may not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from santral.evals.evaluator import Measure
from santral.evals.run import Run, total_cost
from santral.evals.verdict.comparison import (
    Comparison,
    Flaky,
    MeasureChange,
    Past,
    Said,
)
from santral.evals.verdict.gate import Gate, is_share
from santral.evals.verdict.outcome import failures_of, notes_of, outcome_of
from santral.evals.verdict.pairs import Columns, columns, is_flaky, noise_band, pair, same_answers
from santral.evals.verdict.slices import slices_of
from santral.evals.verdict.tier import Evidence, detectable_of, is_out_of_history, judge
from santral.statistics.distribution import normal_quantile
from santral.statistics.multiple import holm
from santral.statistics.paired import Paired, compare_paired

#: Examples that are shown. Chosen: what fits a comment.
_MOST_WORST = 5


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
        _Measured.of(measure, base, head, pairs.shared, gate, rng) for measure in head.head.measures
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
        worst=_worst(base, head, found),
        failures_base=failures_base,
        failures_head=failures_head,
        cost_base_nanousd=total_cost(base.samples),
        cost_head_nanousd=total_cost(head.samples),
        notes=notes,
    )


class _Measured(Struct, frozen=True, kw_only=True):
    """One measure of both runs; ``pairs`` is None where they cannot be compared."""

    measure: Measure
    decides: bool
    numbers: Columns
    pairs: Paired | None
    series: str  # why it is another series, or empty

    @classmethod
    def of(
        cls, measure: Measure, base: Run, head: Run, shared: Sequence[str], gate: Gate,
        rng: np.random.Generator,
    ) -> _Measured:  # fmt: skip
        numbers = columns(base, head, shared, measure)
        series = _other_series(measure, base, head)
        pairs = None
        if numbers.ids and not series:
            pairs = compare_paired(
                numbers.base,
                numbers.head,
                clusters=numbers.clusters,
                is_binary=is_share(measure),
                level=gate.level,
                rng=rng,
            )
        return cls(
            measure=measure,
            decides=gate.decides(measure),
            numbers=numbers,
            pairs=pairs,
            series=series,
        )


def _other_series(measure: Measure, base: Run, head: Run) -> str:
    name = measure.name
    if measure.neutral is not None:
        return ""  # each of its values compares answers of both runs, by one judge
    if name not in {known.name for known in base.head.measures}:
        return "Base was not measured by it."
    if head.head.judges.get(name) != base.head.judges.get(name):
        return "Another model judges now."
    if head.head.evaluators.get(name) != base.head.evaluators.get(name):
        return "The evaluator has changed."
    return ""


def _adjusted(found: Sequence[_Measured]) -> dict[str, float]:
    deciding = [one for one in found if one.decides and one.pairs is not None]
    p = holm([one.pairs.p for one in deciding if one.pairs is not None])
    return {one.measure.name: value for one, value in zip(deciding, p, strict=True)}


def _changed(
    one: _Measured, base: Run, head: Run, gate: Gate, history: Sequence[Past],
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
            words=f"{one.series} Score base's answers with it before comparing: "
            f"santral eval run SUITE --replay {base.head.id}",
        )
    if one.pairs is None:
        return replace(change, words="No example has a value in both runs.")
    return _tiered(_with_numbers(change, one, gate, p_holm), one, base, gate, history, is_same)


def _with_numbers(
    change: MeasureChange, one: _Measured, gate: Gate, p_holm: float | None
) -> MeasureChange:
    pairs = one.pairs
    assert pairs is not None  # noqa: S101 - whoever calls has looked
    broken, fixed = _crossed(one)
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
        flaky=_flaky(one),
    )


def _tiered(
    change: MeasureChange, one: _Measured, base: Run, gate: Gate, history: Sequence[Past],
    is_same: bool,
) -> MeasureChange:  # fmt: skip
    pairs, measure = one.pairs, one.measure
    assert pairs is not None  # noqa: S101 - whoever calls has looked
    if measure.direction == "none":
        return replace(change, tier="shown")
    margin = gate.margin_of(measure, pairs.base)
    past = _past(measure, base, history)
    whole = _mean_of(base, measure.name)  # earlier runs are known by the mean of all their examples
    if whole is not None and is_out_of_history(whole, change.noise_band, past, gate, margin):
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


def _crossed(one: _Measured) -> tuple[list[str], list[str]]:
    """Return the examples that passed in most repeats and no longer do, and the other way round."""
    numbers = one.numbers
    if not (one.measure.is_binary and one.measure.direction != "none"):
        return [], []
    good = one.measure.direction == "higher"
    before, after = (numbers.base >= 0.5) == good, (numbers.head >= 0.5) == good
    broken = [numbers.ids[row] for row in np.flatnonzero(before & ~after)]
    return broken, [numbers.ids[row] for row in np.flatnonzero(~before & after)]


def _flaky(one: _Measured) -> list[Flaky]:
    numbers = one.numbers
    rows = zip(numbers.ids, numbers.base_values, numbers.head_values, strict=True)
    return [
        Flaky(example_id=example_id, base=before, head=after)
        for example_id, before, after in rows
        if is_flaky(one.measure, before) or is_flaky(one.measure, after)
    ]


def _worst(base: Run, head: Run, found: Sequence[_Measured]) -> list[Said]:
    """Return the examples that lost most in a measure that decides, each once."""
    lost: dict[str, tuple[float, _Measured, int]] = {}
    for one in found:
        if not one.decides or one.pairs is None:
            continue
        sign = -1.0 if one.measure.direction == "higher" else 1.0
        losses = sign * (one.numbers.head - one.numbers.base)
        scale = 1.0 if is_share(one.measure) else float(np.abs(one.numbers.base).max()) or 1.0
        for row in np.flatnonzero(losses > 0).tolist():
            example_id, loss = one.numbers.ids[row], float(losses[row]) / scale
            if loss > lost.get(example_id, (0.0,))[0]:
                lost[example_id] = (loss, one, row)
    ranked = sorted(lost.values(), key=lambda entry: -entry[0])[:_MOST_WORST]
    return [_said(base, head, one, row) for _, one, row in ranked]


def _said(base: Run, head: Run, one: _Measured, row: int) -> Said:
    example_id = one.numbers.ids[row]
    example = head.examples.get(example_id)
    before = next(s.answer for s in base.samples if s.example_id == example_id)
    after = next(s.answer for s in head.samples if s.example_id == example_id)
    return Said(
        example_id=example_id,
        measure=one.measure,
        base=float(one.numbers.base[row]),
        head=float(one.numbers.head[row]),
        asked=example.question if example else "",
        base_answer=before.text or before.error_message,
        head_answer=after.text or after.error_message,
        trace_id=after.trace_id,
    )


def _mean_of(run: Run, measure: str) -> float | None:
    means = [sum(values) / len(values) for values in run.values(measure).values()]
    return sum(means) / len(means) if means else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
