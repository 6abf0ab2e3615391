"""Which deployment to ask first, and which after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from santral.routing.health import Health
from santral.routing.route import Deployment, Route


class Rng(Protocol):
    """Where draws come from: ``random.Random`` or anything like it."""

    def random(self) -> float:
        """Return a number from 0 up to 1, without 1."""
        ...


def candidates(route: Route, health: Health, rng: Rng) -> Iterator[Deployment]:
    """Yield a route's deployments in the order to try them, each once.

    Rungs in order; inside a rung a weighted draw without replacement; a weight of zero takes no
    traffic at all. Deployments whose breaker is open come last of all, in the same order: when
    everything is broken, trying beats refusing. Lazy on purpose: a half-open breaker gives out its
    one probe at the moment its deployment is taken.
    """
    skipped: list[Deployment] = []
    for rung in route.rungs:
        for deployment in _drawn(rung, rng):
            if health.admits(deployment.name):
                yield deployment
            else:
                skipped.append(deployment)
    yield from skipped


def _drawn(rung: Sequence[tuple[Deployment, float]], rng: Rng) -> Iterator[Deployment]:
    left = [entry for entry in rung if entry[1] > 0]
    while len(left) > 1:
        chosen = _draw(left, rng)
        left.remove(chosen)
        yield chosen[0]
    for deployment, _ in left:
        yield deployment


def _draw(left: Sequence[tuple[Deployment, float]], rng: Rng) -> tuple[Deployment, float]:
    point = rng.random() * sum(weight for _, weight in left)
    for entry in left:
        point -= entry[1]
        if point < 0:
            return entry
    return left[-1]  # rounding carried the point past the end
