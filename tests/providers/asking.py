"""Asks a provider that answers with recordings, over a real socket."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

from tests.replay import Replay

from santral.config.upstreams import ProviderConfig, TimeoutsConfig
from santral.providers.aiohttp_client import AiohttpClient
from santral.providers.provider import Provider, ProviderCall, TaskAnswer, TaskCall
from santral.providers.registry import build_provider
from santral.wire.delta import ChoiceDelta, Delta
from santral.wire.loss import Losses
from santral.wire.render import fold

PATIENT = TimeoutsConfig(connect_s=2, first_delta_s=5, between_deltas_s=5, total_s=10)
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Merhaba"}]}


def call_of(model: str, *, is_streaming: bool = False, **more: Any) -> ProviderCall:
    """A call; ``more`` are fields of ``ProviderCall``, or of the chat request."""
    own = {name: more.pop(name) for name in [*more] if name in ProviderCall.__struct_fields__}
    fields = own.pop("fields", HELLO | more)
    return ProviderCall(
        model=model, is_streaming=is_streaming, **{"timeouts": PATIENT, "fields": fields} | own
    )


def ask(replay: Replay, call: ProviderCall, **config: Any) -> list[Delta]:
    """Return the deltas of one call to the provider that ``config`` describes."""

    async def main(provider: Provider) -> list[Delta]:
        async with aclosing(provider.stream(call)) as deltas:
            return [delta async for delta in deltas]

    return with_provider(replay, main, **config)


def perform(replay: Replay, model: str, operation: Any, **config: Any) -> TaskAnswer:
    """Return the answer to a task; ``fields`` in ``config`` are the task's."""
    fields = config.pop("fields", HELLO)
    call = TaskCall(operation=operation, model=model, fields=fields, timeouts=PATIENT)

    async def main(provider: Provider) -> TaskAnswer:
        return await provider.perform(call)

    return with_provider(replay, main, **config)


def with_provider(replay: Replay, main: Any, **config: Any) -> Any:
    """Run ``main`` with the provider in a loop of its own; nothing is left behind by it."""
    settings = ProviderConfig.model_validate({"base_url": replay.base_url} | config)

    async def run() -> Any:
        client = AiohttpClient()
        try:
            made = await main(build_provider("test", settings, client))
        finally:
            await client.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks were left behind: {left}"
        return made

    return asyncio.run(run())


def said(deltas: list[Delta]) -> ChoiceDelta:
    """What the first choice of an answer says."""
    return fold(deltas).choices[0]


def losses_of(call: ProviderCall) -> list[str]:
    losses: Losses = call.losses
    return losses.names()
