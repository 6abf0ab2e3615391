"""A call that a batch collects is not sent, and its answer comes from there, once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from santral.config.upstreams import TimeoutsConfig
from santral.providers.batch.deferred import SLOT, Deferred, DeferringClient, Slot

TIMEOUTS = TimeoutsConfig()


class Network:
    """What a client would send."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: TimeoutsConfig,
        *,
        is_streaming: bool = False,
    ) -> Any:
        self.sent.append(body)
        return "from the network"

    async def close(self) -> None:
        self.sent.clear()


async def post(network: Network, slot: Slot | None, **options: bool) -> Any:
    token = SLOT.set(slot)
    try:
        return await DeferringClient(network).post("u", {}, b"body", TIMEOUTS, **options)
    finally:
        SLOT.reset(token)


def test_without_a_slot_a_call_is_sent() -> None:
    network = Network()
    assert asyncio.run(post(network, None)) == "from the network"


def test_a_collected_call_is_kept_and_not_sent() -> None:
    network, slot = Network(), Slot()
    with pytest.raises(Deferred):
        asyncio.run(post(network, slot))
    assert (slot.url, slot.body, network.sent) == ("u", b"body", [])


def test_a_stream_is_sent_also_while_a_batch_collects() -> None:
    network, slot = Network(), Slot()
    assert asyncio.run(post(network, slot, is_streaming=True)) == "from the network"
    assert slot.url == ""


def test_an_answer_is_delivered_once_and_then_calls_are_sent() -> None:
    network, slot = Network(), Slot(200, b"answer")

    async def scenario() -> None:
        first = await post(network, slot)
        assert (first.status, await first.read()) == (200, b"answer")
        assert [part async for part in first.chunks()] == [b"answer"]
        assert slot.was_taken()
        assert not slot.was_taken(), "a second attempt was not answered by the batch"
        assert await post(network, slot) == "from the network"

    asyncio.run(scenario())
    assert network.sent == [b"body"]
