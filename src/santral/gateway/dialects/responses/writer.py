"""Writes answers of the Responses protocol, whole and streamed, by one path.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from santral.errors import SantralError
from santral.gateway.context import RequestContext
from santral.gateway.dialects.responses.events import Events
from santral.gateway.dialects.responses.logprobs import read_logprobs, read_raw_logprobs
from santral.gateway.dialects.responses.object import Progress, failure, response_object
from santral.gateway.dialects.responses.output import Output
from santral.gateway.dialects.responses.request import ResponsesCall
from santral.gateway.dialects.responses.state import ResponseStore
from santral.wire.delta import ChoiceDelta, Delta
from santral.wire.usage import Usage

#: Why an answer is incomplete, by its finish reason.
_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}

_encode = msgspec.json.Encoder().encode


class ResponsesWriter:
    """Writes one answer; what may be kept is kept before its last event is written."""

    def __init__(
        self,
        ctx: RequestContext,
        call: ResponsesCall,
        store: ResponseStore,
        wall: Callable[[], float],
    ) -> None:
        self._ctx = ctx
        self._call = call
        self._store = store
        self._wall = wall
        self._events = Events(is_streaming=bool(call.view.stream))
        self._output = Output(call.response_id, self._events)
        self._progress = Progress(model=ctx.requested_model)
        self._is_kept = store.keeps(ctx, call)
        self._has_begun = False
        self._finish = ""

    def write(self, delta: Delta) -> bytes:
        """Return the events that say ``delta``."""
        self._take(delta)
        return self._events.take()

    async def end(self, usage: Usage | None) -> bytes:
        """Close what is open, keep the response, and say that it is over."""
        await self._finished(usage)
        return self._events.take()

    def fail(self, error: SantralError) -> bytes:
        """Say what went wrong: once as an event, which official clients raise, once as the end."""
        self._begin()
        said = {
            "type": error.kind,
            "code": error.detail_code,
            "message": error.message,
            "param": error.param,
        }
        flat = {name: said[name] for name in ("code", "message", "param")}
        self._events.send("error", {**flat, "error": said})
        self._progress.status = "failed"
        self._progress.error = failure(error)
        self._progress.output = self._output.so_far()
        self._is_kept = False
        self._events.send("response.failed", {"response": self._object()})
        return self._events.take()

    async def whole(self, deltas: Sequence[Delta], usage: Usage | None) -> bytes:
        """Return the response object."""
        for delta in deltas:
            self._take(delta)
        return await self._finished(usage)

    def _take(self, delta: Delta) -> None:
        progress = self._progress
        if not self._has_begun and delta.model:
            progress.model = delta.model
        progress.service_tier = delta.service_tier or progress.service_tier
        for choice in delta.choices:
            if choice.index:
                continue  # a response has one answer
            self._finish = choice.finish_reason or self._finish
            if choice.has_content or choice.details or choice.annotations:
                self._begin()
                self._output.add(choice, self._logprobs_of(choice, delta))

    def _begin(self) -> None:
        """Say that there is a response; not before it has content, as that cannot be taken back."""
        if not self._has_begun:
            self._has_begun = True
            for kind in ("response.created", "response.in_progress"):
                self._events.send(kind, {"response": self._object()})

    async def _finished(self, usage: Usage | None) -> bytes:
        self._begin()
        progress = self._progress
        reason = _REASONS.get(self._finish, "")
        progress.output = self._output.end("incomplete" if reason else "completed")
        progress.reason = reason
        progress.status = "incomplete" if reason else "completed"
        progress.usage = usage or Usage()
        if not reason:
            progress.completed_at = int(self._wall())
        body = _encode(self._object())
        if self._is_kept and not await self._store.keep(self._ctx, self._call, body):
            self._is_kept = False
            body = _encode(self._object())
        self._events.send(f"response.{progress.status}", {"response": msgspec.Raw(body)})
        return body

    def _object(self) -> dict[str, Any]:
        ctx = self._ctx
        return response_object(
            self._call,
            self._progress,
            created_at=ctx.started_at_us // 1_000_000,
            instructions=self._store.instructions_of(ctx, self._call),
            is_kept=self._is_kept,
        )

    def _logprobs_of(self, choice: ChoiceDelta, delta: Delta) -> list[Any]:
        """Return the log-probabilities of the delta's text, where the request wants them."""
        if not (self._call.asked.wants_logprobs and choice.text):
            return []
        return read_logprobs(choice.logprobs) or read_raw_logprobs(delta.raw)
