"""Which deployment to ask first, and which after it."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, field

from santral.errors import BadRequest
from santral.routing.demand import SOFT, Demand
from santral.routing.health import Health
from santral.routing.route import LOCAL_REGION, Deployment, Route, Rules, Rung, Weighted
from santral.routing.sticky import on_trial, position, settled
from santral.routing.strategy import STRATEGIES, Draw, Rng, drawn

#: What of an estimated input must fit a context window. Chosen: the estimate from bytes is off by a
#: tenth for most prose.
_MARGIN = 0.9

_NOTHING = Demand()


class Skip(Struct, frozen=True):
    """A deployment that is not asked, and why."""

    deployment: str
    reason: str
    need: str = ""  # the capability that it lacks


class Chosen(Struct, frozen=True):
    """The deployments of one rung that can answer, and the one on trial that comes before them."""

    rung: Rung
    entries: tuple[Weighted, ...]
    canary: Deployment | None = None


class Plan(Struct, kw_only=True):
    """Who may answer a request: rungs in the order to try them, and who was left out."""

    rungs: list[Chosen] = field(default_factory=list[Chosen])
    skipped: list[Skip] = field(default_factory=list[Skip])
    given_up: tuple[str, ...] = ()  # soft needs that no deployment meets

    @property
    def canary(self) -> str:
        """The deployment on trial that this request is for, or empty."""
        first = self.rungs[0].canary if self.rungs else None
        return "" if first is None else first.name


def candidates(
    route: Route,
    health: Health,
    rng: Rng,
    demand: Demand | None = None,
    *,
    now: float = 0.0,
    plan: Plan | None = None,
) -> Iterator[Deployment]:
    """Yield a route's deployments in the order to try them, each once.

    Rungs in order; inside a rung as its strategy says, a weighted draw without replacement by
    default; a weight of zero takes no traffic at all. Deployments that cannot meet ``demand`` are
    left out, also as a last resort. Deployments whose breaker is open come last of all, in the same
    order: when everything is broken, trying beats refusing. Lazy on purpose: a half-open breaker
    gives out its one probe at the moment its deployment is taken.

    Raises:
        BadRequest: at the first step, when no deployment can meet ``demand``.
    """
    rules = route.rules
    if rules is None:
        return by_weight(route, health, rng)
    return _planned(route, rules, health, rng, demand or _NOTHING, now, plan)


def by_weight(route: Route, health: Health, rng: Rng) -> Iterator[Deployment]:
    """Yield the deployments of a route whose request any of them can answer."""
    skipped: list[Deployment] = []
    for rung in route.rungs:
        for deployment in drawn(rung, rng):
            if health.admits(deployment.name):
                yield deployment
            else:
                skipped.append(deployment)
    yield from skipped


def _planned(
    route: Route,
    rules: Rules,
    health: Health,
    rng: Rng,
    demand: Demand,
    now: float,
    plan: Plan | None,
) -> Iterator[Deployment]:
    skipped: list[Deployment] = []
    chosen = plan or make_plan(route, rules, demand, rng)
    seen: set[str] = set()
    for rung in chosen.rungs:
        for deployment in _ordered(route, rules, rung, demand, rng, now):
            if deployment.name in seen:
                continue
            seen.add(deployment.name)
            if health.admits(deployment.name):
                yield deployment
            else:
                skipped.append(deployment)
    yield from skipped


def make_plan(
    route: Route, rules: Rules, demand: Demand, rng: Rng, tier: int | None = None
) -> Plan:
    """Return who may answer a request of ``tier``.

    What a request can do without (``SOFT``) is given up, one need after the other, when nobody meets
    it; an estimated length is no reason to refuse when every window seems too short.

    Raises:
        BadRequest: no deployment can; the message names what is missing and who was looked at.
    """
    order = _rung_order(len(rules.rungs), rules.tier_rungs, tier)
    needs, given_up = demand.needs, ()
    plan = _looked_at(route, rules, demand, needs, order, rng, heeds_size=True)
    for need in SOFT:
        if plan.rungs:
            break
        if need in needs:
            needs, given_up = needs - {need}, (*given_up, need)
            plan = _looked_at(route, rules, demand, needs, order, rng, heeds_size=True)
    if not plan.rungs:
        needs, given_up = demand.needs - SOFT.keys(), tuple(n for n in SOFT if n in demand.needs)
        plan = _looked_at(route, rules, demand, needs, order, rng, heeds_size=False)
    if not plan.rungs:
        raise _nobody_can(route, plan)
    plan.given_up = given_up
    return plan


def obstacle(rules: Rules, deployment: Deployment, demand: Demand) -> Skip | None:
    """Return why ``deployment`` may not get a request, or None: shadows are held to it, too."""
    return _hindrance(rules, deployment, demand, demand.needs, heeds_size=True)


def _rung_order(count: int, tier_rungs: tuple[int, ...], tier: int | None) -> list[int]:
    """The tier's own rung, then harder ones, then easier ones from the hardest; the rest follow."""
    if tier is None:
        return list(range(count))
    own = [*tier_rungs[tier:], *reversed(tier_rungs[:tier])]
    return [*own, *(index for index in range(count) if index not in tier_rungs)]


