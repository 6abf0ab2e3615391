"""Something read from afar: fresh for a while, and used for longer when it cannot be read anew."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from santral.errors import SignInUnavailable

log = logging.getLogger(__name__)

Thing = TypeVar("Thing")

#: How long a thing is used without asking again. Chosen.
FRESH_S = 3600.0
#: How long it is used when it cannot be read anew. Chosen: an outage of a night.
STALE_S = 24 * 3600.0
#: Least time between two questions. Chosen: neither a token with a made-up key id nor a provider that
#: is down makes us ask, and wait, each time.
COOLDOWN_S = 5.0


class Kept(Generic[Thing]):
    """What ``read`` returned; ``clock`` is monotonic."""

    def __init__(self, read: Callable[[], Awaitable[Thing]], clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._thing: Thing | None = None
        self._read_at = -math.inf
        self._tried_at = -math.inf
        self._failure: SignInUnavailable | None = None
        self._lock = asyncio.Lock()  # one question at a time; who waits shares its answer

    async def get(self) -> Thing:
        """Return the thing, read anew when it is no longer fresh.

        Raises:
            SignInUnavailable: it cannot be read, and there is none that is young enough.
        """
        return await self._get(FRESH_S)

    async def renewed(self) -> Thing:
        """Return the thing, read anew unless that was done a moment ago.

        Raises:
            SignInUnavailable: as above.
        """
        return await self._get(COOLDOWN_S)

    async def _get(self, fresh_s: float) -> Thing:
        async with self._lock:
            now = self._clock()
            if now - self._read_at >= fresh_s and now - self._tried_at >= COOLDOWN_S:
                await self._try(now)
            if self._thing is not None and now - self._read_at < STALE_S:
                return self._thing
            raise self._failure or SignInUnavailable("The OpenID provider was not asked yet.")

    async def _try(self, now: float) -> None:
        self._tried_at = now
        try:
            self._thing = await self._read()
        except SignInUnavailable as error:
            self._failure = error
            log.warning("openid_provider_unavailable", extra={"reason": error.message})
        else:
            self._read_at, self._failure = now, None
