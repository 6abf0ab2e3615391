"""One look at a running experiment: go on, widen, move weights, or stop.

Every look rests on always-valid intervals: however often it is done, the chance that harm is seen
where there is none stays below the stated share.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from santral.config.experiments import GuardConfig, RampStep
from santral.experiments.analyse import LEAST_UNITS, MISMATCH_P, Analysis, Comparison
from santral.experiments.bandit import ArmValue, top_two_weights
from santral.experiments.made import Now, StoredExperiment
from santral.experiments.metric import SLOW, SLOW_SHARE, metric_named

#: Shares that moved by less are left as they are: each move assigns some units anew. Chosen.
_LEAST_MOVE = 0.01


class Act(Struct, frozen=True, kw_only=True):
    """What a look decided, and why."""

    kind: str  # stopped, ramped, weighted
    now: Now
    evidence: dict[str, Any]


def first_step(stored: StoredExperiment, now_s: float) -> Now:
    """Return how an experiment starts: on the first step of its ramp, where it has one."""
    ramp = stored.config.ramp
    share = ramp[0].share if ramp else stored.config.share
    return Now(share=share, step=0, step_at_s=now_s)


def next_step(stored: StoredExperiment, now_s: float) -> Now | None:
    """Return the next step of the ramp; None on the last one."""
    step = stored.now.step + 1
    if step >= len(stored.config.ramp):
        return None
    return replace(stored.now, share=stored.config.ramp[step].share, step=step, step_at_s=now_s)


def decide(
    stored: StoredExperiment, found: Analysis, now_s: float, rng: np.random.Generator
) -> Act | None:
    """Return what has to be done now; None: nothing."""
    return _stop(stored, found) or _ramp(stored, found, now_s) or _weigh(stored, found, now_s, rng)


def guarded(guard: GuardConfig, one: Comparison) -> str:
    """Return how a guard stands for one arm: harmed, kept, or open."""
    metric = metric_named(guard.metric)
    if metric is None or one.units < LEAST_UNITS:
        return "open"
    sign = -1.0 if metric.better == "higher" else 1.0
    if guard.metric == SLOW:
        low, high, limit = one.arm_low, one.arm_high, SLOW_SHARE
    elif guard.bound is not None:
        low, high, limit = one.arm_low, one.arm_high, guard.bound
    else:
        margin = guard.margin or 0.0
        low, high = one.low, one.high
        limit = margin if metric.is_rate else margin * abs(one.control)
        limit *= sign
    if sign < 0:
        low, high, limit = -high, -low, -limit
    if low > limit:
        return "harmed"
    return "kept" if high < limit else "open"


def _stop(stored: StoredExperiment, found: Analysis) -> Act | None:
    if not found.is_readable and found.units >= LEAST_UNITS:
        evidence = {"reason": "sample_ratio", "p": found.mismatch_p, "limit": MISMATCH_P}
        return _stopped(stored, {**evidence, "units": _units(found)})
    for guard in stored.config.guards:
        for one in _of(found, guard.metric):
            if guarded(guard, one) == "harmed":
                return _stopped(stored, {"reason": "guard", **_evidence(guard, one)})
    return None


def _stopped(stored: StoredExperiment, evidence: dict[str, Any]) -> Act:
    return Act(kind="stopped", now=stored.now, evidence=evidence)


def _ramp(stored: StoredExperiment, found: Analysis, now_s: float) -> Act | None:
    ramp = stored.config.ramp
    wider = next_step(stored, now_s)
    if wider is None or stored.now.step >= len(ramp):
        return None
    if not _is_due(ramp[stored.now.step], stored.now, found, now_s):
        return None
    for guard in stored.config.guards:
        standing = [guarded(guard, one) for one in _of(found, guard.metric)]
        if guard.must_hold and (not standing or any(one != "kept" for one in standing)):
            return None
    evidence = {"reason": "step_done", "share": wider.share, "units": _units(found)}
    return Act(kind="ramped", now=wider, evidence=evidence)


def _is_due(step: RampStep, now: Now, found: Analysis, now_s: float) -> bool:
    if now_s - now.step_at_s < step.min_hours * 3600.0:
        return False
    return all(arm.units >= step.min_units for arm in found.arms if arm.expected_share > 0)


def _weigh(
    stored: StoredExperiment, found: Analysis, now_s: float, rng: np.random.Generator
) -> Act | None:
    bandit = stored.config.bandit
    if bandit is None or now_s - stored.now.moved_at_s < bandit.every_minutes * 60.0:
        return None
    if any(arm.units < bandit.min_units for arm in found.arms):
        return None
    values = arm_values(found, bandit.metric)
    if len(values) < len(found.arms):
        return None
    weights = {
        name: round(share, 4) for name, share in top_two_weights(values, bandit.floor, rng).items()
    }
    before = stored.now.weights or {arm.name: arm.expected_share for arm in found.arms}
    if all(abs(weights[name] - before.get(name, 0.0)) < _LEAST_MOVE for name in weights):
        return None
    now = replace(stored.now, weights=weights, moved_at_s=now_s)
    evidence = {
        "reason": "bandit",
        "metric": bandit.metric,
        "before": before,
        "weights": weights,
        "means": {name: value.mean for name, value in values.items()},
        "units": _units(found),
    }
    return Act(kind="weighted", now=now, evidence=evidence)


def arm_values(found: Analysis, metric: str) -> dict[str, ArmValue]:
    """Return what is known of every arm in one metric, higher is better."""
    known = metric_named(metric)
    sign = -1.0 if known is not None and known.better == "lower" else 1.0
    return {
        arm.name: ArmValue(mean=sign * arm.means[metric].value, se=arm.means[metric].se)
        for arm in found.arms
        if metric in arm.means
    }


def _of(found: Analysis, metric: str) -> list[Comparison]:
    return [one for one in found.comparisons if one.metric == metric]


def _units(found: Analysis) -> dict[str, int]:
    return {arm.name: arm.units for arm in found.arms}


def _evidence(guard: GuardConfig, one: Comparison) -> dict[str, Any]:
    return {
        "metric": guard.metric,
        "arm": one.arm,
        "margin": guard.margin,
        "bound": guard.bound,
        "value": one.value,
        "control": one.control,
        "low": one.low,
        "high": one.high,
        "arm_low": one.arm_low,
        "arm_high": one.arm_high,
        "units": one.units,
    }
