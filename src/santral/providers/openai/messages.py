"""Messages as a vendor of the OpenAI dialect takes them.

The chat form in which a request goes through Santral carries what other dialects need
(docs/decisions/0010-one-internal-form.md): reasoning to echo, markers, blocks and signatures. None
of it is OpenAI's, so it is taken out here, and named where the answer may miss it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from msgspec import Raw

from santral.providers.vendor import Vendor
from santral.wire.loss import Losses

_fields = msgspec.json.Decoder(dict[str, Raw])
_entries = msgspec.json.Decoder(list[dict[str, Raw]])
_parts = msgspec.json.Decoder(list[dict[str, Any]])
_text = msgspec.json.Decoder(str)
_encode = msgspec.json.Encoder().encode

#: Fields of the chat form that some vendors take and OpenAI does not. The order is that of losses.
_CARRIED = (
    "reasoning_content",
    "reasoning_details",
    "cache_control",
    "is_error",
    "extra_content",
    "native_blocks",
    "block_order",
)
#: Those whose absence changes no answer.
_SILENT = ("cache_control", "block_order")


class MessageFitter:
    """Takes out of messages what one vendor does not take."""

    __slots__ = ("_marks", "_vendor", "is_picky")

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        names = {*vendor.refuses, *vendor.roles}
        self.is_picky = bool(names)  # whether messages of its own dialect have to be looked at
        self._marks = (
            re.compile(b"|".join(b'"%s"' % re.escape(name.encode()) for name in sorted(names)))
            if names
            else None
        )

    def fit(self, messages: Sequence[Any], losses: Losses, *, is_foreign: bool) -> list[Any]:
        """Return the messages to send; those that need no change are the very same objects.

        ``is_foreign`` says that the request came in another dialect: then everything that is not
        OpenAI's is taken out, else only what the vendor is known to refuse.
        """
        fitted: list[Any] = []
        for position, message in enumerate(messages):
            raw = message if isinstance(message, Raw) else _encode(message)
            if (is_foreign and _FOREIGN.search(raw) is not None) or self._is_refused(raw):
                fitter = _Message(self._vendor, losses, f"messages.{position}", is_foreign)
                fitted += fitter.fit(_fields.decode(raw))
            else:
                fitted.append(message)
        return _pictures_after_results(fitted) if is_foreign else fitted

    def fit_tools(self, tools: Any, losses: Losses, *, is_foreign: bool) -> Any:
        """Return the tools without what only other dialects know."""
        vendor = self._vendor
        keeps_markers = vendor.takes_cache_control or not (
            is_foreign or "cache_control" in vendor.refuses
        )
        if keeps_markers and not is_foreign:
            return tools
        raw = _encode(tools)
        if _FOREIGN_TOOL.search(raw) is None:
            return tools
        unwanted = {"anthropic"} if keeps_markers else {"anthropic", "cache_control"}
        fitted: list[dict[str, Raw]] = []
        for position, tool in enumerate(_entries.decode(raw)):
            if bytes(tool.get("type", b"")) == b'"native"':
                losses.drop(f"tools.{position}")
            else:
                fitted.append({name: v for name, v in tool.items() if name not in unwanted})
        return fitted

    def _is_refused(self, raw: bytes | Raw) -> bool:
        """Whether a message of the vendor's own dialect may hold what it refuses."""
        if self._marks is None or (not self._vendor.refuses and _PLAIN_ROLE.match(raw)):
            return False
        return self._marks.search(raw) is not None


_FOREIGN_TOOL = re.compile(rb'"(?:cache_control|anthropic|native)"')

#: How nearly every message begins: with a role that everybody knows. Measured: 4 us for 64 messages
#: of 59 kB, against 32 us for looking for another role in all of them.
_PLAIN_ROLE = re.compile(rb'\{\s*"role"\s*:\s*"(?:user|assistant|tool|system)"')

#: What a message of another dialect may hold and OpenAI does not take as it is.
_FOREIGN = re.compile(
    b'"(?:'
    + b"|".join(name.encode() for name in _CARRIED)
    + b'|native|anthropic|file|tool|image_url|input_audio)"'
)


