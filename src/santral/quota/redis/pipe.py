"""One pipelined connection to Redis: commands go out as they come, replies arrive in their order.

Own code because it stands on the request path: redis-py costs 60 microseconds a command, this 7.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis

from santral.quota.redis.address import Address

#: Commands that wait for their replies on one connection; beyond it Redis counts as down. Chosen:
#: far above what a worker may have in flight.
MAX_WAITING = 20_000
#: A reply that is overdue may lie in the socket, unread by a loop that was busy: it gets this much
#: more once the loop is back, in seconds. Chosen.
_SECOND_LOOK_S = 0.005

Word = bytes | str | int | float


#: hiredis' own types name a command of one word alone.
_packed: Callable[[tuple[Word, ...]], bytes] = cast("Any", hiredis).pack_command


class RedisDown(Exception):
    """Redis cannot be asked: no connection, no reply in time, or one that makes no sense."""


class RedisLate(RedisDown):
    """Redis is there and too slow."""


class RedisRefused(Exception):
    """Redis answered with an error of its own."""


class Pipe(asyncio.Protocol):
    """A connection that is open, or has failed and stays so."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.failure = ""

    @classmethod
    async def open(cls, address: Address, timeout_s: float) -> Pipe:
        """Connect and sign in within the time of one command, or four of them for TLS.

        Raises:
            RedisDown: it is not there, too slow, or lets nobody in.
        """
        loop = asyncio.get_running_loop()
        pipe = cls(timeout_s)
        try:
            async with asyncio.timeout(timeout_s * 4):
                if address.path:
                    await loop.create_unix_connection(lambda: pipe, address.path)
                else:
                    await loop.create_connection(
                        lambda: pipe, address.host, address.port, ssl=address.tls()
                    )
                for command in address.opening():
                    await pipe.ask(*command)
        except (OSError, TimeoutError, RedisDown, RedisRefused) as error:
            pipe.close()
            raise RedisDown(f"{address!r}: {error or type(error).__name__}") from None
        return pipe

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return not self.failure and self._transport is not None

    def send(self, words: tuple[Word, ...]) -> asyncio.Future[Any]:
        """Send a command; the future has its reply.

        Raises:
            RedisDown: the connection is gone, or too much waits on it.
        """
        if self._transport is None or self.failure or len(self._waiting) >= MAX_WAITING:
            raise RedisDown(self.failure or "too many commands wait")
        reply: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((reply, self._loop.time() + self._timeout_s))
        self._transport.write(_packed(words))
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s, self._look)
        return reply

    async def ask(self, *words: Word) -> Any:
        """Send a command and return its reply.

        Raises:
            RedisDown: no reply in time; what was asked may have been done all the same.
            RedisRefused: Redis answered with an error.
        """
        return await self.send(words)

    def close(self) -> None:
        """Close the connection; what waits fails."""
        self._fail("closed")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio's call)."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Hand replies to those who wait, in their order (asyncio's call)."""
        self._reader.feed(data)
        while True:
            try:
                reply = self._reader.gets()
            except hiredis.ProtocolError as error:
                return self._fail(f"no Redis answers there: {error}")
            if reply is False:
                return None
            if not self._waiting:
                return self._fail("a reply came that nobody had asked for")
            waiter, _ = self._waiting.popleft()
            if waiter.done():
                continue
            if isinstance(reply, hiredis.ReplyError):
                waiter.set_exception(RedisRefused(str(reply)))
            else:
                waiter.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits (asyncio's call)."""
        self._fail(str(exc or "the connection was closed"))

    def _look(self, *, is_second: bool = False) -> None:
        """Give the connection up when its oldest command is overdue: what follows is no sooner."""
        self._timer = None
        if not self._waiting or self.failure:
            return
        left_s = self._waiting[0][1] - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        elif is_second:
            self._fail(f"no reply within {self._timeout_s * 1000:g} ms", RedisLate)
        else:
            self._timer = self._loop.call_later(_SECOND_LOOK_S, self._look_again)

    def _look_again(self) -> None:
        self._look(is_second=True)

    def _fail(self, reason: str, kind: type[RedisDown] = RedisDown) -> None:
        if self.failure:
            return
        self.failure = reason
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        while self._waiting:
            waiter, _ = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(kind(reason))
                waiter.exception()  # nobody may be waiting: a settlement is not
