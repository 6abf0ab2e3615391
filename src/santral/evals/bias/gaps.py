"""What swaps changed, and how far groups lie apart: paired differences, and gaps with intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from santral.evals.bias.pairs import Pair
from santral.evals.evaluator import Measure
from santral.evals.run import Run, Sample
from santral.statistics.interval import Interval, clustered_mean, wilson
from santral.statistics.multiple import holm
from santral.statistics.paired import compare_paired

#: Pairs below which nothing is said of a swap, and examples below which nothing is of a group. Chosen:
#: the least for which an interval means something (field of statistics: 6; groups need more).
LEAST_PAIRS, LEAST_GROUP = 6, 20
#: Pairs that are shown to people. Chosen.
SHOWN = 5
#: The ratio of selection rates below which practice looks twice. Source: the four-fifths rule of the
#: Uniform Guidelines on Employee Selection Procedures (1978), section 4D. It is no test.
FOUR_FIFTHS = 0.8

LENGTH = Measure(name="length", direction="none", low=0.0, high=None, unit="characters")


class Effect(Struct, frozen=True, kw_only=True):
    """What one kind of swap did to one measure: after minus before, over pairs."""

    measure: str
    kind: str
    toward: str  # the group after the swap; empty: all together
    n: int
    before: float
    after: float
    difference: float
    interval: Interval
    p: float
    p_adjusted: float = 1.0  # Holm over all effects

    @property
    def is_sure(self) -> bool:
        """Whether the difference is none of chance, at 5 %."""
        return self.p_adjusted <= 0.05


class Far(Struct, frozen=True, kw_only=True):
    """A pair whose answers differ most: for a person to read."""

    measure: str
    kind: str
    before_id: str
    after_id: str
    difference: float


class Group(Struct, frozen=True, kw_only=True):
    """One group of examples by a field of their metadata, and its mean."""

    measure: str
    field: str
    group: str
    n: int
    value: float
    interval: Interval
    ratio: float | None = None  # of a share to that of the best group
    is_flagged: bool = False  # the ratio is under four fifths: look, no proof


def effects_of(run: Run, pairs: Sequence[Pair], rng: np.random.Generator) -> list[Effect]:
    """Return what each kind of swap did to each measure, all groups together and each for itself.

    Repeats are averaged first; pairs of one example vary together.
    """
    found: list[Effect] = []
    for measure, read in _measures(run).items():
        values = _means(run, read)
        for (kind, toward), chosen in _kinds(pairs).items():
            rows = [p for p in chosen if p.example in values and p.swapped in values]
            if len(rows) >= LEAST_PAIRS:
                found.append(_effect(measure, kind, toward, rows, values, rng))
    adjusted = holm([effect.p for effect in found])
    return [replace(effect, p_adjusted=p) for effect, p in zip(found, adjusted, strict=True)]


def far_pairs(run: Run, pairs: Sequence[Pair], measure: str) -> list[Far]:
    """Return the pairs whose answers lie furthest apart by a measure, the furthest first."""
    values = _means(run, _measures(run)[measure])
    rows = [
        Far(
            measure=measure,
            kind=pair.kind,
            before_id=pair.example,
            after_id=pair.swapped,
            difference=values[pair.swapped] - values[pair.example],
        )
        for pair in pairs
        if pair.example in values and pair.swapped in values
    ]
    rows = [row for row in rows if row.difference]
    return sorted(rows, key=lambda row: -abs(row.difference))[:SHOWN]


def groups_of(run: Run, fields: Sequence[str]) -> list[Group]:
    """Return the mean of every measure in every group that is large enough to say something."""
    found: list[Group] = []
    for measure, read in _measures(run).items():
        values = _means(run, read)
        is_share = set(values.values()) <= {0.0, 1.0}
        for field in fields:
            found += _flagged(_groups(run, measure, field, values, is_share=is_share), is_share)
    return found


def _measures(run: Run) -> Mapping[str, Callable[[Sample], float | None]]:
    def of(name: str) -> Callable[[Sample], float | None]:
        return lambda sample: sample.value(name)

    named = {measure.name: of(measure.name) for measure in run.head.measures}
    return {LENGTH.name: _length, **named}


def _length(sample: Sample) -> float | None:
    return None if sample.answer.error else float(len(sample.answer.text))


def _means(run: Run, read: Callable[[Sample], float | None]) -> dict[str, float]:
    values: dict[str, list[float]] = defaultdict(list)
    for sample in run.samples:
        value = read(sample)
        if value is not None:
            values[sample.example_id].append(value)
    return {id: float(np.mean(found)) for id, found in values.items()}


def _kinds(pairs: Sequence[Pair]) -> dict[tuple[str, str], list[Pair]]:
    kinds: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        kinds[pair.kind, ""].append(pair)
        kinds[pair.kind, pair.after].append(pair)
    # a kind with one direction only is said once
    return {
        (kind, toward): chosen
        for (kind, toward), chosen in kinds.items()
        if not toward or len(chosen) < len(kinds[kind, ""])
    }


def _effect(
    measure: str,
    kind: str,
    toward: str,
    rows: Sequence[Pair],
    values: Mapping[str, float],
    rng: np.random.Generator,
) -> Effect:
    before = np.array([values[pair.example] for pair in rows])
    after = np.array([values[pair.swapped] for pair in rows])
    owners = [pair.example for pair in rows]
    alone = len(set(owners)) == len(owners)
    is_binary = bool(np.isin(np.concatenate((before, after)), (0.0, 1.0)).all())
    found = compare_paired(
        before, after, clusters=None if alone else owners, is_binary=is_binary, rng=rng
    )
    return Effect(
        measure=measure,
        kind=kind,
        toward=toward,
        n=found.n,
        before=found.base,
        after=found.head,
        difference=found.difference,
        interval=found.interval,
        p=found.p,
    )


def _groups(
    run: Run, measure: str, field: str, values: Mapping[str, float], *, is_share: bool
) -> list[Group]:
    members: dict[str, list[str]] = defaultdict(list)
    for id, example in run.examples.items():
        group = example.metadata.get(field)
        if group is not None and id in values:
            members[str(group)].append(id)
    found: list[Group] = []
    for group, ids in sorted(members.items()):
        if len(ids) < LEAST_GROUP:
            continue
        numbers = [values[id] for id in ids]
        mean = float(np.mean(numbers))
        interval = (
            wilson(int(sum(numbers)), len(numbers))
            if is_share
            else clustered_mean(numbers, [run.examples[id].cluster or id for id in ids]).interval
        )
        found.append(
            Group(
                measure=measure, field=field, group=group, n=len(ids), value=mean, interval=interval
            )
        )
    return found


def _flagged(groups: list[Group], is_share: bool) -> list[Group]:
    best = max((group.value for group in groups), default=0.0)
    if not is_share or not best or len(groups) < 2:
        return groups
    return [
        replace(group, ratio=group.value / best, is_flagged=group.value / best < FOUR_FIFTHS)
        for group in groups
    ]
