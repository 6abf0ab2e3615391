"""A circuit breaker per deployment: stop asking what keeps failing, and find out when it is back.

closed ──failures──► open ──time──► half-open ──the probe succeeds──► closed
                       ▲                └──the probe fails, for longer──┘
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from santral.errors import (
    ParameterNotSupported,
    ProviderBusy,
    ProviderError,
    ProviderRefusedKey,
    ProviderRefusedRequest,
)

State = Literal["closed", "open", "half_open"]

#: What the metric ``santral_breaker_state`` shows.
BREAKER_STATES: dict[State, int] = {"closed": 0, "half_open": 1, "open": 2}


class HealthSettings(Struct, frozen=True, kw_only=True):
    """When a breaker opens and for how long. Chosen: a dead deployment is left within a few calls,
    a single bad answer among good ones never opens one."""

    last: int = 20  # outcomes looked at
    window_s: float = 60.0  # older outcomes do not count
    at_least: int = 3  # outcomes before a share means anything
    failure_share: float = 0.5
    open_s: float = 10.0  # the first time; doubled by every failed probe
    max_open_s: float = 300.0
    probe_s: float = 60.0  # a probe nobody reported on is given up after this


class Health:
    """Breakers of every deployment of a process, in memory; ``clock`` in seconds."""

    def __init__(self, clock: Callable[[], float], settings: HealthSettings | None = None) -> None:
        self._clock = clock
        self._settings = settings or HealthSettings()
        self._breakers: dict[str, _Breaker] = {}

    def admits(self, deployment: str) -> bool:
        """Whether to ask a deployment now. Half-open says yes once, to the caller that probes."""
        breaker = self._breakers.get(deployment)
        return breaker is None or breaker.admits(self._clock(), self._settings)

    def succeeded(self, deployment: str) -> None:
        """Note an answer."""
        self._breaker(deployment).succeeded(self._clock())

    def failed(self, deployment: str, error: ProviderError) -> None:
        """Note a failure; one that is the request's own fault counts as an answer.

        A request that was refused before the provider was asked says nothing about it. A hint to
        wait (``retry_after_s``) opens the breaker for just as long, and a refused key at once: both
        say that the next call fails too.
        """
        if isinstance(error, ParameterNotSupported):
            self.abandoned(deployment)
            return
        if isinstance(error, ProviderRefusedRequest):
            self.succeeded(deployment)
            return
        breaker, now = self._breaker(deployment), self._clock()
        breaker.failed(now, self._settings)
        wait_s = error.retry_after_s if isinstance(error, ProviderBusy) else None
        if wait_s is not None:
            breaker.open_for(now, min(wait_s, self._settings.max_open_s))
        elif isinstance(error, ProviderRefusedKey):
            breaker.trip(now, self._settings)

    def abandoned(self, deployment: str) -> None:
        """Note an attempt that ended without outcome (the client left): a probe is given back."""
        breaker = self._breakers.get(deployment)
        if breaker is not None:
            breaker.probe_until = 0.0

    def state(self, deployment: str) -> State:
        """Return a breaker's state, for metrics and people."""
        breaker = self._breakers.get(deployment)
        return "closed" if breaker is None else breaker.state(self._clock())

    def states(self) -> dict[str, State]:
        """Return the state of every deployment that was ever called."""
        now = self._clock()
        return {name: breaker.state(now) for name, breaker in self._breakers.items()}

    def _breaker(self, deployment: str) -> _Breaker:
        breaker = self._breakers.get(deployment)
        if breaker is None:
            breaker = self._breakers[deployment] = _Breaker(self._settings.last)
        return breaker


class _Breaker:
    __slots__ = ("failures", "is_open", "open_until", "outcomes", "probe_until", "trips")

    def __init__(self, last: int) -> None:
        self.outcomes: deque[tuple[float, bool]] = deque(maxlen=last)
        self.failures = 0  # among the outcomes kept
        self.is_open = False
        self.open_until = 0.0
        self.probe_until = 0.0  # a probe is out until then
        self.trips = 0  # openings in a row without a success

    def state(self, now: float) -> State:
        if not self.is_open:
            return "closed"
        return "open" if now < self.open_until else "half_open"

    def admits(self, now: float, settings: HealthSettings) -> bool:
        if not self.is_open:
            return True
        if now < self.open_until or now < self.probe_until:
            return False
        self.probe_until = now + settings.probe_s
        return True

    def succeeded(self, now: float) -> None:
        if self.is_open:
            if now < self.open_until:
                return  # an answer begun before the breaker opened proves nothing about now
            self._close()
        self._note(now, is_failure=False)

    def failed(self, now: float, settings: HealthSettings) -> None:
        if self.is_open:
            if now >= self.open_until:
                self.trip(now, settings)
            return
        self._note(now, is_failure=True)
        if self._is_failing(now, settings):
            self.trip(now, settings)

    def trip(self, now: float, settings: HealthSettings) -> None:
        if self.is_open and now < self.open_until:
            return
        open_s = min(settings.open_s * 2**self.trips, settings.max_open_s)
        self.trips = min(self.trips + 1, 16)
        self.open_for(now, open_s)

    def open_for(self, now: float, seconds: float) -> None:
        self.is_open = True
        self.open_until = now + seconds
        self.probe_until = 0.0
        self.outcomes.clear()
        self.failures = 0

    def _close(self) -> None:
        self.is_open = False
        self.trips = 0
        self.probe_until = 0.0

    def _note(self, now: float, *, is_failure: bool) -> None:
        outcomes = self.outcomes
        if len(outcomes) == outcomes.maxlen and outcomes[0][1]:
            self.failures -= 1
        outcomes.append((now, is_failure))
        self.failures += is_failure

    def _is_failing(self, now: float, settings: HealthSettings) -> bool:
        outcomes = self.outcomes
        while outcomes and outcomes[0][0] < now - settings.window_s:
            self.failures -= outcomes.popleft()[1]
        count = len(outcomes)
        return count >= settings.at_least and self.failures >= settings.failure_share * count
