"""Checks that experiments can run beside each other, and that what their arms name is there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from santral.config.experiments import ExperimentConfig
from santral.config.schema import Config
from santral.errors import nearest


class Planned(NamedTuple):
    """An experiment that runs, or is to: on which routes, and for whose requests."""

    name: str
    config: ExperimentConfig
    routes: frozenset[str]
    tenants: frozenset[str]  # empty: every one


def declared_experiments(config: Config) -> list[Planned]:
    """Return the experiments of the file, with the routes that name them."""
    return [
        planned(name, experiment, config, frozenset(experiment.tenants))
        for name, experiment in config.experiments.items()
    ]


def planned(
    name: str, experiment: ExperimentConfig, config: Config, tenants: frozenset[str]
) -> Planned:
    """Return an experiment with all routes it is about."""
    naming = {route for route, settings in config.routes.items() if settings.experiment == name}
    return Planned(name, experiment, frozenset(experiment.routes) | naming, tenants)


def clash(one: Planned, other: Planned) -> str:
    """Return why two experiments cannot run together, or nothing."""
    if one.tenants and other.tenants and not one.tenants & other.tenants:
        return ""
    if one.config.layer and one.config.layer == other.config.layer:
        return _in_layer(one, other)
    shared = one.routes & other.routes
    both = one.config.changes & other.config.changes
    if not shared or not both:
        return ""
    return (
        f"'{one.name}' and '{other.name}' both change {', '.join(sorted(both))} of the route "
        f"'{min(shared)}'. Put them in one layer, each with a segment of its own, or stop one."
    )


def check_declared(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what is wrong with the experiments of the file, each with its place."""
    found = declared_experiments(config)
    for index, one in enumerate(found):
        place = ("experiments", one.name)
        for part in ("ramp", "guards", "bandit"):
            if getattr(one.config, part):
                yield (
                    (*place, part),
                    "an experiment of the file does not change while it runs. Take this out, or make "
                    "the experiment with: santral experiments create --file",
                )
        for problem in unknown_names(one.config, config):
            yield place, problem
        for other in found[:index]:
            if problem := clash(other, one):
                yield place, problem


def unknown_names(experiment: ExperimentConfig, config: Config) -> Iterator[str]:
    """Yield a sentence for every name in the settings of an experiment that means nothing."""
    routes = [*config.routes, *config.deployments]
    for route in experiment.routes:
        yield from _unknown("route", route, routes)
    for arm, variant in experiment.variants.items():
        if variant.route:
            yield from _unknown("route", variant.route, routes, arm)
        for deployment in variant.shadow:
            yield from _unknown("deployment", deployment, config.deployments, arm)


def free_segments(layer: str, running: Mapping[str, ExperimentConfig]) -> list[tuple[float, float]]:
    """Return the parts of a layer's units that are no experiment's."""
    taken = sorted(one.segment for one in running.values() if one.layer == layer)
    free: list[tuple[float, float]] = []
    at = 0.0
    for low, high in taken:
        if low > at:
            free.append((at, low))
        at = max(at, high)
    return [*free, (at, 1.0)] if at < 1.0 else free


def _in_layer(one: Planned, other: Planned) -> str:
    if one.config.unit != other.config.unit:
        return (
            f"'{one.name}' assigns by {one.config.unit}, '{other.name}' by {other.config.unit}: the "
            f"experiments of the layer '{one.config.layer}' share its units, so all assign by the same."
        )
    low = max(one.config.segment[0], other.config.segment[0])
    high = min(one.config.segment[1], other.config.segment[1])
    if low >= high:
        return ""
    return (
        f"'{one.name}' and '{other.name}' both have the units from {low:g} to {high:g} of the layer "
        f"'{one.config.layer}'. Give them segments that do not meet."
    )


def _unknown(kind: str, name: str, known: Collection[str], arm: str = "") -> Iterator[str]:
    if name not in known:
        where = f"variants.{arm}: " if arm else ""
        yield f"{where}there is no {kind} '{name}'.{nearest(name, known)}"
