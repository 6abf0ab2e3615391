"""What an answer says as Gemini's parts: texts at once, calls when they are whole.

Source: https://ai.google.dev/api/caching#Part, https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import msgspec
from msgspec import Raw

from santral.gateway.dialects.gemini.opaque import seal
from santral.wire.delta import ChoiceDelta, ReasoningDetail, ToolCallDelta
from santral.wire.gemini import FORMAT
from santral.wire.render import joined_call

_object = msgspec.json.Decoder(dict[str, Raw])

#: What stands beside the parts of a candidate and came as a native block.
BESIDE = frozenset({"groundingMetadata", "urlContextMetadata"})


class Parts:
    """The parts of one candidate. ``beside`` is what native blocks said about the candidate itself.

    A call waits until it is whole, the last piece of a thought for the signature that may follow:
    clients, the AI SDK among them, forget one that stands on an empty thought.
    """

    __slots__ = ("_call", "_piece", "_shows", "_thought", "beside")

    def __init__(self, *, shows_thoughts: bool) -> None:
        self._shows = shows_thoughts
        self._thought = ""  # since the last signature
        self._call: ToolCallDelta | None = None  # never together with a piece
        self._piece = ""
        self.beside: dict[str, Raw] = {}

    def add(self, choice: ChoiceDelta) -> list[Any]:
        """Return the parts that ``choice`` completes."""
        parts = list(self._said(choice))
        for detail in choice.details:
            if _closes_text(detail):
                parts += [*self.flush(), {"text": "", "thoughtSignature": detail.data}]
        for call in choice.tool_calls:
            if self._call is not None and call.index == self._call.index:
                self._call = joined_call(self._call, call)
            else:
                parts += self.flush()
                self._call = call
        return parts

    def flush(self) -> list[Any]:
        """Return what waited, a call or a piece of a thought: nothing more belongs to it."""
        call, self._call = self._call, None
        piece, self._piece = self._piece, ""
        if piece:
            return [{"text": piece, "thought": True}]
        return [] if call is None else [_call_part(call)]

    def _said(self, choice: ChoiceDelta) -> Iterator[Any]:
        yield from self._thoughts(choice)
        for text in (choice.text, choice.refusal):
            if text:
                yield from self.flush()
                yield {"text": text}
        for block in choice.native:
            if block.dialect == "gemini":
                fields = _object.decode(block.json)
                if fields.keys() <= BESIDE:
                    self.beside |= fields
                else:
                    yield from self.flush()
                    yield Raw(block.json)

    def _thoughts(self, choice: ChoiceDelta) -> Iterator[Any]:
        """Yield what was thought; its details close the text before them."""
        details = [detail for detail in choice.details if not _closes_text(detail)]
        self._thought += choice.reasoning
        if self._shows and choice.reasoning:
            yield from self.flush()
            self._piece = choice.reasoning
        for detail in details:
            if not self._piece:
                yield from self.flush()
            piece, self._piece = self._piece, ""
            yield {"text": piece, "thought": True, "thoughtSignature": self._signature(detail)}

    def _signature(self, detail: ReasoningDetail) -> str:
        if detail.format == FORMAT:
            self._thought = ""
            return detail.signature
        hidden = ""
        if detail.type != "encrypted":
            hidden, self._thought = ("" if self._shows else self._thought), ""
        return seal(detail, hidden)


def _closes_text(detail: ReasoningDetail) -> bool:
    return detail.format == FORMAT and detail.type == "encrypted"


def _call_part(call: ToolCallDelta) -> dict[str, Any]:
    said = {"id": call.id, "name": call.name, "args": _args(call)}
    part: dict[str, Any] = {"functionCall": {name: value for name, value in said.items() if value}}
    return part | ({"thoughtSignature": call.signature} if call.signature else {})


def _args(call: ToolCallDelta) -> Any:
    """Return arguments as the object that Gemini's clients expect; a model may have written anything."""
    if call.kind == "custom":
        return {"input": call.arguments}
    said = call.arguments.strip()
    if not said:
        return {}
    try:
        _object.decode(said)
    except (msgspec.DecodeError, RecursionError):
        return {"input": call.arguments}
    return Raw(said.encode())


def joined(parts: list[Any]) -> list[Any]:
    """Return the parts of a whole answer: neighbours that are plain texts of one kind are one."""
    made: list[Any] = []
    for part in parts:
        last = _text_of(made[-1]) if made else {}
        this = _text_of(part)
        if not last or not this or last.get("thought") != this.get("thought"):
            made.append(part)
        elif "thoughtSignature" not in last and (
            "thoughtSignature" not in this or not this["text"]
        ):
            made[-1] = last | this | {"text": last["text"] + this["text"]}
        else:
            made.append(part)
    return made


def _text_of(part: Any) -> dict[str, Any]:
    """Return a part that is a text of ours, else nothing."""
    if isinstance(part, dict) and "text" in part:
        return cast("dict[str, Any]", part)
    return {}
