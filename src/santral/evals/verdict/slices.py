"""Slices: whether a change is worse on some examples while it is fine on the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec.structs import replace

from santral.evals.evaluator import Measure
from santral.evals.run import Run
from santral.evals.verdict.comparison import SliceChange
from santral.evals.verdict.gate import Gate, is_share
from santral.evals.verdict.pairs import Columns
from santral.statistics.multiple import benjamini_hochberg
from santral.statistics.paired import compare_paired

#: Values of a key up to which it makes slices by itself. Chosen: more are ids, not kinds.
_MOST_VALUES = 12
#: Slices of a run, times measures. Chosen: beyond that nobody reads them, and correcting costs power.
_MOST_SLICES = 200


def slices_of(
    head: Run, shared: Sequence[str], measures: Sequence[tuple[Measure, Columns]], gate: Gate,
    rng: np.random.Generator,
) -> list[SliceChange]:  # fmt: skip
    """Return every measure on every slice that has enough pairs, the least likely by chance first."""
    found: list[SliceChange] = []
    groups = list(_groups(head, shared, gate))[: max(1, _MOST_SLICES // max(1, len(measures)))]
    for measure, numbers in measures:
        for key, value, members in groups:
            rows = [row for row, example_id in enumerate(numbers.ids) if example_id in members]
            if len(rows) >= gate.min_pairs:
                found.append(_changed(measure, key, value, numbers, rows, gate, rng))
    adjusted = benjamini_hochberg([one.p for one in found])
    known = [replace(one, p_adjusted=p) for one, p in zip(found, adjusted, strict=True)]
    return sorted(known, key=lambda one: (one.p_adjusted, one.p))


def _groups(head: Run, shared: Sequence[str], gate: Gate) -> Iterator[tuple[str, str, set[str]]]:
    found: dict[str, dict[str, set[str]]] = {}
    for example_id in shared:
        example = head.examples.get(example_id)
        for key, value in example.metadata.items() if example else ():
            found.setdefault(key, {}).setdefault(str(value), set()).add(example_id)
    for key, values in sorted(found.items()):
        is_wanted = key in gate.slices if gate.slices is not None else len(values) <= _MOST_VALUES
        if is_wanted and len(values) > 1:
            for value, members in sorted(values.items()):
                yield key, value, members


def _changed(
    measure: Measure, key: str, value: str, numbers: Columns, rows: list[int], gate: Gate,
    rng: np.random.Generator,
) -> SliceChange:  # fmt: skip
    pairs = compare_paired(
        numbers.base[rows],
        numbers.head[rows],
        clusters=[numbers.clusters[row] for row in rows],
        is_binary=is_share(measure),
        level=gate.level,
        rng=rng,
    )
    is_known = bool(np.isfinite(pairs.interval.low))
    return SliceChange(
        key=key,
        value=value,
        measure=measure,
        n=pairs.n,
        base=pairs.base,
        head=pairs.head,
        difference=pairs.difference,
        low=pairs.interval.low if is_known else None,
        high=pairs.interval.high if is_known else None,
        p=pairs.p,
        p_adjusted=pairs.p,
    )
