"""Asks routing who may answer a request, in which order, and notes why."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from santral.gateway.context import CLIENT_LEFT, HEDGE_LOST, STOPPING, RequestContext
from santral.gateway.stages.shadow import Mirror
from santral.routing.choose import Plan, by_weight, candidates, make_plan, obstacle
from santral.routing.complexity import Judgement
from santral.routing.demand import SOFT, Demand, asks_nothing_special, demand_of
from santral.routing.health import Health
from santral.routing.route import Deployment, Rules
from santral.routing.strategy import Rng
from santral.traces.record import AttemptRecord, Attribute

#: 4xx of a provider that are its own trouble and not the request's: its key, its clock, its limits.
_ITS_OWN = frozenset({401, 402, 403, 408, 429})
#: Ends of an attempt that we made.
_OUR_ENDS = frozenset({CLIENT_LEFT, STOPPING, HEDGE_LOST})


class Router:
    """Yields the deployments of a request's route. A plain route costs nothing beside its draw."""

    def __init__(
        self, health: Health, rng: Rng, clock: Callable[[], float], mirror: Mirror | None = None
    ) -> None:
        self._health = health
        self._rng = rng
        self._clock = clock
        self._mirror = mirror

    def candidates(self, ctx: RequestContext) -> Iterator[Deployment]:
        """Return who may answer ``ctx``, in order; writes ``ctx.route_decision``.

        Raises:
            BadRequest: no deployment of the route can.
            ParameterNotSupported: the route is strict and a parameter would have to be dropped.
        """
        if ctx.pinned or ctx.fall_to:
            return iter(_pinned(ctx))
        route = ctx.route.route
        rules = route.rules
        if rules is None:
            return by_weight(route, self._health, self._rng)
        if rules.only_limits and asks_nothing_special(ctx.call, rules, ctx.body_bytes):
            return by_weight(route, self._health, self._rng)
        demand = demand_in(ctx, rules)
        judgement = None if rules.tiers is None else rules.tiers.judge(ctx.call)
        tier = None if judgement is None else judgement.tier
        plan = make_plan(route, rules, demand, self._rng, tier)
        ctx.route_decision = decision(rules, demand, plan, judgement)
        _give_up(ctx, plan)
        if self._mirror is not None:
            self._mirror.prepare(ctx, rules, demand)
        return candidates(route, self._health, self._rng, demand, now=self._clock(), plan=plan)


def _pinned(ctx: RequestContext) -> list[Deployment]:
    """Return who alone may answer, if the configuration has it and the key may use it: whose batch
    holds the answer, or whom a limit that is used up falls to."""
    found = ctx.snapshot.deployments.get(ctx.pinned or ctx.fall_to)
    models = ctx.caller.key.models
    if found is None or (models is not None and found.name not in models):
        return []
    return [found]


def may_ask(ctx: RequestContext, deployment: Deployment) -> bool:
    """Whether a deployment off the ladder may get a request: its region, and what it can do."""
    rules = ctx.route.route.rules
    return rules is None or obstacle(rules, deployment, demand_in(ctx, rules)) is None


def demand_in(ctx: RequestContext, rules: Rules) -> Demand:
    """Return what a request demands of a deployment; of a task only where it may go."""
    tenant = ctx.caller.tenant.id
    if ctx.task is not None:
        return Demand(tenant=tenant)
    return demand_of(ctx.call, rules, tenant=tenant, body_bytes=ctx.body_bytes)


def note_load(
    deployment: Deployment, record: AttemptRecord, now: float, is_streaming: bool
) -> None:
    """Note an attempt that ended: it was one call less under way, and this is how long it took.

    A request that the provider refused for its own sake says nothing about the deployment.
    """
    status = record.upstream_status
    if record.error and status is not None and 400 <= status < 500 and status not in _ITS_OWN:
        deployment.load.leave()
        return
    deployment.load.end(
        now,
        is_streaming=is_streaming,
        waited_s=record.duration_us / 1e6,
        first_s=None if record.ttft_us is None else record.ttft_us / 1e6,
        failed=bool(record.error) and record.error not in _OUR_ENDS,
    )


def decision(
    rules: Rules, demand: Demand, plan: Plan, judgement: Judgement | None
) -> dict[str, Attribute]:
    """Return what a trace says of a choice: only what was not the same for every request."""
    first = plan.rungs[0]
    found: dict[str, Attribute] = {"strategy": first.rung.strategy}
    if rules.is_sticky and demand.unit:
        found["strategy"] = "sticky"
    if judgement is not None and rules.tiers is not None:
        found["tier"] = rules.tiers.names[judgement.tier]
        found["score"] = judgement.score
        found["classifier"] = rules.tiers.classifier.version
        if judgement.rules:
            found["rules"] = "; ".join(judgement.rules)
        found |= {f"feature.{name}": value for name, value in judgement.shown().items()}
    if plan.canary:
        found["canary"] = plan.canary
    if demand.needs:
        found["needs"] = ", ".join(sorted(demand.needs))
    if plan.skipped:
        found["skipped"] = "; ".join(f"{s.deployment} {s.reason}" for s in plan.skipped)
    return found


def _give_up(ctx: RequestContext, plan: Plan) -> None:
    """Take out what no deployment of the route can do, and say so."""
    for need in plan.given_up:
        field = SOFT[need]
        if field and ctx.call.fields.pop(field, None) is not None:
            ctx.losses.drop(field, "no deployment of the route can do it")
    if plan.given_up:
        ctx.losses.keep()
