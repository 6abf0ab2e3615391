"""What an experiment shows: arms against the control, by units, at any time.

Every number is of units and not of requests; every interval is always valid, so that looking as often
as one likes raises no false alarm beyond the stated share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from santral.experiments.metric import Metric, metric_named
from santral.experiments.units.table import Floats, UnitTable
from santral.statistics.assignment import cuped, sample_ratio
from santral.statistics.interval import Interval
from santral.statistics.multiple import holm
from santral.statistics.sequential import (
    always_valid_difference,
    always_valid_mean,
    always_valid_p,
    rho_for,
)

#: Below it the units did not fall to the arms as meant, and nothing is read. Specified: field notes;
#: Fabijan et al. (2019), KDD.
MISMATCH_P = 0.001
#: Chance that any interval ever leaves the truth out.
ALPHA = 0.05
#: Units that an arm needs before a difference is read: the intervals are asymptotic. Chosen; the
#: simulations in tests/experiments hold with it.
LEAST_UNITS = 100

Verdict: TypeAlias = Literal["better", "worse", "different", "undecided", "too_few"]


class ArmMean(Struct, frozen=True):
    """A metric of one arm, with the error that its units cause."""

    value: float
    se: float


class ArmSeen(Struct, frozen=True, kw_only=True):
    """How many saw an arm, and what they brought."""

    name: str
    units: int
    requests: int
    expected_share: float
    means: dict[str, ArmMean]


class Comparison(Struct, frozen=True, kw_only=True):
    """One metric of one arm against the control, in the metric's own unit."""

    metric: str
    unit: str
    is_rate: bool
    arm: str
    units: int
    value: float
    control: float
    low: float  # of the arm's difference to the control
    high: float
    arm_low: float  # of the arm's own value
    arm_high: float
    p: float
    p_adjusted: float  # over all primary comparisons; of others p itself
    is_primary: bool
    verdict: Verdict
    variance_kept: float = 1.0  # share of the variance that the time before does not explain
    rated: float | None = None  # of scores: scores for each request of the arm
    control_rated: float | None = None

    @property
    def difference(self) -> float:
        """What the arm has more than the control."""
        return self.value - self.control

    @property
    def relative(self) -> tuple[float, float] | None:
        """The interval as parts of the control's value, None where that is 0."""
        if not self.control:
            return None
        bounds = (self.low / abs(self.control), self.high / abs(self.control))
        return bounds


class Analysis(Struct, frozen=True, kw_only=True):
    """Everything that may be said of an experiment now."""

    control: str
    arms: list[ArmSeen]
    holdout_units: int
    crossed_units: int  # saw more than one arm; they are in no number
    mismatch_p: float | None  # None: weights moved, so there is no ratio to hold
    expected_units: int
    rho: float
    comparisons: list[Comparison]
    has_before: bool  # whether the time before the start was taken out

    @property
    def units(self) -> int:
        """Units that saw one arm."""
        return sum(arm.units for arm in self.arms)

    @property
    def is_readable(self) -> bool:
        """Whether units fell to the arms as meant: else no difference means anything."""
        return self.mismatch_p is None or self.mismatch_p >= MISMATCH_P

    def comparison(self, metric: str, arm: str) -> Comparison | None:
        """Return what is known of one metric of one arm."""
        return next((c for c in self.comparisons if c.metric == metric and c.arm == arm), None)


class Design(Struct, frozen=True, kw_only=True):
    """What an analysis has to know of an experiment."""

    control: str
    shares: Mapping[str, float]
    primary: Sequence[str] = ()
    expected_units: int = 5000
    has_moving_weights: bool = False


@dataclass(frozen=True, slots=True)
class _Values:
    """One metric of the units of one arm: values whose mean is the metric."""

    ratio: float
    values: Floats
    floor: float  # least variance that is believed

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def variance(self) -> float:
        spread = float(self.values.var(ddof=1)) if self.n > 1 else 0.0
        return max(spread, self.floor)


def analyse(
    seen: UnitTable, design: Design, metrics: Sequence[str], before: UnitTable | None = None
) -> Analysis:
    """Compare every arm with the control in every metric."""
    holdout_units = len(np.unique(seen.units[seen.is_holdout]))
    exposed = seen.where(~seen.is_holdout)
    kept, crossed_units = _of_one_arm(exposed)
    known = [metric for name in metrics if (metric := metric_named(name)) is not None]
    arms = [_arm_seen(kept, name, share, known) for name, share in design.shares.items()]
    rho = rho_for(design.expected_units, ALPHA)
    found = [one for metric in known for one in _compared(metric, kept, before, design, rho)]
    return Analysis(
        control=design.control,
        arms=arms,
        holdout_units=holdout_units,
        crossed_units=crossed_units,
        mismatch_p=None if design.has_moving_weights else _mismatch(arms),
        expected_units=design.expected_units,
        rho=rho,
        comparisons=_adjusted(found),
        has_before=before is not None and len(before) > 0,
    )


def _of_one_arm(seen: UnitTable) -> tuple[UnitTable, int]:
    """Return the rows of units that saw one arm, and how many saw more."""
    names, places, times = np.unique(seen.units, return_inverse=True, return_counts=True)
    return seen.where(times[places] == 1), int((times > 1).sum()) if len(names) else 0


def _arm_seen(kept: UnitTable, name: str, share: float, metrics: Sequence[Metric]) -> ArmSeen:
    rows = kept.where(kept.arms == name)
    found = {metric.name: _values(metric, rows) for metric in metrics}
    return ArmSeen(
        name=name,
        units=len(rows),
        requests=int(rows.requests.sum()),
        expected_share=share,
        means={
            metric: ArmMean(one.ratio, float(np.sqrt(one.variance / one.n)))
            for metric, one in found.items()
            if one is not None
        },
    )


