"""Turns of a conversation as Gemini's contents, block by block; what it cannot say is noted as lost.

Sources: https://ai.google.dev/api/caching#Content, https://ai.google.dev/gemini-api/docs/function-calling,
https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

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
from santral.providers.conversation.conversation import merged
from santral.wire.delta import ReasoningDetail
from santral.wire.gemini import FORMAT, SKIP_SIGNATURE
from santral.wire.loss import Losses

#: Keys of a native block that are the answer's, not a part: Google wants them not back.
_NO_PARTS = frozenset({"groundingMetadata", "urlContextMetadata"})

_object = msgspec.json.Decoder(dict[str, Raw])


class ContentsWriter:
    """Writes the contents of one request; ``is_third`` as in ``gemini.model``."""

    def __init__(self, losses: Losses, *, is_third: bool) -> None:
        self._losses = losses
        self._is_third = is_third

    def write(self, turns: list[Turn]) -> list[dict[str, Any]]:
        """Return ``contents``."""
        written = ((turn.role, self._parts(turn)) for turn in merged(turns))
        return [
            {"role": "model" if role == "assistant" else "user", "parts": parts}
            for role, parts in written
            if parts
        ]

    def write_system(self, blocks: tuple[Block, ...]) -> list[Any]:
        """Return the parts of ``systemInstruction``, which takes texts alone."""
        parts: list[Any] = []
        for block in blocks:
            if isinstance(block, Text):
                parts += [{"text": block.text}] if block.text else []
            else:
                self._losses.drop(block.path, "a system instruction takes texts alone")
        return parts

    def _parts(self, turn: Turn) -> list[Any]:
        parts: list[Any] = []
        closing: list[Any] = []  # signatures of the text that follows the reasoning
        signs = self._is_third and turn.role == "assistant"
        beside: list[Any] = []  # what models before the third take only beside a tool's result
        for block in turn.blocks:
            if isinstance(block, Thinking):
                self._think(block, parts, closing)
                continue
            if isinstance(block, ToolUse):
                parts.append(self._call(block, must_sign=signs))
                signs = False  # only the first call of a step is signed
                continue
            if isinstance(block, ToolResult):
                parts.append(self._result(block, beside))
                continue
            parts += self._plain(block)
            if isinstance(block, Text) and closing:
                parts += closing
                closing = []
        return parts + beside + closing

    def _plain(self, block: Block) -> Iterator[Any]:
        if isinstance(block, Text):
            if block.text:
                yield {"text": block.text}
        elif isinstance(block, Native):
            yield from self._native(block)
        else:
            yield from self._media(block)

    def _think(self, block: Thinking, parts: list[Any], closing: list[Any]) -> None:
        detail = block.detail
        if _is_unsigned(detail):  # Gemini signs few of its thoughts; its own SDK sends all back
            parts.append({"text": block.text, "thought": True})
        elif detail is None or detail.format != FORMAT:
            self._losses.drop(block.path, "only Gemini's own reasoning goes back to it")
        elif detail.type == "encrypted":
            closing.append({"text": "", "thoughtSignature": detail.data})
        else:
            signed = {"thoughtSignature": detail.signature} if detail.signature else {}
            parts.append({"text": block.text, "thought": True, **signed})

    def _call(self, block: ToolUse, *, must_sign: bool) -> dict[str, Any]:
        call = {"name": block.name, "args": self._args(block), "id": block.id}
        signature = block.signature or (SKIP_SIGNATURE if must_sign else "")
        return {"functionCall": call} | ({"thoughtSignature": signature} if signature else {})

    def _args(self, block: ToolUse) -> Any:
        said = block.arguments.strip()
        if block.kind == "custom":
            return {"input": block.arguments}
        if not said:
            return {}
        if _is_object(said):
            return Raw(said.encode())
        self._losses.change(f"{block.path}.function.arguments", "an object around it")
        return {"input": block.arguments}

    def _result(self, block: ToolResult, beside: list[Any]) -> dict[str, Any]:
        media = [
            part
            for inner in block.blocks
            if not isinstance(inner, Text)
            for part in self._plain(inner)
        ]
        result: dict[str, Any] = {
            "name": block.name or block.call_id,
            "id": block.call_id,
            "response": _response(block),
        }
        if media and self._is_third:
            result["parts"] = media
        else:
            beside += media
        return {"functionResponse": result}

    def _native(self, block: Native) -> Iterator[Any]:
        if block.dialect != "gemini":
            self._losses.drop(block.path, f"only the dialect '{block.dialect}' knows it")
        elif not _NO_PARTS & _object.decode(block.json).keys():
            yield block.json

    def _media(self, block: Block) -> Iterator[Any]:
        part = _inline(block) or _linked(block)
        if part is None:
            self._losses.drop(block.path, "Gemini has no such part")
            return
        if isinstance(block, Image) and block.detail not in ("", "auto"):
            self._losses.drop(f"{block.path}.image_url.detail")
        yield part


def _response(block: ToolResult) -> Any:
    """Return what a tool said as the object that ``functionResponse`` takes.

    ``output`` and ``error`` are the keys that Google names. Source: the reference of FunctionResponse.
    """
    said = block.text
    if block.is_error:
        return {"error": said}
    if said.lstrip().startswith("{") and _is_object(said):
        return Raw(said.strip().encode())
    return {"output": said}


def _is_unsigned(detail: ReasoningDetail | None) -> bool:
    """Whether reasoning is a text that nobody wants back unchanged."""
    return detail is None or not (detail.signature or detail.data)


def _is_object(text: str) -> bool:
    try:
        _object.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _inline(block: Block) -> dict[str, Any] | None:
    if isinstance(block, Audio):
        media_type = f"audio/{block.format or 'wav'}"
        return {"inlineData": {"mimeType": media_type, "data": block.data}}
    if isinstance(block, Image | File) and block.data:
        return {"inlineData": {"mimeType": block.media_type, "data": block.data}}
    return None


def _linked(block: Block) -> dict[str, Any] | None:
    """Return a part that Google fetches itself: its own files, Cloud Storage, public addresses."""
    if not isinstance(block, Image | File):
        return None
    uri = block.url
    if not uri and block.file_id.startswith(("https://", "gs://", "files/")):
        uri = block.file_id
    if not uri:
        return None
    media_type = block.media_type or mimetypes.guess_type(urlsplit(uri).path)[0]
    if media_type is None:
        media_type = "image/jpeg" if isinstance(block, Image) else "application/pdf"
    return {"fileData": {"mimeType": media_type, "fileUri": uri}}
