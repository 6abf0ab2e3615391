"""The loads that every gateway gets, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

#: What a gateway may be asked to do beyond passing a chat request on to a chat provider: translate
#: from Anthropic's Messages protocol, translate to it, or answer from a cache.
Feat: TypeAlias = Literal["", "messages-to-chat", "chat-to-messages", "cached"]


@dataclass(frozen=True)
class Scenario:
    """One load. ``rate`` 0 is a closed loop: each connection sends when its answer is in."""

    name: str
    title: str
    connections: int
    seconds: float
    prompt: str = "short"
    rate: float = 0.0
    is_streaming: bool = False
    delay_ms: int = 0
    gap_ms: int = 0
    #: What it asks beyond passing a chat request on; empty: nothing. Only gateways that can take it.
    feat: Feat = ""

    @property
    def is_messages(self) -> bool:
        """Whether the client speaks Anthropic's Messages protocol."""
        return self.feat == "messages-to-chat"

    @property
    def is_cached(self) -> bool:
        """Whether every request is the same, so that a cache answers."""
        return self.feat == "cached"

    @property
    def needs_capacity(self) -> float:
        """Requests per second that a gateway must manage for this load to say anything."""
        return self.rate * 1.1

    def shortened(self) -> Scenario:
        """The same load for a smoke test: the figures are rough, the checks are the same."""
        return replace(self, seconds=1.3 if self.gap_ms else 0.8)


#: In the order of a round. `closed-32` comes first: it tells which open loops a gateway can hold.
SCENARIOS = (
    Scenario(
        "closed-32",
        "whole answers, 32 connections, closed loop, instant upstream",
        connections=32,
        seconds=3.0,
    ),
    Scenario(
        "closed-1",
        "whole answers, 1 connection, closed loop, instant upstream",
        connections=1,
        seconds=2.0,
    ),
    Scenario(
        "open-50",
        "whole answers, 50/s open loop, upstream answers after 50 ms",
        connections=500,
        seconds=3.0,
        rate=50,
        delay_ms=50,
    ),
    Scenario(
        "open-500",
        "whole answers, 500/s open loop, upstream answers after 50 ms",
        connections=1000,
        seconds=3.0,
        rate=500,
        delay_ms=50,
    ),
    Scenario(
        "open-2000",
        "whole answers, 2000/s open loop, upstream answers after 50 ms",
        connections=2000,
        seconds=3.0,
        rate=2000,
        delay_ms=50,
    ),
    Scenario(
        "stream-burst",
        "streams of 62 events, 8 connections, no pause between events",
        connections=8,
        seconds=2.0,
        is_streaming=True,
    ),
    Scenario(
        "stream-paced",
        "streams of 62 events, 16 connections, an event every 10 ms",
        connections=16,
        seconds=4.0,
        is_streaming=True,
        gap_ms=10,
    ),
    Scenario(
        "long-prompt",
        "54 kB prompt of 64 messages, whole answers, 32 connections, closed loop",
        connections=32,
        seconds=3.0,
        prompt="long",
    ),
    Scenario(
        "messages-to-chat",
        "translated: Anthropic's Messages in, a chat provider behind, whole answers, 32 connections",
        connections=32,
        seconds=3.0,
        feat="messages-to-chat",
    ),
    Scenario(
        "chat-to-messages",
        "translated: chat in, a provider of Anthropic's Messages behind, whole answers, 32 connections",
        connections=32,
        seconds=3.0,
        feat="chat-to-messages",
    ),
    Scenario(
        "cached",
        "exact cache hits: 32 connections send the same request, whole answers, closed loop",
        connections=32,
        seconds=3.0,
        feat="cached",
    ),
    Scenario(
        "stream-translated",
        "streams of 62 events, Anthropic's Messages in, a chat provider behind, 8 connections",
        connections=8,
        seconds=2.0,
        is_streaming=True,
        feat="messages-to-chat",
    ),
)
