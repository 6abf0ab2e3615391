"""Hedging: a second attempt beside one that is slow to begin; the first content wins.

The loser is cancelled the moment the other one has content, and nothing of it is ever seen. Every
attempt is a child of one task group: none outlives the request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from santral.errors import ProviderError
from santral.routing.budget import Bucket, BudgetSettings
from santral.routing.route import Deployment, HedgeSettings

#: Recent answers whose 95th percentile is looked at, and fewer than the second say nothing. Chosen.
LAST, AT_LEAST = 128, 20

#: The winner goes on after this, in seconds, though a loser has not ended. Chosen: closing a
#: connection takes less than a millisecond.
LOSER_S = 0.1

#: Makes one attempt; the race is told when content has come.
Attempt = Callable[[Deployment, str, "Race | None"], Awaitable[None]]


class Race:
    """One attempt and, where it is slow to begin, a second one."""

    def __init__(
        self, attempt: Attempt, spare: Callable[[], Deployment | None], after_s: float
    ) -> None:
        """``spare`` is asked after ``after_s`` of silence who else could answer, if anybody."""
        self._attempt = attempt
        self._spare = spare
        self._after_s = after_s
        self._tasks: dict[asyncio.Task[None], Deployment] = {}
        self._winner: asyncio.Task[None] | None = None
        self._is_decided = asyncio.Event()
        self._fault: Exception | None = None  # of the winner, or ours: nothing more to try
        self._is_answered = False
        self.failures: list[tuple[Deployment, ProviderError]] = []

    async def run(self, first: Deployment) -> None:
        """Ask ``first``, and the spare one if need be, until one has answered.

        Raises:
            ProviderError: none answered; ``failures`` holds every attempt's.
        """
        async with asyncio.TaskGroup() as group:
            self._start(group, first, "")
            if not await self._decided_within(self._after_s):
                spare = self._spare()
                if spare is not None:
                    self._start(group, spare, "hedge")
        if self._fault is not None:
            raise self._fault
        if not self._is_answered:
            raise self.failures[-1][1]

    async def win(self) -> None:
        """Say that the attempt of this task has content: every other one is cancelled now."""
        task = asyncio.current_task()
        if self._winner is None:
            self._winner = task
            self._is_decided.set()
            await _ended([other for other in self._tasks if other is not task])
        elif self._winner is not task:
            await asyncio.Event().wait()  # cancelled already: it ends here

    @property
    def is_lost(self) -> bool:
        """Whether the attempt of this task was cancelled because another one won."""
        return self._winner is not None and self._winner is not asyncio.current_task()

    def _start(self, group: asyncio.TaskGroup, deployment: Deployment, purpose: str) -> None:
        self._tasks[group.create_task(self._run(deployment, purpose))] = deployment

    async def _run(self, deployment: Deployment, purpose: str) -> None:
        try:
            await self._attempt(deployment, purpose, self)
            self._is_answered = True
        except ProviderError as error:
            error.deployment = deployment.name
            self.failures.append((deployment, error))
            if self._winner is asyncio.current_task():
                self._fault = error
        except Exception as error:  # noqa: BLE001 - raised again by run, in the request's own task
            self._fault = error
        finally:
            self._is_decided.set()

    async def _decided_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._is_decided.wait()
        except TimeoutError:
            return False
        return True


async def _ended(losers: list[asyncio.Task[None]]) -> None:
    """Cancel the losers and let them close what they hold, so that the winner's record is the last."""
    for loser in losers:
        loser.cancel()
    if losers:
        await asyncio.wait(losers, timeout=LOSER_S)


class Pace:
    """How long a deployment takes to its first content, for the hedges of its routes."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, bool], deque[float]] = {}

    def note(self, deployment: str, seconds: float, *, is_streaming: bool) -> None:
        """Note one answer; of an attempt that lost, the time it had been silent for."""
        key = (deployment, is_streaming)
        self._seen.setdefault(key, deque(maxlen=LAST)).append(seconds)

    def p95(self, deployment: str, *, is_streaming: bool) -> float | None:
        """Return what 95 of 100 recent answers stayed below; None while too few were seen."""
        seen = self._seen.get((deployment, is_streaming), ())
        return sorted(seen)[int(len(seen) * 0.95)] if len(seen) >= AT_LEAST else None


class Hedging:
    """Decides when a request is hedged, and keeps hedges below their share of a route's requests."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self.pace = Pace()

    def after_s(
        self, settings: HedgeSettings, deployment: str, *, is_streaming: bool
    ) -> float | None:
        """Return after how much silence to hedge, or None where that is not known yet."""
        if settings.after_s is not None:
            return settings.after_s
        return self.pace.p95(deployment, is_streaming=is_streaming)

    def began(self, route: str, settings: HedgeSettings) -> None:
        """Note a request of a route that hedges."""
        bucket = self._buckets.get(route)
        if bucket is None:
            # One to begin with: a share of the first twenty requests would else be none at all.
            share = BudgetSettings(share=settings.max_extra_share, per_second=0.0, burst=1.0)
            bucket = self._buckets[route] = Bucket(share, self._clock())
            return
        bucket.earn()

    def may_hedge(self, route: str) -> bool:
        """Whether the route's share has room for one more; if so, it counts as made."""
        bucket = self._buckets.get(route)
        return bucket is not None and bucket.spend(self._clock())
