"""The upstream client on aiohttp: a keep-alive pool, bounded answers, four clocks.

It takes aiohttp's connector and HTTP parser and leaves out its session, request and response, which
build every request anew and send it from a task of its own: half of the CPU of a whole answer.
Measured with a local provider: 100 us against 197, 241,000 instructions against 478,000.
"""

from __future__ import annotations

import asyncio
import math
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import NamedTuple

import aiohttp
from aiohttp import ClientRequest, ClientTimeout, StreamReader, TCPConnector
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage
from yarl import URL

from santral.config.upstreams import TimeoutsConfig
from santral.errors import ProviderError, ProviderGarbled, ProviderTimeout, ProviderUnreachable
from santral.providers.deadline import Sweep, Watch

#: Largest answer taken, after decompression. Chosen: base64 images stay below it.
MAX_ANSWER_BYTES = 64 * 1024 * 1024

#: Idle connections are dropped before most servers drop them: uvicorn and Node close after 5 s,
#: vendors after 60 s or more. A connection closed under us is retried once anyway.
KEEP_ALIVE_S = 30.0

#: Larger requests are written in pieces of this size, so that other calls get their turn: TLS
#: encrypts a piece in 0.2 ms. Chosen.
PIECE_BYTES = 256 * 1024

#: How long a finished stream may take to end its body, so that the connection can be kept. Chosen.
FINISH_S = 0.1

_PHASES = {
    "connect": "accepted no connection within {:g} s",
    "first_delta": "sent nothing of its answer within {:g} s",
    "between_deltas": "was silent for {:g} s in the middle of its answer",
    "total": "did not finish its answer within {:g} s",
}


class AiohttpClient:
    """Posts to providers over one pool; build one per provider, inside the running loop or before."""

    def __init__(
        self, *, max_connections: int = 256, max_answer_bytes: int = MAX_ANSWER_BYTES
    ) -> None:
        self._max_connections = max_connections
        self._max_answer_bytes = max_answer_bytes
        self._pool: _Pool | None = None
        self._targets: dict[str, _Target] = {}
        self._timeouts: dict[float, ClientTimeout] = {}

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: TimeoutsConfig,
        *,
        is_streaming: bool = False,
    ) -> AiohttpResponse:
        """Send ``body`` and return once the answer's head is there; see ``UpstreamClient``."""
        pool = self._pool or self._open()
        target = self._targets.get(url) or self._remember(url)
        clock = _Clock(pool, timeouts, is_streaming=is_streaming)
        try:
            answer = await self._send(pool, target, target.head(headers, len(body)), body, clock)
        except BaseException:
            clock.stop()
            raise
        return AiohttpResponse(answer, clock, self._max_answer_bytes)

    async def close(self) -> None:
        """Close every connection; calls still open see it as ``ProviderUnreachable``."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.sweep.stop()
            await pool.connector.close()

    async def _send(
        self, pool: _Pool, target: _Target, head: bytes, body: bytes, clock: _Clock
    ) -> _Answer:
        limit = self._connect_timeout(clock.timeouts.connect_s)
        for is_last_try in (False, True):
            is_reused = False
            try:
                with clock:
                    connection = await _connect(pool.connector, target.request, limit)
                    is_reused = _was_used(connection)
                    return await _exchange(connection, head, body)
            except (
                aiohttp.ServerDisconnectedError,
                ConnectionResetError,
                BrokenPipeError,
            ) as error:
                # A kept connection that the provider closed while it was idle: nothing came back,
                # so nothing is lost by asking again on a fresh one.
                if is_last_try or not is_reused:
                    raise _translated(error, clock) from None
            except _FAILURES as error:
                raise _translated(error, clock) from None
        raise AssertionError("the second try returns or raises")

    def _open(self) -> _Pool:
        connector = TCPConnector(limit=self._max_connections, keepalive_timeout=KEEP_ALIVE_S)
        loop = asyncio.get_running_loop()
        self._pool = _Pool(connector, Sweep(loop), loop.time)
        return self._pool

    def _remember(self, url: str) -> _Target:
        return self._targets.setdefault(url, _Target(url))

    def _connect_timeout(self, connect_s: float) -> ClientTimeout:
        limit = self._timeouts.get(connect_s)
        if limit is None:
            # aiohttp looks at this clock only when no kept connection is free: it costs nothing
            # on the common path. Above 5 s aiohttp rounds up to a second; the threshold stops that.
            limit = ClientTimeout(total=None, connect=connect_s, ceil_threshold=math.inf)
            self._timeouts[connect_s] = limit
        return limit


class _Pool(NamedTuple):
    connector: TCPConnector
    sweep: Sweep
    now: Callable[[], float]


class _Target:
    """One address: what the connector wants to know of it, and how every request to it begins."""

    __slots__ = ("_head", "request")

    def __init__(self, url: str) -> None:
        # What is encoded already stays as it is: AWS signs %3A, and yarl would write it as a colon.
        address = URL(url, encoded="%" in url)
        self.request = ClientRequest("POST", address, loop=asyncio.get_running_loop())
        kept = ("Host", "Authorization")  # the latter where the address holds a password
        own = [(name, self.request.headers[name]) for name in kept if name in self.request.headers]
        self._head = f"POST {self.request.url.raw_path_qs} HTTP/1.1\r\n{_lines(own)}"

    def head(self, headers: Mapping[str, str], size: int) -> bytes:
        """Return the head of a request whose body is ``size`` bytes long."""
        return f"{self._head}{_lines(headers.items())}Content-Length: {size}\r\n\r\n".encode()


def _lines(headers: Iterable[tuple[str, str]]) -> str:
    """Return header lines; a value that would break out of its own is a fault of the settings."""
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        raise ProviderUnreachable("A header for the provider holds a line break: look at its key.")
    return text


class _Answer(NamedTuple):
    connection: Connection
    head: RawResponseMessage
    content: StreamReader


async def _connect(
    connector: TCPConnector, request: ClientRequest, limit: ClientTimeout
) -> Connection:
    """Return a kept connection or a new one."""
    try:
        return await connector.connect(request, [], limit)
    except TimeoutError as error:
        raise aiohttp.ConnectionTimeoutError from error


def _was_used(connection: Connection) -> bool:
    """Whether the connection has served another call before; from now on it has."""
    marks = vars(connection.protocol)
    is_reused = "was_used" in marks
    marks["was_used"] = True
    return is_reused


async def _exchange(connection: Connection, head: bytes, body: bytes) -> _Answer:
    """Send a request and return its answer as soon as its head is there."""
    protocol = connection.protocol
    try:
        if protocol is None or protocol.transport is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(read_until_eof=True)
        if len(body) <= PIECE_BYTES:
            protocol.transport.writelines((head, body))
        else:
            await _write_in_pieces(protocol.transport, head + body)
        message, content = await protocol.read()
        while 100 <= message.code < 200:
            message, content = await protocol.read()
    except BaseException:
        connection.close()
        raise
    return _Answer(connection, message, content)


async def _write_in_pieces(transport: asyncio.Transport, data: bytes) -> None:
    """Write without waiting for the provider: it may answer before it has read everything."""
    for start in range(0, len(data), PIECE_BYTES):
        if transport.is_closing():
            return
        transport.write(data[start : start + PIECE_BYTES])
        await asyncio.sleep(0)


class AiohttpResponse:
    """An answer whose head has come; iterating it yields its bytes."""

    __slots__ = ("_clock", "_connection", "_content", "_max_bytes", "_size", "headers", "status")

    def __init__(self, answer: _Answer, clock: _Clock, max_bytes: int) -> None:
        self._connection, head, self._content = answer
        self._clock = clock
        self._max_bytes = max_bytes
        self._size = 0
        self.status = head.code
        self.headers: Mapping[str, str] = head.headers

    async def read(self) -> bytes:
        """Return the whole body, at most the client's bound."""
        return b"".join([data async for data in self])

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        return self

    def __aiter__(self) -> AiohttpResponse:
        return self

    async def __anext__(self) -> bytes:
        content = self._content
        try:
            if content.is_eof():
                data = content.read_nowait()  # all there: nothing to wait for
            else:
                with self._clock:
                    data = await content.readany()
        except _FAILURES as error:
            raise _translated(error, self._clock) from None
        if not data:
            raise StopAsyncIteration
        self._size += len(data)
        if self._size > self._max_bytes:
            raise ProviderGarbled(f"The provider's answer is larger than {self._max_bytes} bytes.")
        return data

    def delta_came(self) -> None:
        """Start the clock between deltas from zero."""
        self._clock.delta_came()

    async def finish(self) -> None:
        """Read the end of the body, for a moment at most, so that the connection can be kept."""
        self._clock.allowance = FINISH_S
        try:
            async for _ in self:
                pass
        except ProviderError:
            self._connection.close()

    async def close(self) -> None:
        """Give the connection back when the body was read to its end, else close it at once."""
        self._clock.stop()
        transport = self._connection.transport
        if transport is None or not self._content.is_eof() or transport.get_write_buffer_size():
            self._connection.close()
        else:
            self._connection.release()


