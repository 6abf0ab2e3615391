"""Deployments without a provider, and a clock that stands still until it is told."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from santral.config.schema import Config
from santral.config.upstreams import TimeoutsConfig
from santral.providers.provider import ChatOnly, ProviderCall
from santral.routing.compile import compile_deployments, compile_route
from santral.routing.route import Deployment, Route
from santral.wire.chat import ChatCall, parse_chat
from santral.wire.delta import Delta


class Silent(ChatOnly):
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


def configured(
    route: dict[str, Any], deployments: dict[str, dict[str, Any]], **more: Any
) -> Config:
    """A configuration with one route ``r`` and these deployments, all of one provider."""
    return Config.model_validate(
        {
            "providers": {"p": {"kind": "openai"}},
            "deployments": {
                name: {"provider": "p", "model": name} | settings
                for name, settings in deployments.items()
            },
            "routes": {"r": route},
        }
        | more
    )


def compiled(route: dict[str, Any], deployments: dict[str, dict[str, Any]], **more: Any) -> Route:
    """The route of ``configured``, with no catalogue behind it."""
    config = configured(route, deployments, **more)
    made = compile_deployments(config, {"p": Silent()}, lambda kind, model: None)
    return compile_route("r", config.routes["r"], made, config.residency)


def chat(content: Any = "Hello", **fields: Any) -> ChatCall:
    messages = fields.pop("messages", [{"role": "user", "content": content}])
    return parse_chat(json.dumps({"model": "r", "messages": messages, **fields}).encode())
