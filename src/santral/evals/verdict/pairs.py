"""Pairs: the examples that are the same in two runs, and their numbers side by side."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from msgspec import Struct

from santral.evals.evaluator import Measure
from santral.evals.run import Run, Sample
from santral.statistics.interval import Floats


class SharedExamples(Struct, frozen=True, kw_only=True):
    """Examples of two runs: those they share, and how many they do not."""

    shared: list[str]  # ids, in head's order
    changed: int  # the same id with other contents
    only_base: int
    only_head: int

    @property
    def notes(self) -> list[str]:
        """What a reader has to know of examples that could not be paired."""
        if not (self.changed or self.only_base or self.only_head):
            return []
        parts = [
            f"{count} {what}"
            for count, what in (
                (self.changed, "changed"),
                (self.only_head, "new"),
                (self.only_base, "gone"),
            )
            if count
        ]
        return [
            f"The data set changed ({', '.join(parts)}): compared are the {len(self.shared)} "
            "examples that are the same in both runs."
        ]


class Columns(Struct, frozen=True, kw_only=True):
    """Numbers of one measure: one row for each example that has them on both sides."""

    ids: list[str]
    base: Floats  # repeats averaged
    head: Floats
    clusters: list[Hashable]
    base_values: list[list[float]]  # of each repeat
    head_values: list[list[float]]


def pair(base: Run, head: Run) -> SharedExamples:
    """Return which examples of two runs are the same, by id and by content."""
    before, after = _hashes(base.samples), _hashes(head.samples)
    both = [example_id for example_id in after if example_id in before]
    shared = [example_id for example_id in both if before[example_id] == after[example_id]]
    return SharedExamples(
        shared=shared,
        changed=len(both) - len(shared),
        only_base=len(before) - len(both),
        only_head=len(after) - len(both),
    )


def columns(base: Run, head: Run, shared: Sequence[str], measure: Measure) -> Columns:
    """Return the numbers of one measure where both runs have them.

    A measure that compares with the baseline by itself stands against its neutral value.
    """
    after = head.values(measure.name)
    before = base.values(measure.name)
    if measure.neutral is not None:
        before = {example_id: [measure.neutral] for example_id in after}
    ids = [example_id for example_id in shared if example_id in before and example_id in after]
    return Columns(
        ids=ids,
        base=np.array([_mean(before[example_id]) for example_id in ids]),
        head=np.array([_mean(after[example_id]) for example_id in ids]),
        clusters=[_cluster(head, example_id) for example_id in ids],
        base_values=[before[example_id] for example_id in ids],
        head_values=[after[example_id] for example_id in ids],
    )


def noise_band(found: Columns, level_quantile: float) -> float | None:
    """Return how far asking again alone moves the mean difference; None without repeats.

    The spread of repeats within an example, pooled over all examples of both runs.
    """
    within = _within(found)
    if within is None:
        return None
    per_pair = [
        within * (1 / len(before) + 1 / len(after))
        for before, after in zip(found.base_values, found.head_values, strict=True)
    ]
    return level_quantile * math.sqrt(sum(per_pair)) / len(per_pair) if per_pair else None


def base_noise(found: Columns) -> float | None:
    """Return the standard error that asking again alone gives base's mean; None without repeats."""
    within = _within(found)
    if within is None:
        return None
    return math.sqrt(sum(within / len(one) for one in found.base_values)) / len(found.base_values)


def is_flaky(measure: Measure, values: Sequence[float]) -> bool:
    """Return whether repeats of one example do not agree: by more than half of what is possible."""
    if len(values) < 2 or measure.low is None or measure.high is None:
        return False
    return max(values) - min(values) > 0.5 * (measure.high - measure.low)


def same_answers(base: Run, head: Run, shared: Sequence[str]) -> bool:
    """Return whether both runs said the same, word for word, to every shared example."""
    known = set(shared)
    before, after = _said(base.samples, known), _said(head.samples, known)
    return bool(before) and before == after


def _within(found: Columns) -> float | None:
    """Return the variance of repeats within an example, pooled over both runs; None without any."""
    repeated = [values for values in (*found.base_values, *found.head_values) if len(values) > 1]
    if not repeated:
        return None
    freedom = sum(len(values) - 1 for values in repeated)
    return sum(_squares(values) for values in repeated) / freedom


def _said(samples: Sequence[Sample], known: set[str]) -> dict[tuple[str, int], tuple[object, ...]]:
    return {
        (s.example_id, s.repeat): (s.answer.text, s.answer.error, s.answer.tool_calls)
        for s in samples
        if s.example_id in known
    }


def _hashes(samples: Sequence[Sample]) -> dict[str, str]:
    return {sample.example_id: sample.example_hash for sample in samples}


def _squares(values: Sequence[float]) -> float:
    mean = _mean(values)
    return sum((value - mean) ** 2 for value in values)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _cluster(run: Run, example_id: str) -> Hashable:
    example = run.examples.get(example_id)
    return ("cluster", example.cluster) if example and example.cluster else example_id
