"""The block-state machine: deltas of any provider as well-formed blocks of Anthropic's protocol.

Each block opens once, gets pieces of its own type, and closes before the next opens. The first block
that is not yet over streams; those that begin meanwhile wait, so tool calls which a provider
interleaves still leave one after the other. A text or a piece of reasoning is over as soon as
something else comes, a tool call as soon as its arguments are whole JSON and something else comes.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Raw

from santral.gateway.dialects.messages.opaque import wrap, wrap_call
from santral.providers.conversation.messages import span_of
from santral.wire.delta import ChoiceDelta, ReasoningDetail, ToolCallDelta
from santral.wire.messages import MESSAGES

Event: TypeAlias = dict[str, Any]
_Kind: TypeAlias = Literal["text", "thinking", "tool", "whole"]
_object = msgspec.json.Decoder(dict[str, Raw])
_kind_of = msgspec.json.Decoder(dict[str, Any])


class _Block:
    """One block from its first piece to its end; ``waiting`` are pieces that have not left."""

    __slots__ = ("arguments", "closing", "is_open", "is_sealed", "kind", "start", "waiting")

    def __init__(self, kind: _Kind, start: Any) -> None:
        self.kind: _Kind = kind
        self.start = start
        self.waiting: list[dict[str, Any]] = []
        self.arguments = ""
        self.closing = ""  # what completes the arguments
        self.is_open = False
        self.is_sealed = False  # takes no further pieces

    @property
    def is_over(self) -> bool:
        """Whether it may close when another one has begun."""
        return self.kind != "tool" or _is_object(self.arguments)


class BlockMachine:
    """Turns what one answer's deltas add into events, indexes counted from 0."""

    def __init__(self) -> None:
        self._queue: deque[_Block] = deque()
        self._calls: dict[int, _Block] = {}
        self._index = 0
        self.has_calls = False
        self.refusal: Raw | None = None  # stop_details of Anthropic's own

    def take(self, choice: ChoiceDelta) -> list[Event]:
        """Return the events of one delta: reasoning, text, tools, native blocks, in that order."""
        self._take_reasoning(choice)
        for detail in choice.details if not choice.reasoning else ():
            self._take_detail(detail)
        refusals = [block for block in choice.native if _is_refusal(block.dialect, block.json)]
        if choice.begins_block and self._queue:
            self._queue[-1].is_sealed = True
        self._take_text(choice.text or ("" if refusals else choice.refusal))
        for raw in choice.annotations:
            self._take_annotation(raw)
        for call in choice.tool_calls:
            self._take_call(call)
        for block in choice.native:
            if block in refusals:
                self.refusal = Raw(block.json)
            elif block.dialect == MESSAGES:
                self._begin(_Block("whole", Raw(block.json)))
                self.has_calls = self.has_calls or b'"tool_use"' in block.json
        return self._leave(is_end=False)

    def end(self) -> list[Event]:
        """Return the events that close everything."""
        return self._leave(is_end=True)

    def _take_reasoning(self, choice: ChoiceDelta) -> None:
        """Take reasoning and, where they come together, the details that close its parts."""
        if not choice.reasoning:
            return
        for text, detail in _shared_out(choice.reasoning, choice.details):
            if text:
                piece = {"type": "thinking_delta", "thinking": text}
                self._thinking().waiting.append(piece)
            if detail is not None:
                self._take_detail(detail)

    def _take_detail(self, detail: ReasoningDetail) -> None:
        if detail.type == "encrypted":
            self._begin(_Block("whole", {"type": "redacted_thinking", "data": wrap(detail)}))
            return
        signature = wrap(detail)
        block = self._thinking()
        if signature:
            block.waiting.append({"type": "signature_delta", "signature": signature})
        block.is_sealed = True

    def _take_text(self, text: str) -> None:
        if text:
            block = self._last("text", {"type": "text", "text": ""})
            block.waiting.append({"type": "text_delta", "text": text})

    def _take_annotation(self, raw: Raw) -> None:
        """Attach a citation of Anthropic's own to the text it is about."""
        fields = _object.decode(raw)
        citation = fields.get("anthropic") or fields.get("block")
        block = next((b for b in reversed(self._queue) if b.kind == "text"), None)
        if citation is None or block is None:
            return
        block.waiting.append({"type": "citations_delta", "citation": citation})
        if not block.is_open:
            block.start = {**block.start, "citations": []}

    def _take_call(self, call: ToolCallDelta) -> None:
        block = self._calls.get(call.index)
        if block is None:
            self.has_calls = True
            start: dict[str, Any] = {
                "type": "tool_use",
                "id": call.id or f"toolu_{call.index}",
                "name": call.name,
                "input": {},
            }
            if call.signature:
                self._take_signature(start["id"], call.signature)
            block = self._calls[call.index] = self._begin(_Block("tool", start))
        elif call.signature:
            self._take_signature(block.start["id"], call.signature)
        said = _in_object(block, call.arguments) if call.kind == "custom" else call.arguments
        if said and not block.is_sealed:
            block.arguments += said
            block.waiting.append({"type": "input_json_delta", "partial_json": said})

    def _take_signature(self, call_id: str, signature: str) -> None:
        data = wrap_call(call_id, signature)
        self._begin(_Block("whole", {"type": "redacted_thinking", "data": data}))

    def _thinking(self) -> _Block:
        return self._last("thinking", {"type": "thinking", "thinking": "", "signature": ""})

    def _last(self, kind: _Kind, start: dict[str, Any]) -> _Block:
        """Return the last block if a piece of this kind goes on with it, else a new one."""
        if self._queue and (last := self._queue[-1]).kind == kind and not last.is_sealed:
            return last
        return self._begin(_Block(kind, start))

    def _begin(self, block: _Block) -> _Block:
        self._queue.append(block)
        return block

    def _leave(self, *, is_end: bool) -> list[Event]:
        """Let out what may leave: the first block as it comes, others once it is over."""
        events: list[Event] = []
        while self._queue:
            block = self._queue[0]
            if not block.is_open:
                block.is_open = True
                events.append(
                    {
                        "type": "content_block_start",
                        "index": self._index,
                        "content_block": block.start,
                    }
                )
            events += [
                {"type": "content_block_delta", "index": self._index, "delta": piece}
                for piece in block.waiting
            ]
            block.waiting = []
            if not (is_end or (len(self._queue) > 1 and block.is_over)):
                break
            if block.closing:
                events.append(_closing(self._index, block.closing))
            block.is_sealed = True
            events.append({"type": "content_block_stop", "index": self._index})
            self._index += 1
            self._queue.popleft()
        return events


