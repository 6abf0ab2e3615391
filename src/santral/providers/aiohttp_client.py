"""The upstream client on aiohttp: a keep-alive pool, bounded answers, four clocks."""

from __future__ import annotations

import asyncio
import math
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from io import BytesIO
from typing import NamedTuple

import aiohttp
from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from santral.config.schema import TimeoutsConfig
from santral.errors import ProviderError, ProviderGarbled, ProviderTimeout, ProviderUnreachable
from santral.providers.deadline import Sweep, Watch

#: Largest answer taken, after decompression. Chosen: base64 images stay below it.
MAX_ANSWER_BYTES = 64 * 1024 * 1024

#: Idle connections are dropped before most servers drop them: uvicorn and Node close after 5 s,
#: vendors after 60 s or more. A connection closed under us is retried once anyway.
KEEP_ALIVE_S = 30.0

#: From here on aiohttp wants a file, which it sends in pieces so that other calls get their turn.
LARGE_BODY_BYTES = 1024 * 1024

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
        self._urls: dict[str, URL] = {}
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
        clock = _Clock(pool, timeouts, is_streaming=is_streaming)
        try:
            answer = await self._send(pool.session, url, headers, body, clock)
        except BaseException:
            clock.stop()
            raise
        return AiohttpResponse(answer, clock, self._max_answer_bytes)

    async def close(self) -> None:
        """Close every connection; calls still open see it as ``ProviderUnreachable``."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.sweep.stop()
            await pool.session.close()

    async def _send(
        self,
        session: aiohttp.ClientSession,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        clock: _Clock,
    ) -> aiohttp.ClientResponse:
        target = self._urls.get(url) or self._remember(url)
        limit = self._connect_timeout(clock.timeouts.connect_s)
        for is_last_try in (False, True):
            _is_reused.set(False)
            try:
                with clock:
                    return await session.post(
                        target,
                        headers=headers,
                        data=body if len(body) < LARGE_BODY_BYTES else BytesIO(body),
                        timeout=limit,
                        allow_redirects=False,
                    )
            except (
                aiohttp.ServerDisconnectedError,
                ConnectionResetError,
                BrokenPipeError,
            ) as error:
                # A kept connection that the provider closed while it was idle: nothing came back,
                # so nothing is lost by asking again on a fresh one.
                if is_last_try or not _is_reused.get():
                    raise _translated(error, clock) from None
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                raise _translated(error, clock) from None
        raise AssertionError("the second try returns or raises")

    def _open(self) -> _Pool:
        session = aiohttp.ClientSession(
            connector=_Connector(limit=self._max_connections, keepalive_timeout=KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=ClientTimeout(total=None),
            trust_env=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        )
        loop = asyncio.get_running_loop()
        self._pool = _Pool(session, Sweep(loop), loop.time)
        return self._pool

    def _remember(self, url: str) -> URL:
        return self._urls.setdefault(url, URL(url))

    def _connect_timeout(self, connect_s: float) -> ClientTimeout:
        limit = self._timeouts.get(connect_s)
        if limit is None:
            # aiohttp looks at this clock only when no kept connection is free: it costs nothing
            # on the common path. Above 5 s aiohttp rounds up to a second; the threshold stops that.
            limit = ClientTimeout(total=None, connect=connect_s, ceil_threshold=math.inf)
            self._timeouts[connect_s] = limit
        return limit


class _Pool(NamedTuple):
    session: aiohttp.ClientSession
    sweep: Sweep
    now: Callable[[], float]


class AiohttpResponse:
    """An answer whose head has come; iterating it yields its bytes."""

    __slots__ = ("_answer", "_clock", "_content", "_max_bytes", "_size", "headers", "status")

    def __init__(self, answer: aiohttp.ClientResponse, clock: _Clock, max_bytes: int) -> None:
        self._answer = answer
        self._content = answer.content
        self._clock = clock
        self._max_bytes = max_bytes
        self._size = 0
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers

    async def read(self) -> bytes:
        """Return the whole body, at most the client's bound."""
        return b"".join([data async for data in self])

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        return self

    def __aiter__(self) -> AiohttpResponse:
        return self

    async def __anext__(self) -> bytes:
        try:
            with self._clock:
                data = await self._content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
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
            self._answer.close()

    async def close(self) -> None:
        """Give the connection back when the body was read to its end, else close it at once."""
        self._clock.stop()
        self._answer.close()


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


#: Whether the connection that the running call got had served another call before.
_is_reused: ContextVar[bool] = ContextVar("is_reused", default=False)


class _Connector(TCPConnector):
    """Notes for each call whether its connection is a kept one."""

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        marks = vars(connection.protocol)
        if "was_used" in marks:
            _is_reused.set(True)
        marks["was_used"] = True
        return connection


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
    if isinstance(error, aiohttp.ClientResponseError | ValueError):
        return ProviderGarbled("The provider's answer is not HTTP.")
    return ProviderUnreachable("The provider closed the connection before its answer was whole.")


def _timed_out(phase: str, timeouts: TimeoutsConfig) -> ProviderTimeout:
    limit_s = float(getattr(timeouts, f"{phase}_s"))
    return ProviderTimeout(f"The provider {_PHASES[phase].format(limit_s)}.", phase=phase)
