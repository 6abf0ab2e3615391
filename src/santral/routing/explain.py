"""Why a request would go where it would go: the same functions as on the path, with reasons."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping

from msgspec import Struct

from santral.config.routes import RouteConfig, RungConfig
from santral.config.schema import Config
from santral.errors import BadRequest, NotFound, ProviderFailed, nearest
from santral.providers.catalogue.catalogue import catalogue_in, combined_prices
from santral.providers.provider import ChatOnly, ProviderCall
from santral.routing.choose import Chosen, Plan, Skip, candidates, make_plan
from santral.routing.compile import compile_deployments, compile_route, pricing_by
from santral.routing.complexity import Judgement
from santral.routing.demand import Demand, demand_of
from santral.routing.health import Health
from santral.routing.route import Deployment, Route, Rules, Rung
from santral.routing.strategy import Rng, is_good, likely_usage
from santral.wire.chat import ChatCall
from santral.wire.delta import Delta


class Step(Struct, frozen=True):
    """One deployment in the order, and why it stands there."""

    deployment: str
    why: str


class Explanation(Struct, frozen=True, kw_only=True):
    """How one request is routed. ``refusal`` stands in place of ``steps`` when nobody can answer."""

    route: str
    demand: Demand
    judgement: Judgement | None = None
    tier: str = ""
    steps: tuple[Step, ...] = ()
    skipped: tuple[Skip, ...] = ()
    given_up: tuple[str, ...] = ()
    refusal: str = ""


def routes_of(config: Config, wall: Callable[[], float]) -> dict[str, Route]:
    """Return every route of a configuration, bare deployments too, compiled without a provider.

    Raises:
        ConfigError: prices or a classifier cannot be used.
    """
    catalogue = catalogue_in(config.data.folder)
    pricing = pricing_by(combined_prices(catalogue, config.prices.file), wall)
    nobody = dict.fromkeys(config.providers, _Nobody())
    deployments = compile_deployments(config, nobody, catalogue.facts)
    bare = {name: RouteConfig(ladder=[RungConfig(deployments={name: 1.0})]) for name in deployments}
    return {
        name: compile_route(name, settings, deployments, config.residency, pricing)
        for name, settings in (bare | config.routes).items()
    }


def find(routes: Mapping[str, Route], name: str) -> Route:
    """Return a route by name.

    Raises:
        NotFound: there is none; names the nearest.
    """
    route = routes.get(name)
    if route is None:
        raise NotFound(
            f"There is no route or deployment '{name}'.{nearest(name, routes)} "
            "santral routes list shows them.",
            code="model_not_found",
        )
    return route


def explain(route: Route, call: ChatCall, rng: Rng, *, tenant: str = "") -> Explanation:
    """Return how ``call`` would be routed by a worker that has just started."""
    rules = rules_of(route)
    demand = demand_of(call, rules, tenant=tenant)
    judgement = None if rules.tiers is None else rules.tiers.judge(call)
    tier = None if judgement is None else judgement.tier
    name = rules.tiers.names[tier] if rules.tiers is not None and tier is not None else ""
    try:
        plan = make_plan(route, rules, demand, rng, tier)
    except BadRequest as error:
        return Explanation(
            route=route.name, demand=demand, judgement=judgement, tier=name, refusal=error.message
        )
    healthy = Health(lambda: 0.0)
    order = candidates(route, healthy, rng, demand, plan=plan if route.rules else None)
    return Explanation(
        route=route.name,
        demand=demand,
        judgement=judgement,
        tier=name,
        steps=tuple(Step(d.name, _why(d, plan, rules, demand)) for d in order),
        skipped=tuple(plan.skipped),
        given_up=plan.given_up,
    )


def rules_of(route: Route) -> Rules:
    """Return a route's rules; where it has none, its rungs by weight."""
    rungs = tuple(Rung(entries=entries) for entries in route.rungs)
    return route.rules or Rules(rungs=rungs)


def _why(deployment: Deployment, plan: Plan, rules: Rules, demand: Demand) -> str:
    for number, chosen in enumerate(plan.rungs, 1):
        rung = f"rung {chosen.rung.name or number}"
        if chosen.canary is not None and chosen.canary.name == deployment.name:
            return f"{rung}: on trial"
        if any(entry.name == deployment.name for entry, _ in chosen.entries):
            return f"{rung}: {_how(deployment, chosen, rules, demand)}"
    return ""


def _how(deployment: Deployment, chosen: Chosen, rules: Rules, demand: Demand) -> str:
    if len(chosen.entries) == 1:
        return "the only one that can"
    total = sum(weight for _, weight in chosen.entries)
    share = next(weight for entry, weight in chosen.entries if entry.name == deployment.name)
    said = f"{share / total:.0%} by weight"
    if rules.is_sticky and demand.unit:
        return f"sticky to {demand.unit}, {said}"
    if chosen.rung.strategy == "cheapest":
        return f"cheapest, {_price(deployment, rules, demand)}"
    return said if chosen.rung.strategy == "weighted" else f"{chosen.rung.strategy}, {said}"


def _price(deployment: Deployment, rules: Rules, demand: Demand) -> str:
    cost = rules.pricing(deployment, likely_usage(demand)) if rules.pricing else None
    said = "price unknown" if cost is None else f"some {cost / 1e9:.6f} USD"
    if rules.min_quality is None or is_good(deployment, rules.min_quality):
        return said
    measured = "not measured" if deployment.quality is None else f"{deployment.quality:g}"
    return f"{said}, quality {measured} is below {rules.min_quality:g}"


class _Nobody(ChatOnly):
    """Stands where a provider would: explaining asks nobody."""

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        raise ProviderFailed(f"'{call.model}' is not asked while explaining.")
        yield Delta()
