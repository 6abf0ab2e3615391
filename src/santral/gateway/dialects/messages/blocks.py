"""Anthropic's messages in chat form; a block that chat has no word for rides along as native."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Raw

from santral.errors import BadRequest
from santral.gateway.dialects.messages.cited import foreign_citations
from santral.gateway.dialects.messages.opaque import unwrap, unwrap_call
from santral.gateway.dialects.messages.shapes import (
    Document,
    Image,
    Message,
    Redacted,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    is_given,
    read_as,
    type_of,
)
from santral.wire.delta import ReasoningDetail
from santral.wire.messages import MESSAGES


def chat_messages(messages: Sequence[Message], path: str = "messages") -> list[dict[str, Any]]:
    """Return the messages in chat form; results of tools become messages of their own.

    Raises:
        BadRequest: a block has a wrong shape; its place is named.
    """
    made: list[dict[str, Any]] = []
    for at, message in enumerate(messages):
        place = f"{path}.{at}"
        if message.role == "assistant":
            made.append(_assistant(message, place))
        elif isinstance(message.content, str):
            made.append({"role": message.role, "content": message.content})
        else:
            made += _user(message.role, message.content, f"{place}.content")
    return made


def content_parts(blocks: Sequence[Raw], path: str) -> list[dict[str, Any]]:
    """Return blocks as content parts."""
    made: list[dict[str, Any]] = []
    for at, block in enumerate(blocks):
        place = f"{path}.{at}"
        made.append(_part(block, place, type_of(block, place)))
    return made


def _user(role: str, blocks: Sequence[Raw], path: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for at, block in enumerate(blocks):
        place = f"{path}.{at}"
        kind = type_of(block, place)
        result = _result(block, place) if kind == "tool_result" else None
        if result is None:
            parts.append(_part(block, place, kind))
            continue
        if parts:
            made.append({"role": role, "content": parts})
            parts = []
        made.append(result)
    if parts or not made:
        made.append({"role": role, "content": parts or ""})
    return made


def _result(block: Raw, path: str) -> dict[str, Any] | None:
    """Return the message of a tool's result; that of a provider's tool set is native."""
    read = read_as(ToolResult, block, path)
    if read.toolset_name is not None:
        return None
    content = read.content
    said = content_parts(content, f"{path}.content") if isinstance(content, list) else content
    made: dict[str, Any] = {
        "role": "tool",
        "tool_call_id": read.tool_use_id,
        "content": said or "",
    }
    if read.is_error:
        made["is_error"] = True
    return _marked(made, read.cache_control)


def _assistant(message: Message, path: str) -> dict[str, Any]:
    if isinstance(message.content, str):
        return {"role": "assistant", "content": message.content}
    said = _Said()
    for at, block in enumerate(message.content):
        said.add(block, f"{path}.content.{at}")
    return said.message()


class _Said:
    """What an assistant said, sorted into the fields of a chat message."""

    def __init__(self) -> None:
        self._parts: list[dict[str, Any]] = []
        self._calls: list[dict[str, Any]] = []
        self._thoughts: list[tuple[str, ReasoningDetail | None]] = []
        self._order: list[str] = []
        self._signatures: dict[str, str] = {}

    def add(self, block: Raw, path: str) -> None:
        kind = type_of(block, path)
        if kind == "thinking":
            read = read_as(Thinking, block, path)
            self._think(read.thinking, unwrap(read.signature, is_encrypted=False))
        elif kind == "redacted_thinking":
            self._redacted(read_as(Redacted, block, path).data)
        elif kind == "tool_use" and self._call(read_as(ToolUse, block, path)):
            self._order.append("tool_call")
        else:
            self._parts.append(_part(block, path, kind))
            self._order.append("content")

    def message(self) -> dict[str, Any]:
        made: dict[str, Any] = {"role": "assistant", "content": self._parts or None}
        if self._thoughts:
            made["reasoning_content"] = "".join(text for text, _ in self._thoughts)
            if len(self._thoughts) > 1 or self._thoughts[0][1] is not None:
                made["reasoning_details"] = [_detail(*thought) for thought in self._thoughts]
        for call in self._calls:
            signature = self._signatures.get(call["id"])
            if signature is not None:
                call["extra_content"] = {"google": {"thought_signature": signature}}
        if self._calls:
            made["tool_calls"] = self._calls
        if self._order != sorted(self._order, key=_CANONICAL.index):
            made["block_order"] = self._order
        return made

    def _think(self, text: str, detail: ReasoningDetail | None) -> None:
        if text or detail is not None:
            self._thoughts.append((text, detail))
            self._order.append("reasoning")

    def _redacted(self, data: str) -> None:
        signature = unwrap_call(data)
        if signature is not None:
            self._signatures[signature.call] = signature.signature
        else:
            self._think("", unwrap(data, is_encrypted=True))

    def _call(self, read: ToolUse) -> bool:
        """Note a call of the caller's own tool; False for one that only Anthropic can take back."""
        if read.toolset_name is not None or (read.caller and read.caller.type != "direct"):
            return False
        function = {"name": read.name, "arguments": bytes(read.input).decode()}
        call = {"id": read.id, "type": "function", "function": function}
        self._calls.append(_marked(call, read.cache_control))
        return True