class _Clock(Watch):
    """The clocks of one call. A slow client does not make a provider slow: only waits count."""

    __slots__ = ("_phase", "_sweep", "timeouts")

    def __init__(self, pool: _Pool, timeouts: TimeoutsConfig, *, is_streaming: bool) -> None:
        super().__init__(
            pool.now,
            allowance=timeouts.first_delta_s if is_streaming else math.inf,
            ends_at=pool.now() + timeouts.total_s,
        )
        self.timeouts = timeouts
        self._phase = "first_delta"
        self._sweep = pool.sweep
        pool.sweep.open(self)

    def delta_came(self) -> None:
        self._phase = "between_deltas"
        self.allowance = self.timeouts.between_deltas_s

    def stop(self) -> None:
        self._sweep.close(self)

    @property
    def expired_phase(self) -> str:
        return "total" if self.now() >= self.ends_at else self._phase


#: What aiohttp raises while a call waits.
_FAILURES = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError, ValueError)


def _translated(error: Exception, clock: _Clock) -> ProviderError:
    """Return our error for aiohttp's; no address and no header enters its message."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return _timed_out("connect", clock.timeouts)
    if isinstance(error, TimeoutError):
        return _timed_out(clock.expired_phase, clock.timeouts)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return ProviderUnreachable("The provider's certificate is not trusted.")
    if isinstance(error, aiohttp.ClientSSLError):
        return ProviderUnreachable("No connection to the provider: TLS failed.")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ProviderUnreachable("No connection to the provider: its name cannot be resolved.")
    if isinstance(error, aiohttp.ClientConnectorError):
        # Not its own text: asyncio writes the address into it.
        reason = os.strerror(error.errno).lower() if error.errno else "no reason given"
        return ProviderUnreachable(f"No connection to the provider: {reason}.")
    if isinstance(error, HttpProcessingError | ValueError):
        return ProviderGarbled("The provider's answer is not HTTP.")
    return ProviderUnreachable("The provider closed the connection before its answer was whole.")


def _timed_out(phase: str, timeouts: TimeoutsConfig) -> ProviderTimeout:
    limit_s = float(getattr(timeouts, f"{phase}_s"))
    return ProviderTimeout(f"The provider {_PHASES[phase].format(limit_s)}.", phase=phase)
