"""Routes and deployments as requests use them, made from their settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from santral.config.routes import RouteConfig, RungConfig
from santral.config.schema import Config
from santral.config.upstreams import DeploymentConfig
from santral.providers.catalogue.facts import ModelFacts
from santral.providers.catalogue.prices import PriceBook
from santral.providers.provider import Provider
from santral.providers.registry import VENDORS
from santral.routing.complexity import Classifier, Tiers
from santral.routing.load import Load
from santral.routing.recovery import compile_recovery, retry_settings, with_retries
from santral.routing.route import Deployment, Pricing, Route, Rules, Rung, Shadow, Weighted
from santral.wire.usage import Usage

#: Tells what a catalogue knows of a model, by provider kind and model name.
Facts = Callable[[str, str], ModelFacts | None]


def compile_deployments(
    config: Config,
    providers: Mapping[str, Provider],
    facts: Facts,
    before: Mapping[str, Deployment] | None = None,
) -> dict[str, Deployment]:
    """Return every deployment; what is as it was ``before`` keeps what was learnt about it."""
    return {
        name: _deployment(name, settings, config, providers, facts, (before or {}).get(name))
        for name, settings in config.deployments.items()
    }


def compile_route(
    name: str,
    settings: RouteConfig,
    deployments: Mapping[str, Deployment],
    residency: Mapping[str, list[str]],
    pricing: Pricing | None = None,
) -> Route:
    """Return a route; its ``rules`` are None where nothing about it depends on the request.

    Raises:
        ConfigError: its classifier cannot be used.
    """
    deployments = with_retries(deployments, settings.retries)
    rungs = tuple(_weighted(rung.deployments, deployments) for rung in settings.ladder)
    recovery = compile_recovery(settings, deployments)
    rules = _rules(settings, rungs, deployments, residency, pricing)
    whole = Route(name=name, rungs=rungs, rules=rules, recovery=recovery)
    return replace(whole, rules=_needed(_with_limits(rules, [*whole.deployments()])))


def _deployment(
    name: str,
    settings: DeploymentConfig,
    config: Config,
    providers: Mapping[str, Provider],
    facts: Facts,
    before: Deployment | None,
) -> Deployment:
    provider = providers[settings.provider]
    kind = config.providers[settings.provider].kind
    is_same = before is not None and before.provider is provider and before.model == settings.model
    known = _over(facts(kind, settings.model) or ModelFacts(), settings)
    return Deployment(
        name=name,
        provider=provider,
        kind=kind,
        model=settings.model,
        timeouts=settings.timeouts,
        price=settings.price,
        dialect=VENDORS[kind].dialect,
        region=settings.region or "",
        facts=known,
        lacks=known.lacks,
        quality=settings.quality,
        load=before.load if before is not None and is_same else Load(),
        retry=retry_settings(settings),
        emulates_stop=settings.emulate_stop,
    )


def _over(known: ModelFacts, settings: DeploymentConfig) -> ModelFacts:
    """Return what the catalogue says with what the operator says over it."""
    return ModelFacts(
        capabilities={**known.capabilities, **settings.capabilities},
        context_tokens=settings.context_tokens or known.context_tokens,
        max_output_tokens=settings.max_output_tokens or known.max_output_tokens,
    )


def _weighted(
    shares: Mapping[str, float], deployments: Mapping[str, Deployment]
) -> tuple[Weighted, ...]:
    return tuple((deployments[name], weight) for name, weight in shares.items() if weight > 0)


def _rules(
    settings: RouteConfig,
    rungs: tuple[tuple[Weighted, ...], ...],
    deployments: Mapping[str, Deployment],
    residency: Mapping[str, list[str]],
    pricing: Pricing | None,
) -> Rules:
    pairs = zip(settings.ladder, rungs, strict=True)
    made = tuple(_rung(rung, entries, settings, deployments) for rung, entries in pairs)
    used = [deployment for rung in made for deployment, _ in (*rung.entries, *rung.canary)]
    complexity = settings.complexity
    names = [rung.name for rung in made]
    return Rules(
        rungs=made,
        is_sticky=settings.sticky,
        min_quality=settings.min_quality,
        regions=None if settings.allowed_regions is None else frozenset(settings.allowed_regions),
        residency={tenant: frozenset(regions) for tenant, regions in residency.items()},
        tiers=_tiers(settings),
        tier_rungs=tuple(names.index(tier) for tier in complexity.tiers) if complexity else (),
        shadow=_shadow(settings, deployments),
        has_dialects=len({deployment.dialect for deployment in used}) > 1,
        pricing=pricing,
    )


def _with_limits(rules: Rules, everybody: Sequence[Deployment]) -> Rules:
    """Add what ``everybody`` who may be asked, also off the ladder, is known not to take."""
    windows = [d.facts.context_tokens for d in everybody]
    bounds = [d.facts.max_output_tokens for d in everybody]
    return replace(
        rules,
        lacked=frozenset[str]().union(*(deployment.lacks for deployment in everybody)),
        least_context=min((tokens for tokens in windows if tokens is not None), default=None),
        least_output=min((tokens for tokens in bounds if tokens is not None), default=None),
    )


def _rung(
    rung: RungConfig,
    entries: tuple[Weighted, ...],
    settings: RouteConfig,
    deployments: Mapping[str, Deployment],
) -> Rung:
    return Rung(
        entries=entries,
        name=rung.name or "",
        strategy=rung.strategy or settings.strategy,
        canary=_weighted(rung.canary, deployments),
    )


def _tiers(settings: RouteConfig) -> Tiers | None:
    complexity = settings.complexity
    if complexity is None:
        return None
    classifier = Classifier.load(complexity.model)
    return Tiers.build(complexity.tiers, classifier, complexity.thresholds)


def _shadow(settings: RouteConfig, deployments: Mapping[str, Deployment]) -> Shadow | None:
    if settings.shadow is None:
        return None
    chosen = tuple(deployments[name] for name in settings.shadow.deployments)
    return Shadow(deployments=chosen, settings=settings.shadow)


def _needed(rules: Rules) -> Rules | None:
    """Return what of the rules a request has to be held against: None where all are treated alike."""
    if _decides_more(rules):
        return rules
    return replace(rules, only_limits=True) if _has_limits(rules) else None


def _has_limits(rules: Rules) -> bool:
    """Whether some deployment is known not to take every request."""
    return bool(rules.lacked) or rules.least_context is not None or rules.least_output is not None


def _decides_more(rules: Rules) -> bool:
    """Whether a request has to be looked at even where every deployment can answer it."""
    return bool(
        rules.is_sticky
        or rules.regions is not None
        or rules.residency
        or rules.tiers is not None
        or rules.shadow is not None
        or any(rung.canary for rung in rules.rungs)
        or (rules.has_dialects and any(len(rung.entries) > 1 for rung in rules.rungs))
        or any(rung.strategy != "weighted" and len(rung.entries) > 1 for rung in rules.rungs)
    )


def pricing_by(prices: PriceBook, wall: Callable[[], float]) -> Pricing:
    """Return what tells the price of a call at the time of asking; ``wall`` in seconds."""

    def price(deployment: Deployment, usage: Usage) -> int | None:
        name = deployment.price or deployment.model
        return prices.cost(deployment.kind, name, usage, int(wall() * 1e6)).nanousd

    return price
