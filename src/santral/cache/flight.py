"""One upstream call for equal requests at once: the first makes the answer, the others listen.

Everybody who joins reads the answer from its beginning at their own pace. The one who makes it may
lose its own client: the call goes on while anybody listens. Where it fails before a listener was
told anything, one listener takes over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from santral.cache.answer import delta_bytes
from santral.wire.delta import Delta

#: Longest answer that is shared while it is made, in bytes of memory. Chosen: far above any answer
#: of a model; a longer one takes no further listeners.
MAX_FLIGHT_BYTES = 8 * 1024 * 1024
#: How often a failed answer is tried anew by a listener. Specified: one takes over; the error of the
#: second is everybody's, so that a failing upstream is not asked once for each listener.
MAX_TAKEOVERS = 1

K = TypeVar("K", bound=Hashable)


class LeaderGone(Exception):
    """Who made the answer was ended before it was whole; listeners that heard a part cannot go on."""


class Flight:
    """One answer while it is made. Its leader writes, listeners follow; one event loop."""

    __slots__ = (
        "_abandon",
        "_waiting",
        "deltas",
        "error",
        "is_blocked",
        "is_degraded",
        "is_over",
        "is_streaming",
        "listeners",
        "published",
        "saved_nanousd",
        "size_bytes",
        "successor",
        "takeovers",
    )

    def __init__(
        self, *, is_streaming: bool, takeovers: int = 0, abandon: Callable[[], None] | None = None
    ) -> None:
        """``abandon`` is called when the last listener leaves: the leader may have no client left."""
        self.is_streaming = is_streaming
        self.takeovers = takeovers
        self.deltas: list[Delta] = []
        self.published = 0
        self.size_bytes = 0
        self.listeners = 0
        self.is_over = False
        self.is_degraded = False  # a last rung or last resort makes it
        self.is_blocked = False  # the leader waits for its own client: do not join
        self.error: BaseException | None = None
        self.saved_nanousd = 0
        self.successor: Flight | None = None  # who took over, for those who hear of the end later
        self._abandon = abandon
        self._waiting: list[asyncio.Future[None]] = []

    def add(self, delta: Delta) -> None:
        """Take a delta that the leader sends; listeners see it once it is published."""
        self.deltas.append(delta)
        self.size_bytes += delta_bytes(delta)

    def publish(self) -> None:
        """Let listeners have what was added: it will not be taken back."""
        if self.published < len(self.deltas):
            self.published = len(self.deltas)
            self._wake()

    def restart(self) -> None:
        """Forget what was added and not published: another attempt begins."""
        if not self.deltas:
            return
        del self.deltas[self.published :]
        self.size_bytes = sum(map(delta_bytes, self.deltas))

    def succeed(self, saved_nanousd: int) -> None:
        """End the answer; it is whole. ``saved_nanousd`` is what every listener saves."""
        self.saved_nanousd = saved_nanousd
        self.is_over = True
        self.published = len(self.deltas)
        self._wake()

    def fail(self, error: BaseException) -> None:
        """End the answer with what went wrong."""
        if not self.is_over:
            self.is_over = True
            self.error = error
            self._wake()

    @property
    def takeovers_after(self) -> int:
        """How often the answer has been tried anew, by who takes over this one."""
        return self.takeovers + isinstance(self.error, Exception)

    async def follow(
        self,
        replay: Callable[[Delta], Awaitable[None]],
        wait_s: float,
        *,
        can_retract: bool = False,
    ) -> bool:
        """Replay the answer from its beginning, then as it comes; False where it has to be made anew.

        ``can_retract`` says that what was replayed has not been told to anybody yet.

        Raises:
            LeaderGone: it ended in the middle of what was replayed.
            TimeoutError: nothing came for ``wait_s`` seconds.
            Exception: the leader's own error, where nobody else may try.
        """
        self.listeners += 1
        done = 0
        try:
            while True:
                while done < self.published:
                    await replay(self.deltas[done])
                    done += 1
                if self.is_over:
                    return self._outcome(0 if can_retract else done)
                await self._changed(wait_s)
        finally:
            self.listeners -= 1
            if not self.listeners and not self.is_over and self._abandon is not None:
                self._abandon()

    def _outcome(self, done: int) -> bool:
        error = self.error
        if error is None:
            return True
        is_gone = not isinstance(
            error, Exception
        )  # cancelled: its own client, or the gateway's end
        if done == 0 and (is_gone or self._may_be_tried_anew(error)):
            return False
        if is_gone:
            raise LeaderGone
        raise error

    def _may_be_tried_anew(self, error: BaseException) -> bool:
        return self.takeovers < MAX_TAKEOVERS and bool(getattr(error, "retryable", True))

    async def _changed(self, wait_s: float) -> None:
        # Nothing is awaited between looking at the state and this line: no wake-up can be lost.
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            async with asyncio.timeout(wait_s):
                await future
        finally:
            if future in self._waiting:
                self._waiting.remove(future)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class Flights(Generic[K]):
    """The answers that are being made, by key."""

    def __init__(self) -> None:
        self._flights: dict[K, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def find(self, key: K, *, is_streaming: bool) -> Flight | None:
        """Return an answer under way that such a request may listen to.

        A stream does not wait for an answer that comes whole: its caller would see nothing of it
        until the end.
        """
        flight = self._flights.get(key)
        if flight is None or flight.is_over or flight.is_blocked:
            return None
        if flight.size_bytes > MAX_FLIGHT_BYTES:
            return None
        return flight if flight.is_streaming or not is_streaming else None

    def open(self, key: K, flight: Flight) -> None:
        """Show ``flight`` to those who ask the same; a later one replaces it."""
        self._flights[key] = flight

    def close(self, key: K, flight: Flight) -> None:
        """Take ``flight`` away; who listens goes on listening."""
        if self._flights.get(key) is flight:
            del self._flights[key]
        flight.fail(asyncio.CancelledError())  # no effect on one that has ended