def _looked_at(
    route: Route,
    rules: Rules,
    demand: Demand,
    needs: frozenset[str],
    order: list[int],
    rng: Rng,
    *,
    heeds_size: bool,
) -> Plan:
    plan = Plan()

    def can(deployment: Deployment) -> bool:
        skip = _hindrance(rules, deployment, demand, needs, heeds_size=heeds_size)
        if skip is not None and skip not in plan.skipped:  # it may be on several rungs
            plan.skipped.append(skip)
        return skip is None

    for rung in (rules.rungs[index] for index in order):
        entries = tuple(entry for entry in rung.entries if can(entry[0]))
        canary = _canary(route, rung, demand, rng) if rung.canary else None
        if canary is not None and not can(canary):
            canary = None
        if entries or canary is not None:
            plan.rungs.append(Chosen(rung, entries, canary))
    return plan


def _canary(route: Route, rung: Rung, demand: Demand, rng: Rng) -> Deployment | None:
    unit = demand.unit
    point = position("canary", route.name, unit) if unit else rng.random()
    return on_trial(rung.canary, route.name, point)


def _hindrance(
    rules: Rules,
    deployment: Deployment,
    demand: Demand,
    needs: frozenset[str],
    *,
    heeds_size: bool,
) -> Skip | None:
    name = deployment.name
    for allowed in (rules.regions, rules.residency.get(demand.tenant)):
        if allowed is not None and not is_within(deployment.region, allowed):
            where = f"runs in {deployment.region}" if deployment.region else "has no region"
            return Skip(name, f"{where}, allowed: {', '.join(sorted(allowed))}", "region")
    missing = needs & deployment.lacks
    if missing:
        return Skip(name, f"cannot do {', '.join(sorted(missing))}", sorted(missing)[0])
    return _too_small(deployment, demand) if heeds_size else None


def _too_small(deployment: Deployment, demand: Demand) -> Skip | None:
    window, most = deployment.facts.context_tokens, deployment.facts.max_output_tokens
    if window is not None and demand.input_tokens * _MARGIN > window:
        reason = f"a window of {window} tokens, the input has some {demand.input_tokens}"
        return Skip(deployment.name, reason, "context_tokens")
    asked = demand.output_tokens
    if most is not None and asked is not None and asked > most:
        reason = f"answers of at most {most} tokens, {asked} are asked for"
        return Skip(deployment.name, reason, "max_output_tokens")
    return None


def is_within(region: str, allowed: frozenset[str]) -> bool:
    """Whether ``region`` is allowed: named, part of a named one, or inside our own walls."""
    if region == LOCAL_REGION or region in allowed:
        return True
    return any(region.startswith(f"{wider}-") for wider in allowed)


def _ordered(
    route: Route, rules: Rules, chosen: Chosen, demand: Demand, rng: Rng, now: float
) -> Iterator[Deployment]:
    if chosen.canary is not None:
        yield chosen.canary
    if not demand.dialects:
        yield from _shared(route, rules, chosen.rung, chosen.entries, demand, rng, now)
        return
    own = tuple(entry for entry in chosen.entries if entry[0].dialect in demand.dialects)
    rest = tuple(entry for entry in chosen.entries if entry[0].dialect not in demand.dialects)
    for entries in (own, rest):
        yield from _shared(route, rules, chosen.rung, entries, demand, rng, now)


def _shared(
    route: Route,
    rules: Rules,
    rung: Rung,
    entries: tuple[Weighted, ...],
    demand: Demand,
    rng: Rng,
    now: float,
) -> Iterator[Deployment]:
    if len(entries) < 2:
        return (deployment for deployment, _ in entries)
    if rules.is_sticky and demand.unit:
        return settled(entries, route.name, demand.unit)
    draw = Draw(
        rng=rng,
        now=now,
        demand=demand,
        turns=rung.turns,
        pricing=rules.pricing,
        min_quality=rules.min_quality,
    )
    return STRATEGIES[rung.strategy](entries, draw)


def _nobody_can(route: Route, plan: Plan) -> BadRequest:
    if not plan.skipped:
        return BadRequest(
            f"The route '{route.name}' has no deployment.", code="no_capable_deployment"
        )
    looked = "; ".join(f"{skip.deployment} {skip.reason}" for skip in plan.skipped)
    missing = ", ".join(sorted({skip.need for skip in plan.skipped}))
    return BadRequest(
        f"No deployment of the route '{route.name}' can answer this request ({missing}): {looked}. "
        "Leave out what is missing, or use a route with a deployment that can.",
        code="no_capable_deployment",
    )
