"""One measure of two runs: its pairs, and what single examples became of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from santral.evals.evaluator import Measure
from santral.evals.run import Run
from santral.evals.verdict.comparison import Flaky
from santral.evals.verdict.gate import Gate, is_share
from santral.evals.verdict.pairs import Columns, columns, is_flaky
from santral.statistics.paired import Paired, compare_paired


class Measured(Struct, frozen=True, kw_only=True):
    """One measure of both runs; ``pairs`` is None where they cannot be compared."""

    measure: Measure
    decides: bool
    numbers: Columns
    pairs: Paired | None
    series: str  # why it is another series and what to do, or empty

    @classmethod
    def of(
        cls, measure: Measure, base: Run, head: Run, shared: Sequence[str], gate: Gate,
        rng: np.random.Generator,
    ) -> Measured:  # fmt: skip
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


def crossed(one: Measured) -> tuple[list[str], list[str]]:
    """Return the examples that passed in most repeats and no longer do, and the other way round."""
    numbers = one.numbers
    if not (one.measure.is_binary and one.measure.direction != "none"):
        return [], []
    good = one.measure.direction == "higher"
    before, after = (numbers.base >= 0.5) == good, (numbers.head >= 0.5) == good
    broken = [numbers.ids[row] for row in np.flatnonzero(before & ~after)]
    return broken, [numbers.ids[row] for row in np.flatnonzero(~before & after)]


def flaky(one: Measured) -> list[Flaky]:
    """Return the examples whose repeats do not agree, in base or in head."""
    numbers = one.numbers
    rows = zip(numbers.ids, numbers.base_values, numbers.head_values, strict=True)
    return [
        Flaky(example_id=example_id, base=before, head=after)
        for example_id, before, after in rows
        if is_flaky(one.measure, before) or is_flaky(one.measure, after)
    ]


def _other_series(measure: Measure, base: Run, head: Run) -> str:
    name = measure.name
    if measure.neutral is not None:  # each of its values compares answers of two runs, by one judge
        return _other_base(base, head)
    again = (
        "Score base's answers with it before comparing: "
        f"santral eval run SUITE --replay {base.head.id}"
    )
    if name not in {known.name for known in base.head.measures}:
        return f"Base was not measured by it. {again}"
    if head.head.judges.get(name) != base.head.judges.get(name):
        return f"Another model judges now. {again}"
    if head.head.evaluators.get(name) != base.head.evaluators.get(name):
        return f"The evaluator has changed. {again}"
    return ""


def _other_base(base: Run, head: Run) -> str:
    against = head.head.against
    if against in ("", base.head.id):
        return ""
    return (
        f"It compared head's answers with those of {against}. Let it compare them with these: "
        f"santral eval run SUITE --replay {head.head.id} --baseline {base.head.id}"
    )
