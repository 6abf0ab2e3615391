"""Deployments without a provider, and a clock that stands still until it is told."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from santral.config.upstreams import TimeoutsConfig
from santral.providers.provider import ProviderCall
from santral.routing.route import Deployment, Route
from santral.wire.delta import Delta


class Silent:
    """A provider nobody asks."""

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        raise AssertionError("routing calls no provider")
        yield Delta()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def deployment(name: str) -> Deployment:
    return Deployment(
        name=name, provider=Silent(), kind="openai", model="m", timeouts=TimeoutsConfig()
    )


def route(*rungs: dict[str, float]) -> Route:
    return Route(
        name="support",
        rungs=tuple(tuple((deployment(n), w) for n, w in rung.items()) for rung in rungs),
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()