def _mismatch(arms: Sequence[ArmSeen]) -> float:
    return sample_ratio([arm.units for arm in arms], [arm.expected_share for arm in arms])


def _compared(
    metric: Metric, kept: UnitTable, before: UnitTable | None, design: Design, rho: float
) -> list[Comparison]:
    """Return one metric of every arm that has values, against the control's."""
    names = [name for name, share in design.shares.items() if share or (kept.arms == name).any()]
    raw = {name: _values(metric, kept.where(kept.arms == name)) for name in names}
    usable = {name: found for name, found in raw.items() if found is not None}
    control = usable.get(design.control)
    if control is None:
        return []
    adjusted, variance_kept = _without_before(metric, kept, before, usable)
    return [
        _comparison(metric, name, kept, design, adjusted, rho, variance_kept)
        for name in usable
        if name != design.control
    ]


def _values(metric: Metric, rows: UnitTable) -> _Values | None:
    """Return values of units whose mean is the ratio of sums, with the delta method's variance.

    Source: Deng, Knoblich and Lu (2018), KDD, section 3: each unit's part in the linearised ratio.
    """
    top, bottom = rows.sums.get(metric.name), rows.counts.get(metric.name)
    if top is None or bottom is None or bottom.sum() == 0:
        return None
    top = top * metric.scale
    ratio, mean = float(top.sum() / bottom.sum()), float(bottom.mean())
    return _Values(ratio, ratio + (top - ratio * bottom) / mean, _floor(metric, top, bottom))


def _floor(metric: Metric, top: Floats, bottom: Floats) -> float:
    """A rate that was never seen to differ is not known to be without variance: one of each is added."""
    if not metric.is_rate:
        return 0.0
    count = float(bottom.sum())
    rate = (float(top.sum()) + 1.0) / (count + 2.0)
    return rate * (1.0 - rate) / float(bottom.mean())


def _without_before(
    metric: Metric, kept: UnitTable, before: UnitTable | None, found: Mapping[str, _Values]
) -> tuple[dict[str, _Values], float]:
    """Take out what the same units did before (CUPED), with one theta for all arms."""
    if before is None or not len(before) or metric.name not in before.sums:
        return dict(found), 1.0
    past = _values(metric, before)
    if past is None:
        return dict(found), 1.0
    known = dict(zip(before.units.tolist(), (past.values - past.ratio).tolist(), strict=True))
    x = {
        name: np.array([known.get(unit, 0.0) for unit in kept.units[kept.arms == name]])
        for name in found
    }
    within = np.concatenate([one.values - one.ratio for one in found.values()])
    _, theta, share = cuped(within, np.concatenate([x[name] for name in found]))
    if share >= 1.0 or not np.isfinite(share):
        return dict(found), 1.0
    middle = float(np.concatenate([x[name] for name in found]).mean())
    return {
        name: _Values(
            float((one.values - theta * (x[name] - middle)).mean()),
            one.values - theta * (x[name] - middle),
            one.floor * share,
        )
        for name, one in found.items()
    }, share


def _comparison(
    metric: Metric,
    name: str,
    kept: UnitTable,
    design: Design,
    found: Mapping[str, _Values],
    rho: float,
    variance_kept: float,
) -> Comparison:
    control, arm = found[design.control], found[name]
    sides = (control.n, control.ratio, control.variance, arm.n, arm.ratio, arm.variance)
    interval = always_valid_difference(*sides, alpha=ALPHA, rho=rho)
    own = always_valid_mean(arm.n, arm.ratio, arm.variance, alpha=ALPHA, rho=rho)
    p = always_valid_p(*sides, rho=rho)
    return Comparison(
        metric=metric.name,
        unit=metric.unit,
        is_rate=metric.is_rate,
        arm=name,
        units=arm.n,
        value=arm.ratio,
        control=control.ratio,
        low=interval.low,
        high=interval.high,
        arm_low=own.low,
        arm_high=own.high,
        p=p,
        p_adjusted=p,
        is_primary=metric.name in design.primary,
        verdict=_verdict(metric, interval, min(control.n, arm.n)),
        variance_kept=variance_kept,
        rated=_rated(metric, kept, name),
        control_rated=_rated(metric, kept, design.control),
    )


def _verdict(metric: Metric, interval: Interval, least: int) -> Verdict:
    if least < LEAST_UNITS:
        return "too_few"
    if interval.low <= 0.0 <= interval.high:
        return "undecided"
    if metric.better == "neither":
        return "different"
    return "better" if (interval.low > 0.0) == (metric.better == "higher") else "worse"


def _rated(metric: Metric, kept: UnitTable, name: str) -> float | None:
    if not metric.is_score:
        return None
    chosen = kept.arms == name
    requests = float(kept.requests[chosen].sum())
    return float(kept.counts[metric.name][chosen].sum()) / requests if requests else 0.0


def _adjusted(found: Sequence[Comparison]) -> list[Comparison]:
    """Adjust what was meant to decide; a verdict stands only where it survives that."""
    primary = [one for one in found if one.is_primary]
    adjusted = dict(zip(map(id, primary), holm([one.p for one in primary]), strict=True))
    return [_with_p(one, adjusted.get(id(one), one.p)) for one in found]


def _with_p(one: Comparison, p: float) -> Comparison:
    held = one.verdict in ("too_few", "undecided") or p < ALPHA
    return replace(one, p_adjusted=p, verdict=one.verdict if held else "undecided")
