"""Blocks of a conversation as Anthropic's content blocks; what it cannot say is noted as lost."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from santral.providers.conversation.blocks import (
    Audio,
    Block,
    File,
    Image,
    Native,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
)
from santral.wire.loss import Losses
from santral.wire.messages import CLAUDE_FORMAT, MESSAGES

#: Characters no id of a tool call may have. Source: the API's answer, ``tool_use.id: String should
#: match pattern '^[a-zA-Z0-9_-]+$'``.
_NO_ID = re.compile(r"[^a-zA-Z0-9_-]")
_object = msgspec.json.Decoder(dict[str, Raw])


class BlockWriter:
    """Writes the blocks of one request."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses

    def turn(self, turn: Turn) -> dict[str, Any]:
        """Return one message; its content is empty where nothing of it can be said."""
        return {"role": turn.role, "content": self.blocks(turn.blocks)}

    def system(self, blocks: Iterable[Block]) -> list[Any]:
        """Return the system prompt: texts alone."""
        texts: list[Block] = []
        for block in blocks:
            if isinstance(block, Text | Native):
                texts.append(block)
            else:
                self._losses.drop(block.path, "a system prompt is text")
        return self.blocks(texts)

    def blocks(self, blocks: Iterable[Block]) -> list[Any]:
        return [made for block in blocks if (made := self._block(block)) is not None]

    def _block(self, block: Block) -> Any:
        match block:
            case Text():
                return self._text(block)
            case Image():
                return self._image(block)
            case File():
                return self._file(block)
            case ToolUse():
                return self._use(block)
            case ToolResult():
                return self._result(block)
            case Thinking():
                return self._thinking(block)
            case Native():
                return self._native(block)
            case Audio():
                return self._lost(block.path, "it takes no sound")

    def _lost(self, path: str, reason: str) -> None:
        self._losses.drop(path, reason)

    def _text(self, block: Text) -> dict[str, Any] | None:
        if not block.text:
            return None  # the API refuses an empty text
        return _marked({"type": "text", "text": block.text, **block.extras}, block.cache_control)

    def _image(self, block: Image) -> dict[str, Any]:
        if block.detail not in ("", "auto"):
            self._losses.drop(f"{block.path}.image_url.detail")
        return _marked({"type": "image", "source": _image_source(block)}, block.cache_control)

    def _file(self, block: File) -> dict[str, Any] | None:
        source = _file_source(block)
        if source is None:
            return self._lost(block.path, f"it takes no document of the type {block.media_type}")
        if block.media_type.startswith("image/"):
            return _marked({"type": "image", "source": source}, block.cache_control)
        made: dict[str, Any] = {"type": "document", "source": source}
        if block.filename:
            made["title"] = block.filename
        return _marked({**made, **block.extras}, block.cache_control)

    def _use(self, block: ToolUse) -> dict[str, Any]:
        if block.signature:
            self._losses.drop(f"{block.path}.extra_content")
        made = {
            "type": "tool_use",
            "id": tool_id(block.id),
            "name": block.name,
            "input": self._input(block),
        }
        return _marked(made, block.cache_control)

    def _input(self, block: ToolUse) -> Any:
        if block.kind == "custom":
            return {"input": block.arguments}
        data = block.arguments.strip().encode() or b"{}"
        try:
            _object.decode(data)
        except (msgspec.DecodeError, RecursionError):
            self._losses.change(block.path, "text")
            return {"text": block.arguments}
        return Raw(data)

    def _result(self, block: ToolResult) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "tool_result", "tool_use_id": tool_id(block.call_id)}
        content = self.blocks(block.blocks)
        if content:
            made["content"] = content
        if block.is_error:
            made["is_error"] = True
        return _marked(made, block.cache_control)

    def _thinking(self, block: Thinking) -> dict[str, Any] | None:
        detail = block.detail
        if detail is None or detail.format != CLAUDE_FORMAT:
            return self._lost(block.path, "it is not Anthropic's own")
        if detail.type == "encrypted":
            return {"type": "redacted_thinking", "data": detail.data}
        return {"type": "thinking", "thinking": block.text, "signature": detail.signature}

    def _native(self, block: Native) -> Any:
        if block.dialect != MESSAGES:
            return self._lost(block.path, f"only '{block.dialect}' knows it")
        return block.json


def tool_id(given: str) -> str:
    """Return an id of a tool call that Anthropic takes; the same for call and result."""
    return _NO_ID.sub("_", given)


def _marked(block: dict[str, Any], marker: Raw | None) -> dict[str, Any]:
    if marker is not None:
        block["cache_control"] = marker
    return block


def _image_source(block: Image) -> dict[str, Any]:
    if block.file_id:
        return {"type": "file", "file_id": block.file_id}
    if block.url:
        return {"type": "url", "url": block.url}
    return {"type": "base64", "media_type": block.media_type, "data": block.data}


def _file_source(block: File) -> dict[str, Any] | None:
    if block.file_id:
        return {"type": "file", "file_id": block.file_id}
    if block.url:
        return {"type": "url", "url": block.url}
    if block.media_type == "application/pdf" or block.media_type.startswith("image/"):
        return {"type": "base64", "media_type": block.media_type, "data": block.data}
    if block.media_type.startswith("text/") or block.media_type == "application/json":
        text = _decoded(block.data)
        return None if text is None else {"type": "text", "media_type": "text/plain", "data": text}
    return None


def _decoded(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
