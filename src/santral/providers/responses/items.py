"""Turns of blocks as items of the Responses protocol.

What becomes of reasoning and of what another dialect brought is for a subclass to say: a provider
takes less than what may be kept. Source: https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct

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
from santral.wire.responses import DIALECT

Item: TypeAlias = dict[str, Any] | Raw

#: How the types of content parts begin, in contrast to those of items.
_PARTS = ("input_", "output_")


class _Typed(Struct, frozen=True):
    type: str = ""


_typed = msgspec.json.Decoder(_Typed)


class ItemMaker(ABC):
    """Makes items of turns, in their order."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._parts: list[Any] = []  # of the message that is open
        self._role = ""
        self._custom: set[str] = set()  # ids of calls that take plain text

    def items(self, turns: Iterable[Turn]) -> list[Item]:
        """Return the items that say what ``turns`` say."""
        for turn in turns:
            self._role = turn.role
            for block in turn.blocks:
                self._add(block)
            self._end_message()
        return self._items

    @abstractmethod
    def think(self, thinking: Thinking) -> Item | None:
        """Return the item of one piece of reasoning, or None where it has none."""

    @abstractmethod
    def sign(self, call: ToolUse) -> Item | None:
        """Return the item that carries the signature of a call, or None."""

    @abstractmethod
    def lose(self, path: str) -> None:
        """Note that what stands at ``path`` cannot be said."""

    def _add(self, block: Block) -> None:
        if isinstance(block, Thinking):
            self._add_item(self.think(block))
        elif isinstance(block, ToolUse):
            self._add_item(self._call(block))
            if block.signature:
                self._add_item(self.sign(block))
        elif isinstance(block, ToolResult):
            self._add_item(self._result(block))
        elif isinstance(block, Native):
            self._add_native(block)
        else:
            part = self._part(block)
            if part is not None:
                self._parts.append(part)

    def _add_item(self, item: Item | None) -> None:
        if item is not None:
            self._end_message()
            self._items.append(item)

    def _end_message(self) -> None:
        if self._parts:
            message = {"type": "message", "role": self._role, "content": self._parts}
            self._items.append(message)
            self._parts = []

    def _add_native(self, block: Native) -> None:
        if block.dialect != DIALECT:
            self.lose(block.path)
        elif _typed.decode(block.json).type.startswith(_PARTS):
            self._parts.append(block.json)
        else:
            self._add_item(block.json)

    def _part(self, block: Text | Image | Audio | File) -> dict[str, Any] | None:
        if self._role == "assistant":
            if isinstance(block, Text):
                return {"type": "output_text", "text": block.text, "annotations": []}
            self.lose(block.path)
            return None
        return input_part(block)

    def _call(self, call: ToolUse) -> Item:
        if call.kind == "custom":
            self._custom.add(call.id)
            said = {"type": "custom_tool_call", "input": call.arguments}
        else:
            said = {"type": "function_call", "arguments": call.arguments or "{}"}
        return {**said, "call_id": call.id, "name": call.name}

    def _result(self, result: ToolResult) -> Item:
        if result.is_error:
            self.lose(f"{result.path}.is_error")
        is_custom = result.call_id in self._custom
        return {
            "type": "custom_tool_call_output" if is_custom else "function_call_output",
            "call_id": result.call_id,
            "output": self._output(result.blocks),
        }

    def _output(self, blocks: Iterable[Block]) -> str | list[Any]:
        parts: list[Any] = []
        texts: list[str] = []
        for block in blocks:
            if isinstance(block, Text | Image | Audio | File):
                parts.append(input_part(block))
                texts += [block.text] if isinstance(block, Text) else []
            elif isinstance(block, Native) and block.dialect == DIALECT:
                parts.append(block.json)
            elif isinstance(block, Native):
                self.lose(block.path)
        return "".join(texts) if len(parts) == len(texts) < 2 else parts


def input_part(block: Text | Image | Audio | File) -> dict[str, Any]:
    """Return a block as a content part of what goes to a model."""
    if isinstance(block, Text):
        return {"type": "input_text", "text": block.text}
    if isinstance(block, Audio):
        audio = {"data": block.data, "format": block.format}
        return {"type": "input_audio", "input_audio": audio}
    if isinstance(block, Image):
        return {"type": "input_image", "detail": block.detail or "auto", **_image(block)}
    return {"type": "input_file", **_file(block)}


def _image(image: Image) -> dict[str, str]:
    if image.file_id:
        return {"file_id": image.file_id}
    return {"image_url": image.url or _data_url(image.media_type, image.data)}


def _file(file: File) -> dict[str, str]:
    if file.file_id:
        return {"file_id": file.file_id}
    if file.url:
        return {"file_url": file.url}
    ending = "pdf" if file.media_type == "application/pdf" else "txt"
    data = _data_url(file.media_type, file.data)
    return {"filename": file.filename or f"file.{ending}", "file_data": data}


def _data_url(media_type: str, data: str) -> str:
    return f"data:{media_type};base64,{data}"
