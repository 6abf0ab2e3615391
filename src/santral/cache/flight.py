"""Single flight: of equal requests at the same moment one asks, the others wait for its answer."""

from __future__ import annotations

import asyncio
from types import TracebackType


class SingleFlight:
    """One turn per key; used around a miss:

        async with flights.turn(key, wait_s) as is_leader:
            if not is_leader:      # somebody asked the same: look into the cache again
                ...

    Who waited goes on when the leader is done or ``wait_s`` is over, all at once and whatever came
    of it: when the leader found nothing to keep, waiting in line would only make everyone late.
    """

    def __init__(self) -> None:
        self._flights: dict[bytes, asyncio.Future[None]] = {}

    def turn(self, key: bytes, wait_s: float) -> Turn:
        """Return the turn of one request."""
        return Turn(self._flights, key, wait_s)


class Turn:
    """One request's turn; entering it says whether it leads."""

    __slots__ = ("_flights", "_key", "_led", "_wait_s")

    def __init__(
        self, flights: dict[bytes, asyncio.Future[None]], key: bytes, wait_s: float
    ) -> None:
        self._flights = flights
        self._key = key
        self._wait_s = wait_s
        self._led: asyncio.Future[None] | None = None

    async def __aenter__(self) -> bool:
        flight = self._flights.get(self._key)
        if flight is None:
            self._led = self._flights[self._key] = asyncio.get_running_loop().create_future()
            return True
        await asyncio.wait((flight,), timeout=self._wait_s)
        return False

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._led is not None:
            del self._flights[self._key]
            self._led.set_result(None)
