"""How fast a run asks, and how much it may spend."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from santral.evals.answer import Answer, Ask, Question
from santral.evals.run import Sample, total_cost

Sleep = Callable[[float], Awaitable[None]]


class Pace:
    """Spaces requests evenly: the next one may begin when the one before is a share of a minute old."""

    def __init__(
        self,
        per_minute: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._gap_s = 60.0 / per_minute if per_minute else 0.0
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0

    async def wait(self) -> None:
        """Return when the next request may begin."""
        if not self._gap_s:
            return
        now = self._clock()
        begins = max(now, self._next)
        self._next = begins + self._gap_s
        if begins > now:
            await self._sleep(begins - now)


def paced(ask: Ask, pace: Pace) -> Ask:
    """Return what asks the same, no faster than ``pace``: answers and judges share it."""

    async def wait_and_ask(question: Question) -> Answer:
        await pace.wait()
        return await ask(question)

    return wait_and_ask


class Purse:
    """What a run has spent, on answers and on judges, and whether it may begin another sample.

    A sample is begun only when what is known to be spent, with the mean of it for each sample under way
    and for this one, stays within the cap: the cap is passed by no more than the samples differ.
    """

    def __init__(self, cap_nanousd: int | None = None) -> None:
        self._cap = cap_nanousd
        self._under_way = 0
        self._ended = 0
        self.spent_nanousd = 0
        self.unpriced = 0  # samples of which nobody knows what they cost

    @property
    def refusal(self) -> str:
        """Why no further sample may begin; empty: one may."""
        if self._cap is None:
            return ""
        if self.unpriced:
            return "a price is unknown, so the cost cap cannot be kept"
        mean = self.spent_nanousd / self._ended if self._ended else 0.0
        if self.spent_nanousd >= self._cap:
            return "cost cap"
        return "cost cap" if self.spent_nanousd + mean * (self._under_way + 1) > self._cap else ""

    @contextmanager
    def under_way(self) -> Generator[None]:
        """Count a sample while it is made."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def count(self, sample: Sample) -> None:
        """Count what a sample cost that somebody asked for, now or before the run was resumed."""
        cost = total_cost([sample])
        if cost is None:
            self.unpriced += 1
            return
        self.spent_nanousd += cost
        if cost:
            self._ended += 1
