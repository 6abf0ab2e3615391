"""Experiments in force, compiled: what each arm changes about each route."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from msgspec.structs import replace

from santral.config.caching import CacheConfig
from santral.config.experiments import ExperimentConfig, VariantConfig
from santral.config.routes import RetrievalRouteConfig, ShadowConfig
from santral.config.schema import Config
from santral.errors import ConfigError, SantralError
from santral.experiments.experiment import Experiment
from santral.experiments.made import Running, parse_settings
from santral.prompts.library import PromptLibrary
from santral.prompts.registry import EVERYBODY, REGISTERED, Registry
from santral.providers.provider import Operation
from santral.routing.route import Deployment, Route, Rules, Rung, Shadow
from santral.wire.chat import OUTPUT_BOUNDS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arm:
    """What one arm changes about requests of one route."""

    prompt: str | None = None
    parts: Mapping[str, Any] = field(default_factory=dict[str, Any])  # of the route's state
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    search: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Trial:
    """An experiment on one route: who takes part, and the arms.

    A request that decides itself what the arms would change takes no part, whichever arm it would
    have seen: else one arm would lose the requests on which it had no effect.
    """

    experiment: Experiment
    arms: Mapping[str, Arm]
    tenants: frozenset[str]  # empty: every one
    tags: tuple[tuple[str, str], ...]
    changes: frozenset[str]
    setting_names: frozenset[str]
    models: frozenset[str]  # deployments that a key must be allowed to use


class RouteParts(Protocol):
    """What arms change of a route's state."""

    @property
    def route(self) -> Route: ...
    @property
    def operations(self) -> tuple[Operation, ...]: ...
    @property
    def needs_question(self) -> bool: ...
    @property
    def cache(self) -> CacheConfig: ...
    @property
    def retrieval(self) -> RetrievalRouteConfig | None: ...


class Parts(Protocol):
    """The parts of a snapshot that experiments name."""

    @property
    def config(self) -> Config: ...
    @property
    def routes(self) -> Mapping[str, RouteParts]: ...
    @property
    def deployments(self) -> Mapping[str, Deployment]: ...
    @property
    def prompts(self) -> PromptLibrary: ...
    @property
    def registry(self) -> Registry: ...


#: Trials by the name of the route that requests ask for.
Trials = Mapping[str, tuple[Trial, ...]]


def compile_trials(
    snapshot: Parts, running: Iterable[Running] = ()
) -> dict[str, tuple[Trial, ...]]:
    """Return the trials of every route: those of the file, then those made while Santral runs.

    One that was made and names what is not there any more is left out with a warning: its units see
    the control.

    Raises:
        ConfigError: an experiment of the file cannot be used.
    """
    found: dict[str, list[Trial]] = {}
    config = snapshot.config
    for name, asked in config.experiments.items():
        experiment = Experiment.from_config(name, asked, config.layers)
        _check_files(snapshot, name, asked)
        for route in _routes(snapshot, name, asked):
            try:
                trial = _trial(snapshot, route, experiment, asked, frozenset(asked.tenants))
            except SantralError as error:
                raise ConfigError(f"experiments.{name}, route {route}: {error.message}") from None
            found.setdefault(route, []).append(trial)
    for one in running:
        for route, trial in _made(snapshot, one).items():
            found.setdefault(route, []).append(trial)
    return {route: tuple(trials) for route, trials in found.items()}


def _made(snapshot: Parts, one: Running) -> dict[str, Trial]:
    """Return the trials of an experiment that was made; none where it cannot be used."""
    tenants = frozenset[str]() if one.tenant_id == "*" else frozenset({one.tenant_id})
    try:
        asked = parse_settings(one.settings)
        experiment = Experiment.from_config(
            one.name, asked, snapshot.config.layers, share=one.share, weights=one.weights
        )
        within = tenants or frozenset(asked.tenants)
        for variant in asked.variants.values():
            _check_prompt(snapshot, within or frozenset({EVERYBODY}), variant.prompt)
        return {
            route: _trial(snapshot, route, experiment, asked, within)
            for route in _routes(snapshot, one.name, asked)
        }
    except SantralError as error:
        log.warning(
            "experiment_not_used",
            extra={"experiment": one.name, "tenant": one.tenant_id, "reason": error.message},
        )
        return {}


