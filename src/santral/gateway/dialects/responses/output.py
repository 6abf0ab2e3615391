"""The output of one Responses answer, told delta by delta."""

from __future__ import annotations

from collections import deque
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from santral.gateway.dialects.responses.blocks import (
    Block,
    CallBlock,
    CustomCallBlock,
    MessageBlock,
    NativeBlockItem,
    ReasoningBlock,
    Status,
    close_all,
)
from santral.gateway.dialects.responses.events import Events
from santral.providers.conversation.messages import span_of
from santral.wire.delta import ChoiceDelta, ReasoningDetail, ToolCallDelta
from santral.wire.responses import DIALECT, GOOGLE, OPENAI, Opaque, is_sealed, opaque_of, seal

_B = TypeVar("_B", bound=Block)
_annotation = msgspec.json.Decoder(dict[str, Raw])


class Output:
    """Puts what is said into items; the one that is open streams, those behind it wait."""

    def __init__(self, response_id: str, events: Events) -> None:
        self._response_id = response_id
        self._events = events
        self._queue: deque[Block] = deque()
        self._calls: dict[int, CallBlock] = {}
        self._tail: Block | None = None
        self._count = 0
        self._items: list[dict[str, Any] | Raw] = []

    def add(self, choice: ChoiceDelta, logprobs: list[Any]) -> None:
        """Take one delta; what may be sent of it is sent."""
        self._reason(choice)
        if choice.text:
            self._message().say("output_text", choice.text, logprobs)
        if choice.refusal:
            self._message().say("refusal", choice.refusal, [])
        for annotation in map(_flat, choice.annotations):
            if annotation is not None:
                self._message().annotate(annotation)
        for call in choice.tool_calls:
            self._call(call)
        for block in choice.native:
            if block.dialect == DIALECT:
                suffix, index = self._next()
                self._append(NativeBlockItem(suffix, index, block.json))
        self._drain()

    def end(self, last: Status) -> list[dict[str, Any] | Raw]:
        """Close what is open, and return all items; the last one has the status ``last``."""
        self._items += close_all(list(self._queue), self._events, last)
        self._queue.clear()
        return self._items

    def so_far(self) -> list[dict[str, Any] | Raw]:
        """Return the items of an answer that failed: the open one as far as it came."""
        return [*self._items, *(block.item("incomplete") for block in list(self._queue)[:1])]

    def _drain(self) -> None:
        queue = self._queue
        while queue:
            head = queue[0]
            head.flush(self._events)
            if not (head.is_ended or (len(queue) > 1 and head.is_complete)):
                return
            self._items.append(head.close(self._events, "completed"))
            queue.popleft()

    def _reason(self, choice: ChoiceDelta) -> None:
        said, details = choice.reasoning, choice.details
        for detail in details:
            span = span_of(detail.id)
            if len(details) > 1 and span and len(said) >= span:
                self._thoughts().say(said[:span])
                said = said[span:]
                self._seal(detail)
            else:
                if said:
                    self._thoughts().say(said)
                    said = ""
                self._seal(detail)
        if said:
            self._thoughts().say(said)

    def _seal(self, detail: ReasoningDetail) -> None:
        """End a piece of reasoning with what its vendor wants back; a summary wants nothing."""
        if detail.type == "summary" and not (detail.signature or detail.data):
            return
        joins = detail.type != "encrypted" or detail.format == OPENAI
        block = self._thoughts() if joins else self._new(ReasoningBlock)
        block.seal(detail.data if is_sealed(detail.data) else seal(opaque_of(detail)))

    def _thoughts(self) -> ReasoningBlock:
        tail = self._tail
        if isinstance(tail, ReasoningBlock) and not tail.is_ended:
            return tail
        return self._new(ReasoningBlock)

    def _message(self) -> MessageBlock:
        tail = self._tail
        return tail if isinstance(tail, MessageBlock) else self._new(MessageBlock)

    def _call(self, call: ToolCallDelta) -> None:
        block = self._calls.get(call.index)
        if block is None:
            block = self._new(CustomCallBlock if call.kind == "custom" else CallBlock)
            self._calls[call.index] = block
        block.call_id = block.call_id or call.id
        block.name = block.name or call.name
        block.say(call.arguments)
        if call.signature:
            opaque = Opaque("call", GOOGLE, signature=call.signature, id=block.call_id)
            self._new(ReasoningBlock).seal(seal(opaque))

    def _new(self, kind: type[_B]) -> _B:
        block = kind(*self._next())
        self._append(block)
        return block

    def _append(self, block: Block) -> None:
        self._queue.append(block)
        self._tail = block

    def _next(self) -> tuple[str, int]:
        """Return the id of the next item without its prefix, and its position."""
        index = self._count
        self._count += 1
        return item_suffix(self._response_id, index), index


def item_suffix(response_id: str, number: int) -> str:
    """Return what the id of an item is made of: clients may refer to it by that."""
    return f"{response_id}{number:04x}"


def _flat(annotation: Raw) -> dict[str, Any] | Raw | None:
    """Return an annotation without the level that chat completions put it into.

    None where only another dialect knows it: the official SDKs read four kinds.
    """
    fields = _annotation.decode(annotation)
    kind = msgspec.json.decode(fields.get("type", b'""'))
    if kind == "native":
        return None
    inner = fields.get(kind) if isinstance(kind, str) else None
    return {"type": kind, **_annotation.decode(inner)} if inner is not None else annotation
