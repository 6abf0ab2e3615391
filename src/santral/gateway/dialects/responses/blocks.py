"""The items of one answer while they grow: each opens once and closes before the next one opens.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import msgspec
from msgspec import Raw

from santral.gateway.dialects.responses.events import Events

Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class Block(ABC):
    """One item of the output. What is said goes into ``_pending`` until ``flush`` sends it."""

    prefix: ClassVar[str]

    def __init__(self, suffix: str, index: int) -> None:
        self.index = index
        self.id = f"{self.prefix}_{suffix}"
        self.is_ended = False  # nothing more will be said
        self._is_open = False

    @property
    def is_complete(self) -> bool:
        """Whether it may be closed once another block waits."""
        return True

    def flush(self, events: Events) -> None:
        """Send what has been said; opens the item."""
        if not self._is_open:
            self._is_open = True
            fields = {"output_index": self.index, "item": self._opening()}
            events.send("response.output_item.added", fields)

    def close(self, events: Events, status: Status) -> dict[str, Any] | Raw:
        """Close the item and return it whole."""
        self.flush(events)
        self._end(events)
        item = self.item(status)
        events.send("response.output_item.done", {"output_index": self.index, "item": item})
        return item

    @abstractmethod
    def item(self, status: Status) -> dict[str, Any] | Raw:
        """Return the item as it is with ``status``."""

    def _opening(self) -> dict[str, Any] | Raw:
        return self.item("in_progress")

    @abstractmethod
    def _end(self, events: Events) -> None:
        """Send what has to come before the item's end."""

    def _place(self) -> dict[str, Any]:
        return {"item_id": self.id, "output_index": self.index}


class MessageBlock(Block):
    """Text and refusal, in parts."""

    prefix = "msg"

    def __init__(self, suffix: str, index: int) -> None:
        super().__init__(suffix, index)
        self._parts: list[dict[str, Any]] = []
        self._pieces: list[str] = []  # of the part that is open
        self._encoded_place = b""  # where that is
        self._pending: list[tuple[str, Any, list[Any]]] = []

    def say(self, kind: Literal["output_text", "refusal"], text: str, logprobs: list[Any]) -> None:
        self._pending.append((kind, text, logprobs))

    def annotate(self, annotation: dict[str, Any] | Raw) -> None:
        self._pending.append(("annotation", annotation, []))

    def flush(self, events: Events) -> None:
        super().flush(events)
        for kind, said, logprobs in self._pending:
            if kind == "annotation":
                self._annotate(events, said)
            else:
                self._say(events, kind, said, logprobs)
        self._pending.clear()

    def item(self, status: Status) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": list(self._parts),
        }

    def _say(self, events: Events, kind: str, text: str, logprobs: list[Any]) -> None:
        if not self._parts or self._parts[-1]["type"] != kind:
            self._end_part(events)
            self._begin_part(events, kind)
        self._pieces.append(text)
        if kind == "refusal":
            events.send("response.refusal.delta", {**self._place(), "delta": text})
        elif logprobs:
            self._parts[-1]["logprobs"] += logprobs
            fields = {**self._place(), "delta": text, "logprobs": logprobs}
            events.send("response.output_text.delta", fields)
        else:
            events.send_text(self._encoded_place, text)

    def _annotate(self, events: Events, annotation: dict[str, Any] | Raw) -> None:
        if not self._parts or self._parts[-1]["type"] != "output_text":
            self._end_part(events)
            self._begin_part(events, "output_text")
        annotations = self._parts[-1]["annotations"]
        events.send(
            "response.output_text.annotation.added",
            {
                **self._place(),
                "annotation_index": len(annotations),
                "annotation": annotation,
            },
        )
        annotations.append(annotation)

    def _begin_part(self, events: Events, kind: str) -> None:
        part: dict[str, Any] = (
            {"type": kind, "refusal": ""}
            if kind == "refusal"
            else {"type": kind, "text": "", "annotations": [], "logprobs": []}
        )
        self._parts.append(part)
        self._encoded_place = msgspec.json.encode(self._place())[1:-1]
        events.send("response.content_part.added", {**self._place(), "part": part})

    def _end_part(self, events: Events) -> None:
        if not self._parts:
            return
        part, text, place = self._parts[-1], "".join(self._pieces), self._place()
        self._pieces.clear()
        if part["type"] == "refusal":
            part["refusal"] = text
            events.send("response.refusal.done", {**place, "refusal": text})
        else:
            part["text"] = text
            done = {**place, "text": text, "logprobs": part["logprobs"]}
            events.send("response.output_text.done", done)
        events.send("response.content_part.done", {**place, "part": part})

    def _end(self, events: Events) -> None:
        self._end_part(events)

    def _place(self) -> dict[str, Any]:
        return {**super()._place(), "content_index": len(self._parts) - 1}