def _routes(snapshot: Parts, name: str, asked: ExperimentConfig) -> list[str]:
    naming = [r for r, settings in snapshot.config.routes.items() if settings.experiment == name]
    return [*dict.fromkeys([*naming, *asked.routes])]


def _trial(
    snapshot: Parts,
    route: str,
    experiment: Experiment,
    asked: ExperimentConfig,
    tenants: frozenset[str],
) -> Trial:
    state = _state(snapshot, route)
    arms = {arm: _arm(snapshot, state, variant) for arm, variant in asked.variants.items()}
    ladders = [arm.parts["route"] for arm in arms.values() if "route" in arm.parts]
    names = frozenset(n for arm in arms.values() for n in arm.settings)
    return Trial(
        experiment=experiment,
        arms=arms,
        tenants=tenants,
        tags=tuple(asked.tags.items()),
        changes=asked.changes,
        setting_names=names if names.isdisjoint(OUTPUT_BOUNDS) else names | OUTPUT_BOUNDS,
        models=frozenset(d.name for ladder in ladders for d in ladder.deployments()),
    )


def _arm(snapshot: Parts, state: RouteParts, variant: VariantConfig) -> Arm:
    parts: dict[str, Any] = {}
    search: Mapping[str, Any] = {}
    if variant.route is not None:
        other = _state(snapshot, variant.route)
        parts |= {
            "route": other.route,
            "operations": other.operations,
            "needs_question": other.needs_question,
        }
    if variant.shadow:
        parts["route"] = _mirrored(snapshot, parts.get("route", state.route), variant.shadow)
    if variant.cache == "off":
        parts["cache"] = state.cache.model_copy(update={"enabled": False})
    if variant.retrieval is not None:
        if state.retrieval is None:
            raise ConfigError("an arm changes the passages of a route that has no retrieval.")
        said = variant.retrieval.model_dump(exclude_none=True, exclude={"search"})
        parts["retrieval"] = state.retrieval.model_copy(update=said)
        search = variant.retrieval.search
    return Arm(variant.prompt, parts, variant.settings, search)


def _check_files(snapshot: Parts, name: str, asked: ExperimentConfig) -> None:
    """Refuse a reference to nothing; what tenants register comes and goes while this runs."""
    for arm, variant in asked.variants.items():
        if variant.prompt is None or variant.prompt.startswith(REGISTERED):
            continue
        try:
            snapshot.prompts.find(variant.prompt)
        except SantralError as error:
            raise ConfigError(
                f"experiments.{name}.variants.{arm}.prompt: {error.message} One that is registered "
                f"is named {REGISTERED}{variant.prompt}."
            ) from None


def _check_prompt(snapshot: Parts, owners: frozenset[str], reference: str | None) -> None:
    """Refuse a prompt that requests would not find."""
    for owner in owners if reference is not None else ():
        snapshot.registry.find(owner, reference or "")


def _state(snapshot: Parts, route: str) -> RouteParts:
    found = snapshot.routes.get(route)
    if found is None:
        raise ConfigError(f"there is no route '{route}'.")
    return found


def _mirrored(snapshot: Parts, route: Route, names: list[str]) -> Route:
    """Return the route with copies of every request for deployments that answer unseen."""
    missing = [name for name in names if name not in snapshot.deployments]
    if missing:
        raise ConfigError(f"there is no deployment '{missing[0]}' for the arm's shadow.")
    shadow = Shadow(
        deployments=tuple(snapshot.deployments[name] for name in names),
        settings=ShadowConfig(deployments=names, share=1.0),
    )
    rules = route.rules or Rules(rungs=tuple(Rung(entries=rung) for rung in route.rungs))
    return replace(route, rules=replace(rules, shadow=shadow, only_limits=False))
