"""What a gateway worker holds in memory: immutable snapshots, swapped whole."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from santral.config.caching import CacheConfig
from santral.config.load import LoadedConfig
from santral.config.policies import CheckConfig, PolicyConfig
from santral.config.references import NO_POLICY
from santral.config.routes import RetrievalRouteConfig, RouteConfig, RungConfig
from santral.config.schema import Config
from santral.errors import ConfigError, SantralError
from santral.gateway.trial import Trial, Trials, compile_trials
from santral.guardrails.check import EntityCheck
from santral.guardrails.checks.length import Length
from santral.guardrails.policy import CheckList, Policy, compile_policy
from santral.guardrails.schema import CompiledSchema, compile_schema
from santral.prompts.library import PromptLibrary, load_prompts
from santral.prompts.registry import REGISTERED, Registry
from santral.providers.catalogue.catalogue import catalogue_in, combined_prices
from santral.providers.catalogue.prices import PriceBook
from santral.providers.provider import Operation, Provider
from santral.providers.registry import VENDORS
from santral.providers.tasks.tasked import operations_of
from santral.quota.book import LimitBook
from santral.quota.limits import default_rules
from santral.routing.compile import Facts, compile_deployments, compile_route, pricing_by
from santral.routing.route import Deployment, Pricing, Route
from santral.secrets.pseudonym import Pseudonyms
from santral.tenants.keyring import KeyRing
from santral.traces.waiting import SpoolBox

#: The check that a route with an output schema always has.
SCHEMA_CHECK = "json_schema"


@dataclass(frozen=True, slots=True)
class RouteState:
    """One route, compiled: everything that happens to a request which names it."""

    name: str
    route: Route
    policy: Policy
    schema_policy: Policy  # the same with the schema check, for answers that must match one
    entity_checks: CheckList  # those of its output checks that look for values
    part_checks: CheckList  # those that every text of an answer meets: values, and length
    policy_digest: str
    prompt: str | None  # what it names: NAME, NAME@LABEL or NAME@1.2.0
    retrieval: RetrievalRouteConfig | None
    cache: CacheConfig
    schema: CompiledSchema | None
    max_output_tokens: int | None
    strict: bool
    needs_question: bool  # a deployment or check wants the caller's question
    truncate_dimensions: bool = False
    hold: bool = False  # every answer waits for a reviewer
    hold_wait_s: float = 0.0
    operations: tuple[Operation, ...] = ()  # what at least one of its deployments can do
    prompt_cache: Literal["pass", "auto"] = "pass"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Configuration and access at one moment. A request keeps the one it started on."""

    config: Config
    digest: str
    routes: Mapping[str, RouteState]
    deployments: Mapping[str, Deployment]
    prompts: PromptLibrary  # of the configured folder
    registry: Registry  # those with what tenants registered: what requests are composed with
    prices: PriceBook
    ring: KeyRing
    limits: LimitBook
    pseudonyms: Pseudonyms  # what stands for words that are not kept
    spool_box: SpoolBox | None  # seals words in the spool, where there is a master key
    trials: Trials = field(default_factory=dict[str, tuple[Trial, ...]])  # experiments, by route


class Current:
    """The snapshot in force, and why this worker should not get traffic, if so."""

    __slots__ = ("is_draining", "snapshot", "stale_reason")

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.is_draining = False
        self.stale_reason = ""

    def reasons_not_ready(self) -> list[str]:
        """Return why traffic should go elsewhere. A database that is down is no reason: keys,
        limits and routes are in memory and requests are served from them."""
        return ["the gateway is stopping"] if self.is_draining else []

    def put_prompts(self, registry: Registry) -> None:
        self.snapshot = replace(self.snapshot, registry=registry)

    def put_trials(self, trials: Trials) -> None:
        self.snapshot = replace(self.snapshot, trials=trials)

    def put_access(self, ring: KeyRing, limits: LimitBook) -> None:
        self.snapshot = replace(self.snapshot, ring=ring, limits=limits)


def build_snapshot(
    loaded: LoadedConfig,
    providers: Mapping[str, Provider],
    ring: KeyRing,
    limits: LimitBook | None = None,
    *,
    facts: Facts | None = None,
    before: Snapshot | None = None,
) -> Snapshot:
    """Compile a configuration with everything it names.

    ``facts`` is what a catalogue knows of models. Deployments that are as they were ``before`` keep
    what was learnt about them.

    Raises:
        ConfigError: a policy, prompt, schema, price or experiment cannot be used; nothing changes.
    """
    config = loaded.config
    prompts = load_prompts(config.prompts.folder)
    catalogue = catalogue_in(config.data.folder)
    prices = combined_prices(catalogue, config.prices.file)
    deployments = compile_deployments(
        config, providers, facts or catalogue.facts, before.deployments if before else None
    )
    _check_prices(config, prices)
    builder = _Builder(config, deployments, prompts, pricing_by(prices, _now))
    made = Snapshot(
        config=config,
        digest=loaded.digest,
        routes={**builder.bare_routes(), **builder.routes()},
        deployments=deployments,
        prompts=prompts,
        registry=before.registry.with_files(prompts) if before else Registry(prompts),
        prices=prices,
        ring=ring,
        pseudonyms=Pseudonyms(config),
        spool_box=_spool_box(config),
        limits=limits or LimitBook(default_rules(config.limits)),
    )
    return replace(made, trials=compile_trials(made))