#: The order in which a chat message is read where it says nothing else.
_CANONICAL = ("reasoning", "content", "tool_call")


def _detail(text: str, detail: ReasoningDetail | None) -> dict[str, Any]:
    if detail is None:
        return {"type": "reasoning.text", "text": text}
    made: dict[str, Any] = {"type": f"reasoning.{detail.type}"}
    if detail.type != "encrypted":
        made["summary" if detail.type == "summary" else "text"] = text
    named = ("signature", "data", "id", "format")
    return made | {name: value for name in named if (value := getattr(detail, name))}


def _part(block: Raw, path: str, kind: str) -> dict[str, Any]:
    """Return a block of the type ``kind`` as a content part, native where chat has none for it."""
    if not kind:
        raise BadRequest(f"'{path}.type' is missing.", code="invalid_request", param=f"{path}.type")
    made = None
    if kind == "text":
        made = _text(read_as(Text, block, path))
    elif kind == "image":
        made = _image(read_as(Image, block, path), path)
    elif kind == "document":
        made = _document(read_as(Document, block, path), path)
    return made or {"type": "native", "dialect": MESSAGES, "block": block}


def _text(read: Text) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "text", "text": read.text}
    if is_given(read.citations):
        kept = foreign_citations(read.citations)
        if kept:
            made["anthropic"] = {"citations": kept}
    return _marked(made, read.cache_control)


def _image(read: Image, path: str) -> dict[str, Any] | None:
    source = read.source
    if source.type == "base64":
        _require(path, source.media_type and source.data, "source.data")
        url = f"data:{source.media_type};base64,{source.data}"
    elif source.type == "url":
        _require(path, source.url, "source.url")
        url = source.url
    else:
        return None
    if is_given(read.transformations):
        return None
    return _marked({"type": "image_url", "image_url": {"url": url}}, read.cache_control)


def _document(read: Document, path: str) -> dict[str, Any] | None:
    source = read.source
    file: dict[str, Any] = {}
    if source.type == "base64":
        _require(path, source.media_type and source.data, "source.data")
        file["file_data"] = f"data:{source.media_type};base64,{source.data}"
    elif source.type == "text":
        data = base64.b64encode(source.data.encode()).decode()
        file["file_data"] = f"data:text/plain;base64,{data}"
    elif source.type == "url":
        _require(path, source.url, "source.url")
        file["file_url"] = source.url
    else:
        return None
    if read.title:
        file["filename"] = read.title
    made: dict[str, Any] = {"type": "file", "file": file}
    extras = dict(_extras(read))
    if extras:
        made["anthropic"] = extras
    return _marked(made, read.cache_control)


def _extras(read: Document) -> Iterable[tuple[str, Any]]:
    if read.context is not None:
        yield "context", read.context
    if is_given(read.citations):
        yield "citations", read.citations


def _require(path: str, value: object, name: str) -> None:
    if not value:
        raise BadRequest(
            f"'{path}.{name}' is missing.", code="invalid_request", param=f"{path}.{name}"
        )


def _marked(made: dict[str, Any], marker: Raw) -> dict[str, Any]:
    if is_given(marker):
        made["cache_control"] = marker
    return made
