"""Turns of a conversation as Converse's messages, block by block; what it cannot say is noted as lost.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.providers.bedrock.answer import AS_BYTES, FORMAT
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
from santral.wire.loss import Losses

#: Source: ImageFormat, DocumentFormat and ToolUseId of the reference.
_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_TOOL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
#: What a document's name may hold: letters, digits, spaces, hyphens, parentheses and brackets.
_NOT_IN_NAME = re.compile(r"[^\w\s()\[\]-]|_", re.ASCII)

_object = msgspec.json.Decoder(dict[str, Raw])


class _Marker(Struct):
    ttl: str = ""


class MessageWriter:
    """Writes the messages of one request; ``has_cache`` says that the model takes cache points."""

    def __init__(self, losses: Losses, *, has_cache: bool) -> None:
        self._losses = losses
        self._has_cache = has_cache
        self._documents = 0

    def write(self, turns: list[Turn]) -> list[dict[str, Any]]:
        """Return ``messages``."""
        written = [(turn.role, self._content(turn.blocks)) for turn in merged(turns)]
        return [{"role": role, "content": content} for role, content in written if content]

    def write_system(self, blocks: tuple[Block, ...]) -> list[Any]:
        """Return ``system``, which takes texts and cache points."""
        made: list[Any] = []
        for block in blocks:
            if isinstance(block, Text):
                made += [{"text": block.text}] if block.text else []
                made += self.mark(block.cache_control)
            else:
                self._losses.drop(block.path, "a system prompt takes texts alone")
        return made

    def mark(self, marker: Raw | None) -> list[dict[str, Any]]:
        """Return the cache point for Anthropic's marker, or none: it changes no answer."""
        if marker is None or not self._has_cache:
            return []
        try:
            ttl = msgspec.json.decode(marker, type=_Marker).ttl
        except msgspec.ValidationError:
            ttl = ""
        return [cache_point(ttl)]

    def _content(self, blocks: tuple[Block, ...]) -> list[Any]:
        content: list[Any] = []
        for block in blocks:
            made = [*self._block(block)]
            content += made
            if made and not isinstance(block, Native | Thinking):
                content += self.mark(block.cache_control)
        return content

    def _block(self, block: Block) -> Iterator[Any]:
        if isinstance(block, Text):
            if block.text:
                yield {"text": block.text}
        elif isinstance(block, ToolUse):
            yield {"toolUse": self._call(block)}
        elif isinstance(block, ToolResult):
            yield {"toolResult": self._result(block)}
        elif isinstance(block, Thinking):
            yield from self._think(block)
        elif isinstance(block, Native):
            yield from self._native(block)
        else:
            yield from self._media(block)

    def _call(self, block: ToolUse) -> dict[str, Any]:
        said = block.arguments.strip() or "{}"
        if block.kind == "custom" or not _is_object(said):
            if block.kind != "custom":
                self._losses.change(f"{block.path}.function.arguments", "an object around it")
            arguments: Any = {"input": block.arguments}
        else:
            arguments = Raw(said.encode())
        if block.signature:
            self._losses.drop(f"{block.path}.extra_content")
        return {"toolUseId": tool_id(block.id), "name": block.name, "input": arguments}

    def _result(self, block: ToolResult) -> dict[str, Any]:
        content = [made for inner in block.blocks for made in self._block(inner)]
        result: dict[str, Any] = {
            "toolUseId": tool_id(block.call_id),
            "content": content or [{"text": " "}],  # it may not be empty, and no text either
        }
        return result | ({"status": "error"} if block.is_error else {})

    def _think(self, block: Thinking) -> Iterator[Any]:
        detail = block.detail
        if detail is None or detail.format != FORMAT:
            self._losses.drop(block.path, "only Claude's own reasoning goes back to it")
        elif detail.type == "encrypted":
            is_bytes = detail.id == AS_BYTES
            blob = detail.data if is_bytes else base64.b64encode(detail.data.encode()).decode()
            yield {"reasoningContent": {"redactedContent": blob}}
        else:
            signed = {"signature": detail.signature} if detail.signature else {}
            yield {"reasoningContent": {"reasoningText": {"text": block.text, **signed}}}

    def _native(self, block: Native) -> Iterator[Any]:
        if block.dialect != "bedrock":
            self._losses.drop(block.path, f"only the dialect '{block.dialect}' knows it")
        elif "trace" not in _object.decode(block.json):
            yield block.json

    def _media(self, block: Image | File | Audio) -> Iterator[Any]:
        made = self._made(block)
        if made is None:
            self._losses.drop(block.path, "Bedrock takes bytes and places in S3, of a few formats")
            return
        if isinstance(block, Image) and block.detail not in ("", "auto"):
            self._losses.drop(f"{block.path}.image_url.detail")
        yield made

    def _made(self, block: Image | File | Audio) -> dict[str, Any] | None:
        if isinstance(block, Audio):
            return {"audio": {"format": block.format or "wav", "source": {"bytes": block.data}}}
        source = _source(block)
        if source is None:
            return None
        if isinstance(block, Image):
            kind = _IMAGES.get(block.media_type) or _suffix(block.url, "png")
            return {"image": {"format": kind, "source": source}}
        kind = _DOCUMENTS.get(block.media_type) or (_suffix(block.url, "") if block.url else "")
        if not kind:
            return None
        document = {"format": kind, "name": self._name(block), "source": source}
        return {"document": document}

    def _name(self, block: File) -> str:
        """Return a name that the API takes; two documents of one name are refused."""
        self._documents += 1
        stem = _NOT_IN_NAME.sub(" ", block.filename.rpartition(".")[0] or block.filename)
        stem = " ".join(stem.split())[:180] or "document"
        return f"{stem} {self._documents}"


def cache_point(ttl: str = "") -> dict[str, Any]:
    """Return a cache point that lives for ``ttl`` (5m, 1h), or as long as the model's default."""
    return {"cachePoint": {"type": "default"} | ({"ttl": ttl} if ttl in ("5m", "1h") else {})}


def tool_id(call_id: str) -> str:
    """Return the id of a call as the API takes it: others get one of their own, always the same."""
    if _TOOL_ID.fullmatch(call_id):
        return call_id
    return f"call_{hashlib.sha256(call_id.encode()).hexdigest()[:32]}"


def _source(block: Image | File) -> dict[str, Any] | None:
    if block.data:
        return {"bytes": block.data}
    return {"s3Location": {"uri": block.url}} if block.url.startswith("s3://") else None


def _suffix(url: str, default: str) -> str:
    suffix = url.rpartition(".")[2].lower()
    known = {*_IMAGES.values(), *_DOCUMENTS.values()}
    return {"jpg": "jpeg"}.get(suffix, suffix if suffix in known else default)


def _is_object(text: str) -> bool:
    try:
        _object.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