def _in_object(block: _Block, said: str) -> str:
    """Return plain text of a custom tool as a piece of an object: a tool's input is one here."""
    opening = "" if block.closing else '{"input":"'
    block.closing = '"}'
    return opening + msgspec.json.encode(said).decode()[1:-1]


def _closing(index: int, text: str) -> Event:
    piece = {"type": "input_json_delta", "partial_json": text}
    return {"type": "content_block_delta", "index": index, "delta": piece}


def _shared_out(
    reasoning: str, details: tuple[ReasoningDetail, ...]
) -> list[tuple[str, ReasoningDetail | None]]:
    """Return reasoning and details in turns: a whole answer has the texts of all its parts in one."""
    closing = [detail for detail in details if detail.type != "encrypted"]
    spans = [span_of(detail.id) for detail in closing]
    if len(closing) < 2 or sum(spans) != len(reasoning):
        return [(reasoning, None), *(("", detail) for detail in details)]
    parts: list[tuple[str, ReasoningDetail | None]] = []
    start = 0
    for detail in details:
        size = 0 if detail.type == "encrypted" else span_of(detail.id)
        parts.append((reasoning[start : start + size], detail))
        start += size
    return parts


def _is_refusal(dialect: str, json: bytes) -> bool:
    """Whether a native block is why Anthropic refused: it belongs to the stop, not to the content."""
    if dialect != MESSAGES or b'"refusal"' not in json:
        return False
    return _kind_of.decode(json).get("type") == "refusal"


def _is_object(arguments: str) -> bool:
    if not arguments.rstrip().endswith("}"):
        return False
    try:
        _object.decode(arguments.encode())
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def whole_content(events: list[Event]) -> list[Any]:
    """Return ``content`` as the events of all blocks add up to it."""
    blocks: list[Any] = []
    for event in events:
        if event["type"] == "content_block_start":
            start = event["content_block"]
            blocks.append({**start} if isinstance(start, dict) else start)
        elif event["type"] == "content_block_delta":
            _apply(blocks[-1], event["delta"])
    return [_finished(block) for block in blocks]


def _apply(block: dict[str, Any], piece: dict[str, Any]) -> None:
    for name, value in piece.items():
        if name == "partial_json":
            block["partial"] = block.get("partial", "") + value
        elif name == "citation":
            block["citations"] = [*block.get("citations", ()), value]
        elif name != "type":
            block[name] = block[name] + value


def _finished(block: dict[str, Any] | Raw) -> Any:
    if isinstance(block, Raw) or "partial" not in block:
        return block
    said = str(block.pop("partial"))
    return {**block, "input": Raw(said.encode()) if _is_object(said) else {"text": said}}
