"""The loads that every gateway gets, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace


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
)
