"""What a gateway worker holds in memory: immutable snapshots, swapped whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from santral.config.load import LoadedConfig
from santral.config.references import NO_POLICY
from santral.config.schema import (
    CacheConfig,
    CheckConfig,
    Config,
    PolicyConfig,
    RetrievalRouteConfig,
    RouteConfig,
    RungConfig,
)
from santral.errors import ConfigError
from santral.experiments.experiment import Experiment
from santral.guardrails.checks.json_schema import CompiledSchema, compile_schema
from santral.guardrails.policy import Policy, compile_policy
from santral.prompts.library import PromptLibrary, load_prompts
from santral.prompts.version import PromptVersion
from santral.providers.prices import PriceBook
from santral.providers.provider import Provider
from santral.quota.limit import LimitBook, limits_from
from santral.routing.route import Deployment, Route
from santral.tenants.keyring import KeyRing


@dataclass(frozen=True, slots=True)
class RouteState:
    """One route, compiled: everything that happens to a request which names it."""

    name: str
    route: Route
    policy: Policy
    policy_digest: str
    prompt: PromptVersion | None
    experiment: Experiment | None
    retrieval: RetrievalRouteConfig | None
    cache: CacheConfig
    schema: CompiledSchema | None
    max_output_tokens: int | None
    strict: bool
    prefers_model: bool  # its first rung is not the embedded answerer
    needs_question: bool  # a deployment or check wants the caller's question


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Configuration and access at one moment. A request keeps the one it started on."""

    config: Config
    digest: str
    routes: Mapping[str, RouteState]
    prompts: PromptLibrary
    prices: PriceBook
    ring: KeyRing
    limits: LimitBook


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

    def put_access(self, ring: KeyRing, limits: LimitBook) -> None:
        self.snapshot = replace(self.snapshot, ring=ring, limits=limits)


def build_snapshot(
    loaded: LoadedConfig,
    providers: Mapping[str, Provider],
    ring: KeyRing,
    limits: LimitBook | None = None,
) -> Snapshot:
    """Compile a configuration with everything it names.

    Raises:
        ConfigError: a policy, prompt, schema, price or experiment cannot be used; nothing changes.
    """
    config = loaded.config
    prompts = load_prompts(config.prompts.folder)
    prices = PriceBook.load(config.prices.file)
    policies = {name: compile_policy(name, policy) for name, policy in config.policies.items()}
    deployments = {
        name: Deployment(
            name=name,
            provider=providers[deployment.provider],
            kind=config.providers[deployment.provider].kind,
            model=deployment.model,
            timeouts=deployment.timeouts,
            price=deployment.price,
        )
        for name, deployment in config.deployments.items()
    }
    builder = _Builder(config, policies, deployments, prompts)
    return Snapshot(
        config=config,
        digest=loaded.digest,
        routes={**builder.bare_routes(), **builder.routes()},
        prompts=prompts,
        prices=prices,
        ring=ring,
        limits=limits or LimitBook({}, limits_from(config.limits)),
    )


class _Builder:
    """Routes from their settings and the compiled things they name."""

    def __init__(
        self,
        config: Config,
        policies: Mapping[str, Policy],
        deployments: Mapping[str, Deployment],
        prompts: PromptLibrary,
    ) -> None:
        self._config = config
        self._policies = policies
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
        rungs = tuple(
            tuple((self._deployments[d], weight) for d, weight in rung.deployments.items())
            for rung in config.ladder
        )
        policy, digest = self._policy(config)
        schema = _schema(name, config.output_schema)
        return RouteState(
            name=name,
            route=Route(name=name, rungs=rungs),
            policy=policy,
            policy_digest=digest,
            prompt=self._prompt(name, config.prompt),
            experiment=self._experiment(name, config.experiment),
            retrieval=config.retrieval,
            cache=config.cache,
            schema=schema,
            max_output_tokens=config.max_output_tokens,
            strict=config.strict,
            prefers_model=rungs[0][0][0].kind != "local",
            needs_question=any(d.kind == "local" for rung in rungs for d, _ in rung),
        )

    def _policy(self, config: RouteConfig) -> tuple[Policy, str]:
        name = config.policy or "default"
        settings = self._config.policies.get(name, PolicyConfig())
        if name == NO_POLICY or name not in self._policies:
            return Policy(), "off"
        digest = hashlib.blake2b(settings.model_dump_json().encode(), digest_size=8).hexdigest()
        return self._policies[name], digest

    def _prompt(self, route: str, reference: str | None) -> PromptVersion | None:
        if reference is None:
            return None
        try:
            return self._prompts.find(reference)
        except Exception as error:
            raise ConfigError(f"routes.{route}.prompt: {error}") from None

    def _experiment(self, route: str, name: str | None) -> Experiment | None:
        if name is None:
            return None
        experiment = Experiment.from_config(name, self._config.experiments[name])
        for variant in experiment.variants:
            if variant.prompt is not None:
                self._prompt(f"{route}, experiment {name}", variant.prompt)
        return experiment


def _schema(route: str, path: Path | None) -> CompiledSchema | None:
    if path is None:
        return None
    try:
        return compile_schema(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"routes.{route}.output_schema: {path}: {error.strerror}.") from None
    except Exception as error:
        raise ConfigError(f"routes.{route}.output_schema: {path}: {error}") from None


__all__ = ["CheckConfig", "Current", "RouteState", "Snapshot", "build_snapshot"]