class _Message:
    """One message on its way to a vendor."""

    def __init__(self, vendor: Vendor, losses: Losses, path: str, is_foreign: bool) -> None:
        self._vendor = vendor
        self._losses = losses
        self._path = path
        self._is_foreign = is_foreign

    def fit(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        self._fit_role(message)
        for name in [name for name in message if self._is_unwanted(name)]:
            self._take_out(message, name)
        content = message.get("content")
        if isinstance(content, Raw) and bytes(content).lstrip()[:1] == b"[":
            message["content"] = self._parts(_parts.decode(content))
        if "tool_calls" in message:
            self._fit_calls(message)
        return [message]

    def _fit_role(self, message: dict[str, Any]) -> None:
        role = message.get("role")
        named = _text.decode(role) if isinstance(role, Raw) else role
        theirs = self._vendor.roles.get(str(named))
        if theirs is not None:
            message["role"] = theirs

    def _is_unwanted(self, name: str) -> bool:
        if name in self._vendor.refuses:
            return True
        return self._is_foreign and name in _CARRIED and not self._takes(name)

    def _takes(self, name: str) -> bool:
        vendor = self._vendor
        return {
            "reasoning_content": vendor.reasoning_field == "reasoning_content",
            "reasoning_details": vendor.takes_details,
            "cache_control": vendor.takes_cache_control,
            "extra_content": vendor.takes_signatures,
        }.get(name, False)

    def _take_out(self, message: dict[str, Any], name: str) -> None:
        value = message.pop(name)
        if name == "reasoning_content" and self._vendor.reasoning_field:
            message.setdefault(self._vendor.reasoning_field, value)
        elif not (name in _SILENT or _is_nothing(value)):
            self._losses.drop(f"{self._path}.{name}")

    def _parts(self, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        kept: list[dict[str, Any]] = []
        for position, part in enumerate(parts):
            if self._is_foreign and not self._takes_part(part):
                self._losses.drop(f"{self._path}.content.{position}")
                continue
            if not self._takes("cache_control") and (
                self._is_foreign or "cache_control" in self._vendor.refuses
            ):
                part.pop("cache_control", None)
            if self._is_foreign:
                part.pop("anthropic", None)  # titles and contexts of documents
            kept.append(part)
        return kept

    def _takes_part(self, part: dict[str, Any]) -> bool:
        kind = part.get("type")
        if kind == "native":
            return False
        if kind == "file":  # OpenAI's chat takes data and ids, no addresses
            file: dict[str, Any] = part.get("file") or {}
            return "files" in self._vendor.capabilities and "file_url" not in file
        needed = {"image_url": "vision", "input_audio": "audio_in"}.get(str(kind))
        return (
            needed is None or not self._vendor.capabilities or needed in self._vendor.capabilities
        )

    def _fit_calls(self, message: dict[str, Any]) -> None:
        raw = _encode(message["tool_calls"])
        is_wanted = self._vendor.takes_signatures
        if is_wanted or b'"extra_content"' not in raw:
            return
        if not (self._is_foreign or "extra_content" in self._vendor.refuses):
            return
        calls: list[dict[str, Any]] = _parts.decode(raw)
        for position, call in enumerate(calls):
            if call.pop("extra_content", None):
                self._losses.drop(f"{self._path}.tool_calls.{position}.extra_content")
        message["tool_calls"] = calls


def _is_nothing(value: Any) -> bool:
    return value is None or bytes(_encode(value)) in (b"null", b"false", b'""', b"[]")


def _pictures_after_results(messages: list[Any]) -> list[Any]:
    """Put images of tool results into a user message after them: OpenAI takes text alone there.

    Source: https://platform.openai.com/docs/api-reference/chat/create, tool message, content parts.
    """
    moved: list[Any] = []
    pictures: list[dict[str, Any]] = []
    for message in messages:
        if isinstance(message, dict):
            fitted = cast("dict[str, Any]", message)
            if _role_of(fitted) == "tool":
                moved.append(_without_pictures(fitted, pictures))
                continue
        if pictures:
            moved.append({"role": "user", "content": pictures})
            pictures = []
        moved.append(message)
    if pictures:
        moved.append({"role": "user", "content": pictures})
    return moved


def _role_of(message: dict[str, Any]) -> str:
    role = message.get("role")
    return _text.decode(role) if isinstance(role, Raw) else str(role)


def _without_pictures(message: dict[str, Any], pictures: list[dict[str, Any]]) -> dict[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    texts: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    for part in cast("list[dict[str, Any]]", content):
        (texts if part.get("type") == "text" else images).append(part)
    if not images:
        return message
    name = msgspec.json.decode(_encode(message.get("tool_call_id")))
    pictures.append({"type": "text", "text": f"From the result of the tool call {name}:"})
    pictures += images
    return message | {"content": texts or ""}
