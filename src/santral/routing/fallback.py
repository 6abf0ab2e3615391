"""One attempt after the other until one answers; what failed unseen stays unseen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

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
from santral.routing.route import Deployment
from santral.wire.delta import Delta

T = TypeVar("T")

#: Deltas without content held back at most. Chosen: Azure's openings have a handful.
MAX_HELD = 1024


async def with_fallback(
    candidates: Iterable[Deployment],
    attempt: Callable[[Deployment], Awaitable[T]],
    *,
    may_continue: Callable[[], bool],
) -> T:
    """Return the first attempt's result that is one, asking each candidate at most once.

    The next candidate is asked when an attempt failed with a retryable error and ``may_continue``
    still holds (nothing of the answer has left yet). Errors other than ``ProviderError`` pass
    through at once: they are not a deployment's fault.

    Raises:
        ProviderError: the one that says most about what to do, ``attempts`` of it in its message.
        Overloaded: there was no candidate.
    """
    errors: list[ProviderError] = []
    for deployment in candidates:
        try:
            return await attempt(deployment)
        except ProviderError as error:
            error.deployment = deployment.name
            if not error.retryable or not may_continue():
                raise
            errors.append(error)
    if not errors:
        raise Overloaded("The route has no deployment with a weight above zero.")
    raise _most_useful(errors)


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
    """Return one error for all attempts; a single attempt's stays as it is."""
    best = min(errors, key=_use)
    if len(errors) > 1:
        tried = ", ".join(f"{error.deployment} ({error.detail_code})" for error in errors)
        best.message = f"No deployment answered: {tried}. {best.message}"
        best.args = (best.message,)
    return best
