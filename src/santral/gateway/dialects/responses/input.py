"""The items of a Responses conversation, read into the messages of the internal form.

What a model said in one go (reasoning, text, calls) becomes one assistant message; ``block_order``
says in which order where that is not the usual one. Source:
https://platform.openai.com/docs/api-reference/responses/create, input
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from santral.gateway.dialects.responses.parts import (
    NONE,
    decode,
    malformed,
    native,
    read_content,
)
from santral.wire.responses import GOOGLE, Opaque, unseal


class _Head(Struct, frozen=True):
    type: str | None = None
    role: str | None = None
    id: str | None = None
    call_id: str | None = None


class _Message(Struct, frozen=True):
    role: Literal["user", "assistant", "system", "developer"]
    content: Raw = NONE


class _FunctionCall(Struct, frozen=True):
    call_id: str
    name: str
    arguments: str


class _CustomCall(Struct, frozen=True):
    call_id: str
    name: str
    input: str


class _Result(Struct, frozen=True):
    call_id: str
    output: Raw


class _Text(Struct, frozen=True):
    text: str


class _Reasoning(Struct, frozen=True):
    id: str = ""
    summary: list[_Text] = []
    content: list[_Text] | None = None
    encrypted_content: str | None = None


_head = msgspec.json.Decoder(_Head)
_message = msgspec.json.Decoder(_Message)
_function_call = msgspec.json.Decoder(_FunctionCall)
_custom_call = msgspec.json.Decoder(_CustomCall)
_result = msgspec.json.Decoder(_Result)
_reasoning = msgspec.json.Decoder(_Reasoning)

#: The order of blocks in a message of the internal form where it says nothing else.
_USUAL = ("reasoning", "content", "tool_call")


def reference_in(raw: Raw, place: str) -> str:
    """Return the id an item refers to another by, or an empty text."""
    head = decode(_head, raw, place)
    is_reference = head.type == "item_reference" or (
        head.type is None and head.role is None and head.id is not None
    )
    return (head.id or "") if is_reference else ""


class _Said:
    """What a model said in one go."""

    def __init__(self) -> None:
        self.content: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.thoughts: list[str] = []
        self.details: list[dict[str, Any]] = []
        self.order: list[str] = []

    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self._content()}
        if self.thoughts:
            message["reasoning_content"] = "\n\n".join(self.thoughts)
        if any("format" in detail for detail in self.details):
            message["reasoning_details"] = self.details
        if self.calls:
            message["tool_calls"] = self.calls
        if self.order != sorted(self.order, key=_USUAL.index):
            message["block_order"] = self.order
        return message

    def _content(self) -> Any:
        if len(self.content) == 1 and self.content[0]["type"] == "text":
            return self.content[0]["text"]
        return self.content or (None if self.calls else "")


class InputReader:
    """Reads items one after the other; ``messages`` returns what they are in the internal form."""

    def __init__(self) -> None:
        self._messages: list[dict[str, Any]] = []
        self._said: _Said | None = None
        self._calls: dict[str, dict[str, Any]] = {}  # functions and custom tools
        self._native_calls: set[str] = set()

    def messages(self) -> list[dict[str, Any]]:
        self._end_saying()
        return self._messages

    def say(self, role: str, content: Any) -> None:
        """Add a message."""
        self._end_saying()
        self._messages.append({"role": role, "content": content})

    def read(self, items: Iterable[Raw], place: str) -> None:
        """Read items that stand at ``place`` of the request.

        Raises:
            BadRequest: an item is malformed, or answers a call that nobody made.
        """
        for position, raw in enumerate(items):
            where = f"{place}[{position}]"
            head = decode(_head, raw, where)
            kind = head.type or "message"
            read = _READERS.get(kind)
            if read is None:
                self._read_native(raw, kind, head)
            else:
                read(self, raw, where)

    def read_message(self, raw: Raw, place: str) -> None:
        message = decode(_message, raw, place)
        content = read_content(message.content, f"{place}.content")
        if message.role != "assistant":
            self.say(message.role, content)
            return
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        said = self._saying()
        said.content += parts
        said.order += ["content"] * len(parts)

    def read_function_call(self, raw: Raw, place: str) -> None:
        call = decode(_function_call, raw, place)
        function = {"name": call.name, "arguments": call.arguments}
        self._call(call.call_id, {"type": "function", "function": function})

    def read_custom_call(self, raw: Raw, place: str) -> None:
        call = decode(_custom_call, raw, place)
        custom = {"name": call.name, "input": call.input}
        self._call(call.call_id, {"type": "custom", "custom": custom})

    def _call(self, call_id: str, call: dict[str, Any]) -> None:
        self._calls[call_id] = call = {"id": call_id, **call}
        said = self._saying()
        said.calls.append(call)
        said.order.append("tool_call")

    def read_result(self, raw: Raw, place: str) -> None:
        result = decode(_result, raw, place)
        if result.call_id in self._native_calls:
            self.say("user", [native(raw)])
            return
        if result.call_id not in self._calls:
            raise malformed(
                f"{place}.call_id",
                f"No tool call found for '{place}.call_id' = '{result.call_id[:128]}': put the "
                "function_call before its output, or name its response as previous_response_id.",
            )
        self._end_saying()
        content = read_content(result.output, f"{place}.output")
        self._messages.append({"role": "tool", "tool_call_id": result.call_id, "content": content})

    def read_reasoning(self, raw: Raw, place: str) -> None:
        item = decode(_reasoning, raw, place)
        text = "\n\n".join(part.text for part in item.summary or item.content or ())
        opaque = None
        if item.encrypted_content:
            try:
                opaque = unseal(item.encrypted_content, item.id)
            except ValueError:
                where = f"{place}.encrypted_content"
                raise malformed(
                    where, f"'{where}' has been changed; send it back as it came."
                ) from None
        if opaque is not None and opaque.kind == "call":
            self._sign(opaque)
        else:
            self._think(text, opaque)

    def _sign(self, opaque: Opaque) -> None:
        """Give a call back the signature that its vendor wants to see with it."""
        call = self._calls.get(opaque.id)
        if call is not None and opaque.format == GOOGLE:
            call["extra_content"] = {"google": {"thought_signature": opaque.signature}}

    def _think(self, text: str, opaque: Opaque | None) -> None:
        said = self._saying()
        if text:
            said.thoughts.append(text)
        if opaque is None:
            details: list[dict[str, Any]] = [{"type": "reasoning.text", "text": text}]
        elif opaque.kind == "encrypted" and text:
            shown = {"type": "reasoning.summary", "summary": text, "format": opaque.format}
            details = [shown, _detail(opaque)]
        else:
            details = [_detail(opaque) | ({"text": text} if text else {})]
        said.details += details
        said.order += ["reasoning"] * len(details)

    def _read_native(self, raw: Raw, kind: str, head: _Head) -> None:
        if kind.endswith("_output") or kind == "mcp_approval_response":
            self.say("user", [native(raw)])
            return
        if head.call_id:
            self._native_calls.add(head.call_id)
        said = self._saying()
        said.content.append(native(raw))
        said.order.append("content")

    def _saying(self) -> _Said:
        if self._said is None:
            self._said = _Said()
        return self._said

    def _end_saying(self) -> None:
        if self._said is not None:
            self._messages.append(self._said.message())
            self._said = None


def _detail(opaque: Opaque) -> dict[str, Any]:
    named = {
        name: value
        for name in ("signature", "data", "id", "format")
        if (value := getattr(opaque, name))
    }
    return {"type": f"reasoning.{opaque.kind}", **named}


_READERS: dict[str, Callable[[InputReader, Raw, str], None]] = {
    "message": InputReader.read_message,
    "function_call": InputReader.read_function_call,
    "function_call_output": InputReader.read_result,
    "custom_tool_call": InputReader.read_custom_call,
    "custom_tool_call_output": InputReader.read_result,
    "reasoning": InputReader.read_reasoning,
}
