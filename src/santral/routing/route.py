"""What a public model name stands for: deployments on rungs, in fallback order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct, field

from santral.config.routes import ShadowConfig, StrategyName
from santral.config.upstreams import TimeoutsConfig
from santral.providers.catalogue.facts import ModelFacts
from santral.providers.provider import Provider
from santral.routing.complexity import Tiers
from santral.routing.load import Load
from santral.routing.retry import RetrySettings
from santral.wire.usage import Usage

#: A region that satisfies every constraint: requests stay where the gateway is.
LOCAL_REGION = "local"


class Deployment(Struct, frozen=True, kw_only=True):
    """One model at one endpoint. ``price`` names a row of the price file, if not kind and model."""

    name: str
    provider: Provider
    kind: str
    model: str
    timeouts: TimeoutsConfig
    price: str | None = None
    dialect: str = "openai"  # how its vendor speaks: a name in providers.registry.DIALECTS
    region: str = ""  # empty: not said
    facts: ModelFacts = field(default_factory=ModelFacts)
    lacks: frozenset[str] = frozenset()  # facts.lacks, computed once
    quality: float | None = None
    load: Load = field(default_factory=Load)
    retry: RetrySettings = RetrySettings()
    emulates_stop: bool = False  # answers are cut at stop sequences here


Weighted = tuple[Deployment, float]
#: Tells what a call would cost in nano-dollars now, or None where the price is unknown.
Pricing = Callable[[Deployment, Usage], int | None]


class Rung(Struct, frozen=True, kw_only=True):
    """Deployments that share traffic, and how they do. Weights are above zero."""

    entries: tuple[Weighted, ...]
    name: str = ""
    strategy: StrategyName = "weighted"
    canary: tuple[Weighted, ...] = ()  # percents
    turns: dict[str, float] = field(default_factory=dict[str, float])  # round_robin's own


class Shadow(Struct, frozen=True, kw_only=True):
    """Who gets copies of a route's requests."""

    deployments: tuple[Deployment, ...]
    settings: ShadowConfig


class Rules(Struct, frozen=True, kw_only=True):
    """Everything about a route that depends on the request; a plain route has none."""

    rungs: tuple[Rung, ...]
    is_sticky: bool = False
    min_quality: float | None = None
    regions: frozenset[str] | None = None
    residency: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    tiers: Tiers | None = None
    tier_rungs: tuple[int, ...] = ()  # index of the rung of each tier
    shadow: Shadow | None = None
    lacked: frozenset[str] = (
        frozenset()
    )  # what some deployment cannot: all that a request is read for
    least_context: int | None = None  # the shortest known window
    least_output: int | None = None  # the shortest known bound of an answer
    only_limits: bool = False  # nothing but what deployments lack decides: few requests care
    has_dialects: bool = False  # its deployments speak more than one
    pricing: Pricing | None = None


class HedgeSettings(Struct, frozen=True, kw_only=True):
    """When a second attempt is made beside a slow one; ``after_s`` None is the measured p95."""

    after_s: float | None = None
    max_extra_share: float = 0.05


class Recovery(Struct, frozen=True, kw_only=True):
    """What a route does about failures besides going down its ladder.

    ``detours`` holds, by error class (``retry.CLASSES``), who is asked before the rest of the
    ladder; an empty one ends the search.
    """

    detours: Mapping[str, tuple[Deployment, ...]] = field(
        default_factory=dict[str, tuple[Deployment, ...]]
    )
    deadline_s: float | None = None
    hedge: HedgeSettings | None = None
    last_resort: Deployment | None = None
    messages: Mapping[str, str] = field(default_factory=dict[str, str])  # by language; or ""
    early_end: bool = False

    def deployments(self) -> list[Deployment]:
        """Return who is asked off the ladder."""
        named = [deployment for detour in self.detours.values() for deployment in detour]
        return named if self.last_resort is None else [*named, self.last_resort]


#: What a route does that says nothing: the ladder alone.
LADDER_ALONE = Recovery()


class Route(Struct, frozen=True, kw_only=True):
    """Rungs in fallback order; the deployments of a rung share its traffic by weight."""

    name: str
    rungs: tuple[tuple[Weighted, ...], ...]
    rules: Rules | None = None
    recovery: Recovery = LADDER_ALONE

    def deployments(self) -> Iterator[Deployment]:
        """Yield everybody who may be asked, those on trial too; some come twice."""
        for rung in self.rungs:
            yield from (deployment for deployment, _ in rung)
        if self.rules is not None:
            for rung in self.rules.rungs:
                yield from (deployment for deployment, _ in rung.canary)
            if self.rules.shadow is not None:
                yield from self.rules.shadow.deployments
        yield from self.recovery.deployments()

    def is_last_resort(self, deployment: str) -> bool:
        """Whether a deployment stands on the last rung of several: its answers are degraded.

        A rung that complexity chooses is a first choice for somebody, wherever it stands.
        """
        if len(self.rungs) < 2:
            return False
        if self.rules is not None and len(self.rungs) - 1 in self.rules.tier_rungs:
            return False
        return any(candidate.name == deployment for candidate, _ in self.rungs[-1])
