"""The one place that knows whether the response has begun: bodies, streams, late errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from santral.errors import SantralError
from santral.gateway.context import RequestContext
from santral.gateway.stages.trace import total_usage
from santral.web.errors import error_body, openai_error
from santral.wire.delta import ChoiceDelta, Delta
from santral.wire.render import chunk, completion, fold, usage_chunk
from santral.wire.sse import DONE, encode_event
from santral.wire.usage import Usage

Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]


class Responder:
    """Answers one request: whole, as a stream, or with an error in the caller's dialect.

    The response starts with the first delta, so an error before it has a real status code and one
    after it is an event in the stream.
    """

    __slots__ = (
        "_ctx",
        "_deltas",
        "_first",
        "_seen",
        "_send",
        "_usage",
        "_usage_raw",
        "_wants_usage",
    )

    def __init__(self, send: Send, ctx: RequestContext) -> None:
        self._send = send
        self._ctx = ctx
        self._deltas: list[Delta] = []
        self._first: Delta | None = None
        self._seen: set[int] = set()  # choices whose role has been announced
        self._usage: Usage | None = None  # of the answer itself: a cached one has no attempts
        self._usage_raw = b""
        self._wants_usage = False

    async def emit(self, delta: Delta) -> None:
        """Take one delta of the answer; a stream's leaves at once."""
        if not self._ctx.call.view.stream:
            self._deltas.append(delta)
            return
        if delta.usage is not None:
            self._usage = delta.usage
            if not delta.choices:
                self._usage_raw = delta.raw
                return
        if not delta.is_whole:
            await self._write(delta)
            return
        for part in _as_chunks(delta):
            await self._write(part)

    async def finish(self) -> None:
        """End the answer."""
        if self._ctx.call.view.stream:
            await self._finish_stream()
        else:
            await self._send_whole()

    async def fail(self, error: SantralError) -> None:
        """Answer with an error, as a status if nothing was sent yet, else as the stream's last event."""
        if self._ctx.is_committed:
            await self._body(encode_event(error_body(error)), more=False)
            return
        status, headers, body = openai_error(error)
        await self._start(status, [*headers, (b"content-type", b"application/json")], len(body))
        await self._body(body, more=False)

    async def _write(self, delta: Delta) -> None:
        first = self._first
        if first is None:
            self._first = first = delta
            options = self._ctx.call.view.stream_options
            self._wants_usage = options is not None and options.include_usage
            await self._start(200, _STREAM_HEADERS, None)
            first = _named(delta, self._ctx)
        data = encode_event(delta.raw or self._composed(delta, first))
        for choice in delta.choices:
            self._seen.add(choice.index)
        if self._ctx.ttft_us is None and delta.has_content:
            self._ctx.ttft_us = self._ctx.elapsed_us()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    def _composed(self, delta: Delta, first: Delta) -> bytes:
        new = {choice.index for choice in delta.choices} - self._seen
        return chunk(_like(delta, first, self._ctx), role=new)

    async def _finish_stream(self) -> None:
        first = self._first
        if first is None:  # an answer without a single event is still a stream
            await self._write(Delta(choices=(ChoiceDelta(finish_reason="stop"),)))
            first = self._first or Delta()
        last = b""
        if self._wants_usage:
            usage = total_usage(self._ctx.attempts) or self._usage or Usage()
            named = _named(Delta(id=first.id, model=first.model, created=first.created), self._ctx)
            last = encode_event(self._usage_raw or usage_chunk(named, usage))
        await self._body(last + DONE, more=False)

    async def _send_whole(self) -> None:
        answer = fold(self._deltas)
        body = answer.raw or completion(_named(answer, self._ctx))
        await self._start(200, _JSON_HEADERS, len(body))
        await self._body(body, more=False)

    async def _start(self, status: int, headers: Iterable[Header], length: int | None) -> None:
        self._ctx.is_committed = True
        lines = [*headers, *trace_headers(self._ctx, is_whole=length is not None)]
        if length is not None:
            lines.append((b"content-length", str(length).encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": lines})

    async def _body(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})


_JSON_HEADERS: list[Header] = [(b"content-type", b"application/json")]
_STREAM_HEADERS: list[Header] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


def trace_headers(ctx: RequestContext, *, is_whole: bool) -> list[Header]:
    """Return the headers every answer carries, as far as they are known when it starts."""
    lines: list[Header] = [
        (b"x-request-id", ctx.request_id.encode()),
        (b"x-santral-trace-id", ctx.trace_id.encode()),
        (b"x-santral-cache", ctx.cache.encode()),
    ]
    if ctx.deployment:
        lines.append((b"x-santral-deployment", ctx.deployment.encode()))
    if ctx.losses:
        lines.append((b"x-santral-loss", ", ".join(ctx.losses).encode()))
    if ctx.hold is not None:
        lines.extend((name.encode(), value.encode()) for name, value in ctx.hold.headers().items())
    if is_whole and ctx.attempts:
        costs = [attempt.cost_nanousd for attempt in ctx.attempts]
        known = [cost for cost in costs if cost is not None]
        if len(known) == len(costs):
            lines.append((b"x-santral-cost-usd", f"{sum(known) / 1e9:.9f}".encode()))
    elif is_whole and ctx.cache == "hit":
        lines.append((b"x-santral-cost-usd", b"0.000000000"))
    return lines


def _named(delta: Delta, ctx: RequestContext) -> Delta:
    """Fill in the identity of a delta that we composed."""
    if delta.id and delta.model and delta.created:
        return delta
    return Delta(
        choices=delta.choices,
        usage=delta.usage,
        is_whole=delta.is_whole,
        id=delta.id or f"chatcmpl-{ctx.request_id}",
        model=delta.model or ctx.requested_model,
        created=delta.created or ctx.started_at_us // 1_000_000,
    )


def _like(delta: Delta, first: Delta, ctx: RequestContext) -> Delta:
    """Give a composed delta the identity of its stream: every chunk of one stream has the same."""
    return _named(
        Delta(choices=delta.choices, id=first.id, model=first.model, created=first.created), ctx
    )


def _as_chunks(delta: Delta) -> Iterable[Delta]:
    """A whole answer in a stream (from the cache, or checked as a whole) becomes two chunks a choice."""
    parts: list[Delta] = []
    for choice in delta.choices:
        content = ChoiceDelta(
            choice.index, choice.text, choice.refusal, choice.reasoning, choice.tool_calls
        )
        end = ChoiceDelta(choice.index, finish_reason=choice.finish_reason or "stop")
        parts += [
            Delta(choices=(part,), id=delta.id, model=delta.model, created=delta.created)
            for part in (content, end)
        ]
    return parts