class ReasoningBlock(Block):
    """Reasoning as a summary, and what its vendor wants back."""

    prefix = "rs"

    def __init__(self, suffix: str, index: int) -> None:
        super().__init__(suffix, index)
        self._encrypted = ""
        self._pieces: list[str] = []
        self._pending: list[str] = []

    def say(self, text: str) -> None:
        self._pending.append(text)

    def seal(self, encrypted: str) -> None:
        """End the reasoning with what its vendor wants back."""
        self._encrypted = encrypted
        self.is_ended = True

    def flush(self, events: Events) -> None:
        super().flush(events)
        for text in self._pending:
            if not self._pieces:
                part = {"type": "summary_text", "text": ""}
                fields = {**self._place(), "part": part}
                events.send("response.reasoning_summary_part.added", fields)
            self._pieces.append(text)
            fields = {**self._place(), "delta": text}
            events.send("response.reasoning_summary_text.delta", fields)
        self._pending.clear()

    def item(self, status: Status) -> dict[str, Any]:
        summary = self._summary() if status != "in_progress" else []
        item: dict[str, Any] = {"id": self.id, "type": "reasoning", "summary": summary}
        if self._encrypted and status != "in_progress":
            item["encrypted_content"] = self._encrypted
        return item

    def _summary(self) -> list[dict[str, str]]:
        text = "".join(self._pieces)
        return [{"type": "summary_text", "text": text}] if text else []

    def _end(self, events: Events) -> None:
        for part in self._summary():
            place = self._place()
            done = {**place, "text": part["text"]}
            events.send("response.reasoning_summary_text.done", done)
            events.send("response.reasoning_summary_part.done", {**place, "part": part})

    def _place(self) -> dict[str, Any]:
        return {**super()._place(), "summary_index": 0}


class CallBlock(Block):
    """The call of a function; its arguments are JSON."""

    prefix = "fc"
    kind: ClassVar[str] = "function_call"
    said: ClassVar[str] = "arguments"
    event: ClassVar[str] = "response.function_call_arguments"

    def __init__(self, suffix: str, index: int) -> None:
        super().__init__(suffix, index)
        self.call_id = ""
        self.name = ""
        self._pieces: list[str] = []
        self._sent = 0

    def say(self, piece: str) -> None:
        if piece:
            self._pieces.append(piece)

    @property
    def is_complete(self) -> bool:
        """Providers send calls one after the other, but some interleave them."""
        try:
            return isinstance(msgspec.json.decode("".join(self._pieces)), dict)
        except msgspec.DecodeError:
            return False

    def flush(self, events: Events) -> None:
        if not (self.name or self._is_open or self.is_ended):
            return  # its name has to come before anything else
        super().flush(events)
        for piece in self._pieces[self._sent :]:
            events.send(f"{self.event}.delta", {**self._place(), "delta": piece})
        self._sent = len(self._pieces)

    def item(self, status: Status) -> dict[str, Any]:
        said = "" if status == "in_progress" else "".join(self._pieces)
        return {
            "id": self.id,
            "type": self.kind,
            "status": status,
            self.said: said,
            "call_id": self.call_id or f"call_{self.id.partition('_')[2]}",
            "name": self.name,
        }

    def close(self, events: Events, status: Status) -> dict[str, Any] | Raw:
        self.is_ended = True
        if not self._pieces and status == "completed":
            self.say(self._nothing())
        return super().close(events, status)

    def _nothing(self) -> str:
        return "{}"  # clients read the arguments as JSON

    def _end(self, events: Events) -> None:
        fields = {**self._place(), "name": self.name, self.said: "".join(self._pieces)}
        events.send(f"{self.event}.done", fields)


class CustomCallBlock(CallBlock):
    """The call of a custom tool; its input is plain text, and only the answer's end ends it."""

    prefix = "ctc"
    kind = "custom_tool_call"
    said = "input"
    event = "response.custom_tool_call_input"

    @property
    def is_complete(self) -> bool:
        return False

    def _nothing(self) -> str:
        return ""


class NativeBlockItem(Block):
    """An item of the provider's own that comes whole."""

    prefix = "item"

    def __init__(self, suffix: str, index: int, json: bytes) -> None:
        super().__init__(suffix, index)
        self._json = Raw(json)
        self.is_ended = True

    def item(self, status: Status) -> Raw:
        return self._json

    def _end(self, events: Events) -> None:
        """Nothing: it came whole."""


def close_all(blocks: Sequence[Block], events: Events, last: Status) -> list[dict[str, Any] | Raw]:
    """Close blocks in their order, the last one with the status ``last``; return their items."""
    return [block.close(events, last if block is blocks[-1] else "completed") for block in blocks]
