"""Writes one answer in Anthropic's protocol, streamed and whole, from the deltas of any provider."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from santral.errors import SantralError
from santral.gateway.context import RequestContext
from santral.gateway.dialects.messages.error import error_body
from santral.gateway.dialects.messages.machine import BlockMachine, Event, whole_content
from santral.wire.delta import ChoiceDelta, Delta
from santral.wire.messages import FINISH_OF, STOP_OF, wire_usage
from santral.wire.sse import encode_event
from santral.wire.usage import Usage

_encode = msgspec.json.Encoder().encode
_TIERS = ("standard", "priority", "batch")


class MessagesWriter:
    """Writes events or a message; only the first choice can be said."""

    __slots__ = (
        "_ctx",
        "_finish",
        "_has_begun",
        "_head",
        "_known",
        "_machine",
        "_native_finish",
        "_stop_sequence",
    )

    def __init__(self, ctx: RequestContext) -> None:
        self._ctx = ctx
        self._machine = BlockMachine()
        self._head = Delta()
        self._known: Usage | None = None
        self._has_begun = False
        self._finish = self._native_finish = self._stop_sequence = ""

    def write(self, delta: Delta) -> bytes:
        """Return the events of ``delta``; the first ones after ``message_start``."""
        return self._lines(self._events(delta))

    async def end(self, usage: Usage | None) -> bytes:
        """Return what closes the last block and the message."""
        usage = usage or self._known or Usage()
        stop = {
            "type": "message_delta",
            "delta": self._stop(),
            "usage": wire_usage(usage),
        }
        events = [*self._machine.end(), stop, {"type": "message_stop"}]
        return self._lines(events)

    def fail(self, error: SantralError) -> bytes:
        """Return the error as an event: official clients raise on it."""
        return encode_event(error_body(error, self._ctx.request_id), b"error")

    async def whole(self, deltas: Sequence[Delta], usage: Usage | None) -> bytes:
        """Return the message."""
        events = [event for delta in deltas for event in self._events(delta)]
        events += self._machine.end()
        message = self._message(usage or self._known or Usage())
        return _encode({**message, "content": whole_content(events), **self._stop()})

    def _events(self, delta: Delta) -> list[Event]:
        self._head = _joined(self._head, delta)
        self._known = delta.usage or self._known
        events: list[Event] = []
        for choice in delta.choices:
            if choice.index == 0:
                events += self._machine.take(choice)
                self._note(choice)
        return events

    def _note(self, choice: ChoiceDelta) -> None:
        self._finish = choice.finish_reason or self._finish
        self._native_finish = choice.native_finish or self._native_finish
        self._stop_sequence = choice.stop_sequence or self._stop_sequence

    def _lines(self, events: Iterable[Event]) -> bytes:
        lines = [encode_event(_encode(event), event["type"].encode()) for event in events]
        if not lines:
            return b""
        if not self._has_begun:
            self._has_begun = True
            start = {"type": "message_start", "message": self._opening()}
            lines.insert(0, encode_event(_encode(start), b"message_start"))
        return b"".join(lines)

    def _opening(self) -> dict[str, Any]:
        """Return the message as it is when it begins: usage is known or estimated, the end is not."""
        known = self._known or Usage(input_uncached=self._ctx.unit_tokens)
        nothing = {"stop_reason": None, "stop_sequence": None, "stop_details": None}
        return {**self._message(known), **nothing}

    def _message(self, usage: Usage) -> dict[str, Any]:
        ctx, head = self._ctx, self._head
        spent = wire_usage(usage)
        if head.service_tier in _TIERS:
            spent["service_tier"] = head.service_tier
        return {
            "id": head.id if head.id.startswith("msg_") else f"msg_{ctx.request_id}",
            "type": "message",
            "role": "assistant",
            "model": head.model or ctx.requested_model,
            "content": [],
            "usage": spent,
        }

    def _stop(self) -> dict[str, Any]:
        return {
            "stop_reason": self._stop_reason(),
            "stop_sequence": self._stop_sequence or None,
            "stop_details": self._machine.refusal,
        }

    def _stop_reason(self) -> str:
        if self._native_finish in FINISH_OF:
            return self._native_finish  # Anthropic's own word, or Bedrock's, which is the same
        reason = STOP_OF.get(self._finish, "end_turn")
        if reason == "end_turn" and self._machine.has_calls:
            return "tool_use"  # OpenAI says "stop" where a function was forced
        return "stop_sequence" if reason == "end_turn" and self._stop_sequence else reason


def _joined(head: Delta, delta: Delta) -> Delta:
    """Return who answers, as far as it is known by now."""
    if head.id and head.model and head.service_tier:
        return head
    return Delta(
        id=head.id or delta.id,
        model=head.model or delta.model,
        service_tier=head.service_tier or delta.service_tier,
    )
