"""Checks that every name in a configuration refers to something that is declared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from santral.config.collections import CollectionConfig
from santral.config.routes import RouteConfig
from santral.config.schema import Config
from santral.config.trials import check_declared
from santral.errors import ConfigError, nearest

#: A route says ``policy = "off"`` to have no policy where one called ``default`` is declared.
NO_POLICY = "off"


class Reference(NamedTuple):
    """One name used somewhere, and what it may be."""

    place: tuple[str, ...]
    name: str
    kind: str
    known: Collection[str]


def check_references(config: Config, locate: Callable[[tuple[str, ...]], str]) -> None:
    """Refuse names that refer to nothing.

    Raises:
        ConfigError: every dangling name, each with its place and the nearest declared one.
    """
    problems = [
        f"{locate(ref.place)}: there is no {ref.kind} '{ref.name}'.{nearest(ref.name, ref.known)}"
        for ref in _references(config)
        if ref.name not in ref.known
    ]
    problems += [
        f"{locate(('routes', name))}: a deployment has the same name; give the route another one."
        for name in config.routes
        if name in config.deployments
    ]
    problems += [f"{locate(place)}: {problem}" for place, problem in check_declared(config)]
    if problems:
        raise ConfigError("\n".join(problems))


def check_collection(name: str, collection: CollectionConfig, config: Config) -> list[str]:
    """Return what is wrong with the names that a collection's settings refer to."""
    return [
        f"{'.'.join(ref.place[2:])}: there is no {ref.kind} '{ref.name}'.{nearest(ref.name, ref.known)}"
        for ref in _parts_of_collection(name, collection, config)
        if ref.name not in ref.known
    ]


def _references(config: Config) -> Iterator[Reference]:
    for name, deployment in config.deployments.items():
        place = ("deployments", name, "provider")
        yield Reference(place, deployment.provider, "provider", config.providers)
    for name, route in config.routes.items():
        place = ("routes", name)
        for rung in route.ladder:
            for deployment in (*rung.deployments, *rung.canary):
                yield Reference((*place, "ladder"), deployment, "deployment", config.deployments)
        for deployment in route.shadow.deployments if route.shadow else ():
            yield Reference((*place, "shadow"), deployment, "deployment", config.deployments)
        yield from _fallbacks(name, route, config)
        embedding = route.cache.semantic.embedding
        if embedding != "local":
            place_of = (*place, "cache", "semantic", "embedding")
            yield Reference(place_of, embedding, "deployment", config.deployments)
        if route.policy:
            known = [*config.policies, NO_POLICY]
            yield Reference((*place, "policy"), route.policy, "policy", known)
        if route.experiment:
            yield Reference(
                (*place, "experiment"), route.experiment, "experiment", config.experiments
            )
    for name, collection in config.collections.items():
        yield from _parts_of_collection(name, collection, config)


def _parts_of_collection(
    name: str, collection: CollectionConfig, config: Config
) -> Iterator[Reference]:
    """Names in the settings of a collection: its engine, its policy, models and routes it asks."""
    place = ("collections", name)
    engines = ["embedded", *config.indexes]
    yield Reference((*place, "engine"), collection.engine, "index", engines)
    if collection.policy:
        yield Reference((*place, "policy"), collection.policy, "policy", config.policies)
    for setting, value in (
        (("embedding",), collection.embedding),
        (("search", "rerank"), collection.search.rerank),
    ):
        kind, is_deployment, deployment = value.partition(":")
        if is_deployment and kind == "deployment":
            yield Reference((*place, *setting), deployment, "deployment", config.deployments)
    if collection.search.rewrite_route:
        at = (*place, "search", "rewrite_route")
        yield Reference(at, collection.search.rewrite_route, "route", config.routes)


def _fallbacks(name: str, route: RouteConfig, config: Config) -> Iterator[Reference]:
    """Names in the settings of what happens when a deployment fails."""
    rungs = [rung.name for rung in route.ladder if rung.name]
    for setting in _DETOURS:
        for deployment in getattr(route, setting) or ():
            known = [*config.deployments, *rungs]
            yield Reference(("routes", name, setting), deployment, "deployment", known)
    if route.last_resort is not None and route.last_resort.deployment:
        place = ("routes", name, "last_resort", "deployment")
        yield Reference(place, route.last_resort.deployment, "deployment", config.deployments)


_DETOURS = tuple(name for name in RouteConfig.model_fields if name.startswith("on_"))
