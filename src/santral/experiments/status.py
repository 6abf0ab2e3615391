"""How an experiment stands: what was seen, what it shows, and what was decided."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from msgspec import Struct

from santral.config.schema import Config
from santral.db.engine import Engine
from santral.experiments.analyse import Analysis, Design, analyse
from santral.experiments.bandit import best_probabilities
from santral.experiments.known import show_experiment
from santral.experiments.look import arm_values
from santral.experiments.made import State, StoredExperiment
from santral.experiments.metric import METRICS, SCORE, SLOW, metric_named
from santral.experiments.policy_value import PolicyValue, policy_values
from santral.experiments.units.store import Asked, scores_seen, units_before, units_seen
from santral.experiments.units.table import UnitTable
from santral.tenants.permission import Principal
from santral.tenants.tenant import EVERYWHERE
from santral.traces.store import TraceStore
from santral.traces.whose import Whose

#: Scores that are shown although nobody asked for them. Chosen.
_MOST_SCORES = 10
_DAY_US = 86_400_000_000


class Status(Struct, frozen=True, kw_only=True):
    """An experiment and everything that may be said of it."""

    tenant_id: str
    name: str
    state: State
    unit: str
    share: float
    step: int
    steps: int
    weights: dict[str, float]
    primary: list[str]
    is_declared: bool
    started_at: datetime | None
    ended_at: datetime | None
    analysis: Analysis
    bandit_metric: str = ""
    best: dict[str, float] = {}  # probability that an arm is the best, of a bandit
    policy_values: list[PolicyValue] = []  # weighed by propensities, of a bandit


async def read_status(
    engine: Engine,
    config: Config,
    traces: TraceStore,
    tenant: str,
    name: str,
    now: datetime,
    *,
    by: Principal,
) -> Status:
    """Return how an experiment stands for a tenant's requests; ``*`` for all that it is about.

    Raises:
        NotFound: no such experiment.
        NotAllowed: no role that may read experiments there.
    """
    stored = await show_experiment(engine, config, tenant, name, by=by)
    analysis, seen = await read_analysis(traces, stored, config, now, tenant)
    return _status(stored, analysis, seen)


async def read_analysis(
    traces: TraceStore,
    stored: StoredExperiment,
    config: Config,
    now: datetime,
    tenant: str | None = None,
) -> tuple[Analysis, UnitTable]:
    """Return what an experiment shows now, and what it was read from."""
    asked = stored.config
    wanted = _asked(stored, now, _whose(stored, tenant))
    names = await traces.ask(lambda conn: scores_seen(conn, wanted, _MOST_SCORES))
    metrics = _metrics(stored, names)
    scores = tuple(name.removeprefix(SCORE) for name in metrics if name.startswith(SCORE))
    wanted = Asked(
        experiment=wanted.experiment, whose=wanted.whose, since_us=wanted.since_us,
        until_us=wanted.until_us, slow_us=_slow_us(stored), scores=scores,
    )  # fmt: skip
    seen = await traces.ask(lambda conn: units_seen(conn, wanted))
    before = await _before(traces, stored, config, wanted, seen)
    design = Design(
        control=asked.control_arm,
        shares=shares_of(stored),
        primary=tuple(asked.primary),
        expected_units=asked.expected_units,
        has_moving_weights=asked.bandit is not None,
    )
    return analyse(seen, design, metrics, before), seen


def shares_of(stored: StoredExperiment) -> dict[str, float]:
    """Return the share of every arm now."""
    weights = stored.now.weights or {
        arm: variant.weight for arm, variant in stored.config.variants.items()
    }
    total = sum(weights.values())
    return {arm: weights.get(arm, 0.0) / total for arm in stored.config.variants}


async def _before(
    traces: TraceStore, stored: StoredExperiment, config: Config, wanted: Asked, seen: UnitTable
) -> UnitTable | None:
    """Return what the units did before the first of them took part."""
    if not stored.config.pre_days or not len(seen):
        return None
    start_us = max(wanted.since_us, int(seen.first_us.min()))
    naming = [name for name, route in config.routes.items() if route.experiment == stored.name]
    routes = [*stored.config.routes, *naming]
    asked = Asked(
        experiment=wanted.experiment, whose=wanted.whose, since_us=start_us,
        until_us=wanted.until_us, slow_us=wanted.slow_us, scores=wanted.scores,
    )  # fmt: skip
    from_us = start_us - int(stored.config.pre_days * _DAY_US)
    unit = stored.config.unit
    return await traces.ask(lambda conn: units_before(conn, asked, unit, routes, from_us))


def _asked(stored: StoredExperiment, now: datetime, whose: Whose) -> Asked:
    end = stored.ended_at or now
    return Asked(
        experiment=stored.name,
        whose=whose,
        since_us=0 if stored.started_at is None else int(stored.started_at.timestamp() * 1e6),
        until_us=int(end.timestamp() * 1e6) + 1,
    )


def _whose(stored: StoredExperiment, tenant: str | None) -> Whose:
    """Whose requests are read: of a shared experiment, those of the tenant that asks alone."""
    if tenant is not None and tenant != EVERYWHERE:
        return tenant
    if stored.tenant_id != EVERYWHERE:
        return stored.tenant_id
    return stored.config.tenants or None


def _metrics(stored: StoredExperiment, scores: list[str]) -> list[str]:
    """Return the names of what is compared, what decides first."""
    asked = stored.config
    wanted = [
        *asked.primary,
        *(guard.metric for guard in asked.guards),
        *([asked.bandit.metric] if asked.bandit else []),
        *(name for name in METRICS if name != SLOW),
        *(SCORE + name for name in scores),
    ]
    return [name for name in dict.fromkeys(wanted) if metric_named(name) is not None]


def _slow_us(stored: StoredExperiment) -> float:
    bounds = [g.bound for g in stored.config.guards if g.metric == SLOW and g.bound is not None]
    return bounds[0] * 1000.0 if bounds else 0.0


def _status(stored: StoredExperiment, analysis: Analysis, seen: UnitTable) -> Status:
    bandit = stored.config.bandit
    metric = bandit.metric if bandit else ""
    known = metric_named(metric) if metric else None
    values = arm_values(analysis, metric) if metric else {}
    return Status(
        tenant_id=stored.tenant_id,
        name=stored.name,
        state=stored.state,
        unit=stored.config.unit,
        share=stored.now.share,
        step=stored.now.step,
        steps=len(stored.config.ramp),
        weights=shares_of(stored),
        primary=stored.config.primary,
        is_declared=stored.is_declared,
        started_at=stored.started_at,
        ended_at=stored.ended_at,
        analysis=analysis,
        bandit_metric=metric,
        best=best_probabilities(values, np.random.default_rng(0)) if values else {},
        policy_values=[]
        if known is None
        else policy_values(seen, metric, [*stored.config.variants], known.scale),
    )