def _spool_box(config: Config) -> SpoolBox | None:
    if config.secrets.master_key is None:
        return None
    # Ciphers are for installations with a master key: other workers start sooner without them.
    from santral.secrets.waiting import waiting_box  # noqa: PLC0415

    return waiting_box(config.secrets)


def _now() -> float:
    return time.time()  # noqa: TID251 - which price is in force today


def _check_prices(config: Config, prices: PriceBook) -> None:
    """Refuse models without a price where the configuration says so."""
    if config.prices.unknown == "allow":
        return
    now_us = int(_now() * 1e6)
    for name, deployment in config.deployments.items():
        kind = config.providers[deployment.provider].kind
        if prices.price(kind, deployment.price or deployment.model, now_us) is None:
            raise ConfigError(
                f"deployments.{name}: the price of '{deployment.model}' is unknown, and "
                "prices.unknown is 'refuse'. Add a row to your price file, or name one with price."
            )


@dataclass(frozen=True, slots=True)
class _Policies:
    """One declared policy, compiled with and without the check of an answer's schema."""

    plain: Policy
    with_schema: Policy
    entities: CheckList
    parts: CheckList
    digest: str

    @classmethod
    def compile(cls, name: str, config: PolicyConfig) -> _Policies:
        plain = compile_policy(name, config)
        has_schema = any(check.check == SCHEMA_CHECK for check in config.output)
        schema = [] if has_schema else [CheckConfig(check=SCHEMA_CHECK, action="retry")]
        extended = config.model_copy(update={"output": [*schema, *config.output]})
        return cls(
            plain=plain,
            with_schema=compile_policy(name, extended),
            entities=CheckList.of(c for c in plain.output if isinstance(c.call, EntityCheck)),
            parts=CheckList.of(
                check
                for check in plain.output
                # a lower bound is for the answer's text alone
                if isinstance(check.call, EntityCheck | Length) and not check.call.reads_whole
            ),
            digest=hashlib.blake2b(config.model_dump_json().encode(), digest_size=8).hexdigest(),
        )


class _Builder:
    """Routes from their settings and the compiled things they name."""

    def __init__(
        self,
        config: Config,
        deployments: Mapping[str, Deployment],
        prompts: PromptLibrary,
        pricing: Pricing,
    ) -> None:
        self._config = config
        self._pricing = pricing
        self._policies = {
            name: _Policies.compile(name, policy)
            for name, policy in (config.policies | {NO_POLICY: PolicyConfig()}).items()
        }
        self._deployments = deployments
        self._prompts = prompts

    def routes(self) -> dict[str, RouteState]:
        return {name: self._route(name, route) for name, route in self._config.routes.items()}

    def bare_routes(self) -> dict[str, RouteState]:
        """Every deployment answers under its own name too, under the policy called ``default``."""
        return {
            name: self._route(name, RouteConfig(ladder=[RungConfig(deployments={name: 1.0})]))
            for name in self._deployments
        }

    def _route(self, name: str, config: RouteConfig) -> RouteState:
        residency = self._config.residency
        route = compile_route(name, config, self._deployments, residency, self._pricing)
        policies = self._policies[self._policy_name(config)]
        schema = _schema(name, config.output_schema)
        return RouteState(
            name=name,
            route=route,
            policy=policies.plain,
            schema_policy=policies.with_schema,
            entity_checks=policies.entities,
            part_checks=policies.parts,
            policy_digest=policies.digest,
            prompt=self._prompt(name, config.prompt),
            retrieval=config.retrieval,
            cache=config.cache,
            schema=schema,
            max_output_tokens=config.max_output_tokens,
            strict=config.strict,
            hold=config.hold,
            hold_wait_s=config.hold_wait_s,
            prompt_cache=config.prompt_cache,
            truncate_dimensions=config.truncate_dimensions,
            operations=route_operations(route),
            needs_question=any(VENDORS[d.kind].needs_question for d in route.deployments()),
        )

    def _policy_name(self, config: RouteConfig) -> str:
        """The route's own policy; else the one called ``default``, where it is declared."""
        return config.policy or ("default" if "default" in self._policies else NO_POLICY)

    def _prompt(self, route: str, reference: str | None) -> str | None:
        """Refuse a reference to nothing; what tenants register comes and goes while this runs."""
        if reference is None or reference.startswith(REGISTERED):
            return reference
        try:
            self._prompts.find(reference)
        except SantralError as error:
            raise ConfigError(
                f"routes.{route}.prompt: {error.message} One that is registered is named "
                f"{REGISTERED}{reference}."
            ) from None
        return reference


def _schema(route: str, path: Path | None) -> CompiledSchema | None:
    if path is None:
        return None
    try:
        return compile_schema(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"routes.{route}.output_schema: {path}: {error.strerror}.") from None
    except SantralError as error:
        raise ConfigError(f"routes.{route}.output_schema: {path}: {error.message}") from None


#: The order in which people are told what a route can do.
_OPERATIONS: tuple[Operation, ...] = (
    "chat", "complete", "count_tokens", "embed", "rerank", "moderate",
)  # fmt: skip


def route_operations(route: Route) -> tuple[Operation, ...]:
    """Return what at least one deployment of the route can do."""
    able = {
        operation
        for rung in route.rungs
        for deployment, _ in rung
        for operation in operations_of(deployment.provider, deployment.model)
    }
    return tuple(operation for operation in _OPERATIONS if operation in able)
