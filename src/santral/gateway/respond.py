"""The one place that knows whether the response has begun: bodies, streams, late errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from santral.errors import SantralError
from santral.gateway.context import HEDGE_LOST, RequestContext
from santral.gateway.inbound import Writer
from santral.gateway.stages.trace import total_cost, total_usage
from santral.traces.cached import EMBED
from santral.traces.record import CACHE_SERVED
from santral.wire.delta import Delta
from santral.wire.messages import MESSAGES
from santral.wire.usage import Usage

Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]


class Responder:
    """Answers one request: whole, as a stream, or with an error in the caller's dialect.

    The response starts with the first delta, so an error before it has a real status code and one
    after it is an event in the stream.
    """

    __slots__ = ("_ctx", "_deltas", "_send", "_usage", "_writer")

    def __init__(self, send: Send, ctx: RequestContext) -> None:
        self._send = send
        self._ctx = ctx
        self._deltas: list[Delta] = []
        self._usage: Usage | None = None  # of the answer itself: a cached one has no attempts
        self._writer: Writer | None = None

    async def emit(self, delta: Delta) -> None:
        """Take one delta of the answer; a stream's leaves at once."""
        if delta.usage is not None:
            self._usage = delta.usage
        if not self._ctx.call.view.stream:
            self._deltas.append(delta)
            return
        data = (self._writer or self._written_by()).write(delta)
        if not data:
            return
        ctx = self._ctx
        if not ctx.is_committed:
            await self._start(200, _stream_headers(self._written_by()), None)
        if ctx.ttft_us is None and delta.has_content:
            ctx.ttft_us = ctx.elapsed_us()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self) -> None:
        """End the answer."""
        writer = self._written_by()
        usage = self._answering_usage() or self._usage
        if self._ctx.call.view.stream:
            data = await writer.end(usage)
            if not self._ctx.is_committed:
                await self._start(200, _stream_headers(writer), None)
            await self._body(data, more=False)
        else:
            await self.send_json(await writer.whole(self._deltas, usage))

    def _answering_usage(self) -> Usage | None:
        """Return what the attempts that made the answer used."""
        attempts = self._ctx.attempts
        if len(attempts) == 1 and not attempts[0].purpose:
            return attempts[0].usage
        return total_usage([a for a in attempts if a.purpose != EMBED and a.error != HEDGE_LOST])

    async def send_json(self, body: bytes, headers: Iterable[Header] = ()) -> None:
        """Answer with one JSON body."""
        await self.send_body(body, [*_JSON_HEADERS, *headers])

    async def send_body(self, body: bytes, headers: Iterable[Header]) -> None:
        """Answer with one body of any type."""
        await self._start(200, headers, len(body))
        await self._body(body, more=False)

    async def fail(self, error: SantralError) -> None:
        """Answer with an error, as a status if nothing was sent yet, else as the stream's last event."""
        if self._ctx.is_committed:
            await self._body(self._written_by().fail(error), more=False)
            return
        status, headers, body = self._ctx.dialect.error(error, self._ctx.request_id)
        await self._start(status, [*headers, *_JSON_HEADERS], len(body))
        await self._body(body, more=False)

    def _written_by(self) -> Writer:
        if self._writer is None:
            self._writer = self._ctx.dialect.writer(self._ctx)
        return self._writer

    async def _start(self, status: int, headers: Iterable[Header], length: int | None) -> None:
        self._ctx.is_committed = True
        lines = [*headers, *trace_headers(self._ctx, is_whole=length is not None)]
        if length is not None:
            lines.append((b"content-length", str(length).encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": lines})

    async def _body(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})


_JSON_HEADERS: list[Header] = [(b"content-type", b"application/json")]
_EVENTS = b"text/event-stream; charset=utf-8"
_STREAM_HEADERS: list[Header] = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]


def _stream_headers(writer: Writer) -> list[Header]:
    """Events, unless the writer streams something else: Gemini's clients may ask for an array."""
    return [(b"content-type", getattr(writer, "content_type", _EVENTS)), *_STREAM_HEADERS]


def id_headers(dialect: str, request_id: str) -> list[Header]:
    """Return a request's id, for Anthropic's clients under their own name too: they read no other."""
    names = (b"x-request-id", b"request-id") if dialect == MESSAGES else (b"x-request-id",)
    return [(name, request_id.encode()) for name in names]


def trace_headers(ctx: RequestContext, *, is_whole: bool) -> list[Header]:
    """Return the headers every answer carries, as far as they are known when it starts."""
    lines: list[Header] = [
        *id_headers(ctx.dialect.name, ctx.request_id),
        (b"x-santral-trace-id", ctx.trace_id.encode()),
        (b"x-santral-cache", ctx.cache.encode()),
    ]
    if ctx.deployment:
        lines.append((b"x-santral-deployment", ctx.deployment.encode()))
    if ctx.is_degraded:
        lines.append((b"x-santral-degraded", b"true"))
    losses = ctx.losses.names()
    if losses:
        lines.append((b"x-santral-loss", ", ".join(losses).encode("ascii", "replace")))
    if ctx.hold is not None:
        lines.extend(ctx.dialect.limit_headers(ctx.hold.headers()))
    if is_whole and ctx.attempts:
        cost = total_cost(ctx.attempts)
        if cost is not None:
            lines.append((b"x-santral-cost-usd", b"%.9f" % (cost / 1e9)))
    elif is_whole and ctx.cache in CACHE_SERVED:
        lines.append((b"x-santral-cost-usd", b"0.000000000"))
    return lines
