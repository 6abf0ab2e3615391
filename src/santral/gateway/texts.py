"""The texts inside a chat request, and putting changed ones back where they were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from santral.wire.chat import ChatCall, ContentPart, Message

_object = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])
_any = msgspec.json.Decoder(str)
_content: msgspec.json.Decoder[str | list[ContentPart] | None] = msgspec.json.Decoder(
    str | list[ContentPart] | None
)


class Place(NamedTuple):
    """Where a text stands: a message, and the names and positions that lead to it from there."""

    message: int
    path: tuple[str | int, ...]


def texts_of(call: ChatCall) -> tuple[list[Place], list[str]]:
    """Return every text a person, tool or model put into the messages, with its place."""
    places: list[Place] = []
    texts: list[str] = []
    for number, message in enumerate(call.view.messages):
        content = message.content
        if isinstance(content, str):
            places.append(Place(number, ("content",)))
            texts.append(content)
        elif content is not None:
            _add(number, _part_texts(content), places, texts)
        if _says_more(message):
            _add(number, _said(message), places, texts)
    return places, texts


_Found = Iterator[tuple[tuple[str | int, ...], str]]


def _add(number: int, found: _Found, places: list[Place], texts: list[str]) -> None:
    for path, text in found:
        places.append(Place(number, path))
        texts.append(text)


def _part_texts(content: list[ContentPart]) -> _Found:
    for position, part in enumerate(content):
        if part.text is not None:
            yield ("content", position, "text"), part.text
        if part.refusal is not None:
            yield ("content", position, "refusal"), part.refusal


def _says_more(message: Message) -> bool:
    """Whether there is more than content: seldom, so most messages pay for this question alone."""
    return bool(
        message.tool_calls
        or message.refusal
        or message.reasoning_content
        or message.reasoning
        or message.function_call
    )


def _said(message: Message) -> _Found:
    """Yield what a model said beside its content: refusal, reasoning, calls of tools."""
    for name in ("refusal", "reasoning_content", "reasoning"):
        text = getattr(message, name)
        if isinstance(text, str) and text:
            yield (name,), text
    if message.function_call is not None and message.function_call.arguments:
        yield ("function_call", "arguments"), message.function_call.arguments
    for position, tool_call in enumerate(message.tool_calls or ()):
        if tool_call.function is not None and tool_call.function.arguments:
            yield ("tool_calls", position, "function", "arguments"), tool_call.function.arguments
        if tool_call.custom is not None and tool_call.custom.input:
            yield ("tool_calls", position, "custom", "input"), tool_call.custom.input


def put_back(call: ChatCall, places: list[Place], old: list[str], new: tuple[str, ...]) -> None:
    """Write the texts that changed into the messages; everything else stays byte for byte."""
    for place, before, after in zip(places, old, new, strict=True):
        if before != after:
            message = call.messages[place.message]
            call.messages[place.message] = _put(message, place.path, after)


def _put(value: Any, path: tuple[str | int, ...], text: str) -> Any:
    """Return the value with the text at the end of the path replaced."""
    if not path:
        return text
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        entries: list[Any] = list(_list.decode(value) if isinstance(value, Raw) else value)
        entries[step] = _put(entries[step], rest, text)
        return entries
    fields = _fields(value)
    fields[step] = _put(fields[step], rest, text)
    return fields


def _fields(value: Raw | dict[str, Any]) -> dict[str, Any]:
    return dict(_object.decode(value)) if isinstance(value, Raw) else value


def last_user_text(call: ChatCall) -> str:
    """Return the text of the last user message as it stands now (after masking), or an empty string."""
    for message in reversed(call.messages):
        fields = _fields(message)
        role, content = fields.get("role"), fields.get("content", "")
        if (_any.decode(role) if isinstance(role, Raw) else role) == "user":
            return _text(content)
    return ""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        content = msgspec.json.encode(content)
    return Message(role="user", content=_content.decode(content)).text
