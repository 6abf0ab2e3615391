"""An answer on its way out that others may listen to, and that a cache may keep."""

from __future__ import annotations

import asyncio
import logging

from santral.cache.flight import Flight
from santral.gateway.context import Emit, RequestContext
from santral.wire.delta import Delta

log = logging.getLogger(__name__)

#: How long the client of the request that makes an answer may block it while others listen, in
#: seconds. Chosen: by then its socket is full and it has read nothing; the others go on without it.
STALL_S = 10.0


class SharedAnswer:
    """Stands between the gate and the caller whose request makes the answer.

    The caller may leave: while others listen, the answer is made to its end, and only then the
    request ends as one whose client left.
    """

    __slots__ = ("_ctx", "_is_streaming", "flight")

    def __init__(self, ctx: RequestContext, takeovers: int = 0) -> None:
        self._ctx = ctx
        self._is_streaming = bool(ctx.call.view.stream)
        self.flight = Flight(
            is_streaming=self._is_streaming, takeovers=takeovers, abandon=self._abandon
        )
        if ctx.guest is not None:
            ctx.guest.is_needed = self._is_needed

    @property
    def has_left(self) -> bool:
        """Whether the caller is gone, and the answer is made for others."""
        return self._ctx.guest is not None and self._ctx.guest.has_left

    async def send(self, delta: Delta, emit: Emit) -> None:
        """Take a delta that may leave; the caller gets it, then those who listen."""
        flight = self.flight
        flight.is_degraded = self._ctx.is_degraded
        flight.add(delta)
        if self.has_left:
            self._ctx.is_committed = self._is_streaming  # what others heard cannot be taken back
        elif flight.listeners:
            await self._emit_within(STALL_S, delta, emit)
        else:
            flight.is_blocked = True
            await emit(delta)
            flight.is_blocked = False
        if self._ctx.is_committed:
            flight.publish()

    def restart(self) -> None:
        """Forget what nobody has seen: another attempt begins."""
        self.flight.restart()

    def release(self) -> None:
        """From here on a caller that leaves ends its own request only."""
        if self._ctx.guest is not None:
            self._ctx.guest.is_needed = None

    async def _emit_within(self, seconds: float, delta: Delta, emit: Emit) -> None:
        try:
            async with asyncio.timeout(seconds):
                await emit(delta)
        except TimeoutError:
            log.info("client_stalled", extra={"trace_id": self._ctx.trace_id})
            if self._ctx.guest is not None:
                self._ctx.guest.has_left = True

    def _is_needed(self) -> bool:
        return self.flight.listeners > 0 and not self.flight.is_over

    def _abandon(self) -> None:
        """The last listener has left: if the caller has too, nobody wants the answer."""
        if self.has_left and self._ctx.guest is not None:
            self._ctx.guest.task.cancel()
