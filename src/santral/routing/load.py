"""What a worker knows of a deployment from calling it: calls under way, and how long they wait."""

from __future__ import annotations

from santral.routing.latency import PeakEwma

#: What a failed attempt counts as at least, in seconds. Chosen: a deployment that fails fast must
#: not look like the fastest one.
FAILURE_S = 5.0


class Load:
    """The load of one deployment. It belongs to its ``Deployment`` and goes when that goes, so that
    state is bounded by the configuration; an unchanged deployment keeps it over a reload."""

    __slots__ = ("in_flight", "stream", "whole")

    def __init__(self) -> None:
        self.in_flight = 0
        self.stream = PeakEwma()  # seconds to the first content of a stream
        self.whole = PeakEwma()  # seconds to an answer that comes in one piece

    def begin(self) -> None:
        """Note that a call begins; ``end`` it on every path."""
        self.in_flight += 1

    def leave(self) -> None:
        """Note that a call ended which says nothing about how long calls take."""
        self.in_flight -= 1

    def end(
        self,
        now: float,
        *,
        is_streaming: bool,
        waited_s: float,
        first_s: float | None,
        failed: bool,
    ) -> None:
        """Note that a call ended after ``waited_s``, its first content after ``first_s`` if any.

        ``failed`` means that the deployment did; a call that its client left says only that the
        wait was at least this long.
        """
        self.in_flight -= 1
        latency = self.stream if is_streaming else self.whole
        if failed:
            latency.observe(now, max(waited_s, FAILURE_S))
        elif first_s is not None:
            latency.observe(now, first_s)
        elif waited_s > latency.read(now):
            latency.observe(now, waited_s)

    def latency_s(self, now: float, *, is_streaming: bool) -> float | None:
        """Return the seconds a caller has to expect, or None when that was never seen."""
        latency = self.stream if is_streaming else self.whole
        return None if latency.is_cold else latency.read(now)
