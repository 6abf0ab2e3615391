"""One attempt after the other until one answers; what failed unseen stays unseen."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

from msgspec import Struct

from santral.errors import (
    ContextWindowExceeded,
    Overloaded,
    ProviderBusy,
    ProviderError,
    ProviderGarbled,
    ProviderRefusedKey,
    ProviderRefusedRequest,
    ProviderTimeout,
)
from santral.routing.budget import RetryBudget
from santral.routing.health import Health
from santral.routing.hedge import Attempt, Hedging, Race
from santral.routing.retry import class_of, treatment_of
from santral.routing.route import LADDER_ALONE, Deployment, Recovery
from santral.routing.strategy import Rng
from santral.wire.delta import Delta

#: Deltas without content held back at most. Chosen: Azure's openings have a handful.
MAX_HELD = 1024

Sleep = Callable[[float], Awaitable[None]]


class Plan(Struct, frozen=True, kw_only=True):
    """What one request allows: how long it may take, and who may be asked off the ladder."""

    route: str
    recovery: Recovery = LADDER_ALONE
    left_s: float = math.inf  # from now until the request's deadline
    is_streaming: bool = False
    may_ask: Callable[[Deployment], bool] | None = None  # None: everybody


class Fallback:
    """Finds a deployment that answers: retries, detours, the ladder, hedges, all within budgets."""

    def __init__(
        self,
        health: Health,
        rng: Rng,
        clock: Callable[[], float],
        *,
        budget: RetryBudget | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """``clock`` in seconds; ``sleep`` waits between attempts."""
        self.health = health
        self.budget = budget or RetryBudget(clock)
        self.hedging = Hedging(clock)
        self.clock = clock
        self.rng = rng
        self.sleep = sleep

    async def over(
        self,
        candidates: Iterable[Deployment],
        attempt: Attempt,
        plan: Callable[[], Plan],
        *,
        may_continue: Callable[[], bool],
        is_hedged: bool = False,
    ) -> None:
        """Ask deployments until one answers. ``plan`` is made for the few requests that need one.

        Another attempt follows one that failed with a retryable error while ``may_continue`` holds
        (nothing of the answer has left yet). Errors other than ``ProviderError`` pass through at
        once: they are not a deployment's fault.

        Raises:
            ProviderError: the one that says most about what to do, all attempts in its message.
            Overloaded: there was no candidate.
        """
        ladder = iter(candidates)
        first = next(ladder, None)
        if first is None:
            raise Overloaded("The route has no deployment with a weight above zero.")
        self.budget.earn(first.name)
        race = self._race(first, ladder, attempt, plan()) if is_hedged else None
        try:
            return await (attempt(first, "", None) if race is None else race.run(first))
        except ProviderError as error:
            error.deployment = error.deployment or first.name
            if not may_continue() or not error.retryable:
                raise
            failures = [(first, error)] if race is None else race.failures
        walk = _Walk(self, ladder, attempt, plan(), may_continue)
        for deployment, error in failures[:-1]:
            walk.note(deployment, error)
        await walk.go_on(*failures[-1])

    def _race(
        self, first: Deployment, ladder: Iterator[Deployment], attempt: Attempt, plan: Plan
    ) -> Race | None:
        settings = plan.recovery.hedge
        if settings is None:
            return None
        self.hedging.began(plan.route, settings)
        after_s = self.hedging.after_s(settings, first.name, is_streaming=plan.is_streaming)
        if after_s is None:
            return None
        return Race(attempt, lambda: self._spare(plan.route, ladder), after_s)

    def _spare(self, route: str, ladder: Iterator[Deployment]) -> Deployment | None:
        """Return who gets the hedge, if the route's share and that deployment's budget allow one."""
        if not self.hedging.may_hedge(route):
            return None
        spare = next(ladder, None)
        if spare is not None and not self.budget.spend(spare.name):
            self.health.abandoned(spare.name)
            return None
        return spare


class _Step(Struct, frozen=True):
    deployment: Deployment
    purpose: str
    pause_s: float = 0.0


class _Walk:
    """What follows a first failure. Made for the few requests that need it."""

    def __init__(
        self,
        fallback: Fallback,
        ladder: Iterator[Deployment],
        attempt: Attempt,
        plan: Plan,
        may_continue: Callable[[], bool],
    ) -> None:
        self._parts = fallback
        self._ladder = ladder
        self._attempt = attempt
        self._plan = plan
        self._may_continue = may_continue
        self._ends_at = fallback.clock() + plan.left_s
        self._errors: list[ProviderError] = []
        self._asked: dict[str, int] = {}
        self._detour: list[Deployment] = []
        self._is_ended = False  # a route said that nobody else is to be asked
        self._busy: list[tuple[float, Deployment]] = []  # who has room again, and when

    async def go_on(self, deployment: Deployment, error: ProviderError) -> None:
        """Ask who is left after ``deployment`` failed with ``error``."""
        while True:
            self.note(deployment, error)
            step = self._next(deployment, error)
            if step is None:
                raise _most_useful(self._errors)
            if step.pause_s:
                await self._parts.sleep(step.pause_s)
                self._parts.health.admits(step.deployment.name)  # a probe now, if it was shut out
            deployment = step.deployment
            try:
                return await self._attempt(deployment, step.purpose, None)
            except ProviderError as failure:
                failure.deployment = deployment.name
                if not self._may_continue() or not failure.retryable:
                    raise
                error = failure

    def note(self, deployment: Deployment, error: ProviderError) -> None:
        """Remember a failure, and where it leads."""
        self._errors.append(error)
        self._asked[deployment.name] = self._asked.get(deployment.name, 0) + 1
        if treatment_of(error) == "wait":
            self._remember_busy(deployment, error)
        detour = self._plan.recovery.detours.get(class_of(error))
        if detour is not None:
            self._is_ended = not detour
            self._detour = [d for d in detour if self._is_allowed(d)]

    def _next(self, deployment: Deployment, error: ProviderError) -> _Step | None:
        if treatment_of(error) == "again":
            step = self._again(deployment)
            if step is not None:
                return step
        return self._elsewhere() or self._when_it_has_room()

    def _again(self, deployment: Deployment) -> _Step | None:
        """The same deployment, while its breaker is closed: what is open has failed enough."""
        if self._parts.health.state(deployment.name) != "closed":
            return None
        retry = self._asked[deployment.name]
        pause_s = deployment.retry.pause_s(retry, self._parts.rng.random())
        return self._retry(deployment, pause_s)

    def _elsewhere(self) -> _Step | None:
        if self._parts.clock() >= self._ends_at:
            return None
        for deployment in self._others():
            if deployment.name not in self._asked:
                self._parts.budget.earn(deployment.name)
                return _Step(deployment, "fallback")
        return None

    def _others(self) -> Iterator[Deployment]:
        while self._detour:
            yield self._detour.pop(0)
        if not self._is_ended:
            yield from self._ladder

    def _when_it_has_room(self) -> _Step | None:
        """When nobody else is left: the deployment that is free soonest."""
        now = self._parts.clock()
        for ready_at, deployment in sorted(self._busy, key=lambda entry: entry[0]):
            self._busy.remove((ready_at, deployment))
            step = self._retry(deployment, max(0.0, ready_at - now))
            if step is not None:
                return step
        return None

    def _remember_busy(self, deployment: Deployment, error: ProviderError) -> None:
        draw, retry = self._parts.rng.random(), deployment.retry
        if error.retry_after_s is None:
            pause_s = retry.pause_s(self._asked[deployment.name], draw)
        else:
            pause_s = retry.hinted_pause_s(error.retry_after_s, draw)
        if pause_s is not None:
            self._busy.append((self._parts.clock() + pause_s, deployment))

    def _retry(self, deployment: Deployment, pause_s: float) -> _Step | None:
        if self._asked[deployment.name] > deployment.retry.retries:
            return None
        if self._parts.clock() + pause_s >= self._ends_at:
            return None
        if not self._parts.budget.spend(deployment.name):
            return None
        return _Step(deployment, "retry", pause_s)

    def _is_allowed(self, deployment: Deployment) -> bool:
        may_ask = self._plan.may_ask
        return may_ask is None or may_ask(deployment)


async def first_content(
    deltas: AsyncIterator[Delta],
) -> tuple[list[Delta], AsyncIterator[Delta]]:
    """Return the deltas up to the first with content or an end, and the rest.

    A failure or stall before it raises here, while nothing has been sent: the caller can still fall
    back unseen. An answer that ends without content is an answer.

    Raises:
        ProviderGarbled: ``MAX_HELD`` deltas came and none said anything.
        ProviderError: what the provider raised.
    """
    held: list[Delta] = []
    async for delta in deltas:
        held.append(delta)
        if delta.has_content or any(choice.finish_reason for choice in delta.choices):
            break
        if len(held) >= MAX_HELD:
            raise ProviderGarbled(f"The provider sent {MAX_HELD} events and no content.")
    return held, deltas


#: What a caller can act on comes first, what only an operator can comes last.
_BY_USE: tuple[type[ProviderError], ...] = (
    ContextWindowExceeded,
    ProviderRefusedRequest,
    ProviderBusy,
    ProviderTimeout,
    ProviderError,
    ProviderRefusedKey,
)


def _use(error: ProviderError) -> tuple[int, float]:
    if isinstance(error, ProviderRefusedKey):
        return len(_BY_USE), 0.0
    rank = next(rank for rank, kind in enumerate(_BY_USE) if isinstance(error, kind))
    return rank, error.retry_after_s or 0.0  # of two that are busy, the one that is free sooner


def _most_useful(errors: list[ProviderError]) -> ProviderError:
    """Return one error for all attempts; where one deployment failed in one way it stays as it is."""
    best = min(errors, key=_use)
    tried = list(dict.fromkeys(f"{error.deployment} ({error.detail_code})" for error in errors))
    if len(tried) > 1:
        best.message = f"No deployment answered: {', '.join(tried)}. {best.message}"
        best.args = (best.message,)
    return best
