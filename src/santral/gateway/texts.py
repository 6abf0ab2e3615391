"""The texts inside a chat request, and putting changed ones back where they were."""

from __future__ import annotations

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
    """Where a text stands: a message, and in it content, a part, or a tool call's arguments."""

    message: int
    part: int | None = None
    tool_call: int | None = None


def texts_of(call: ChatCall) -> tuple[list[Place], list[str]]:
    """Return every text a person or tool put into the request, with its place."""
    places: list[Place] = []
    texts: list[str] = []
    for number, message in enumerate(call.view.messages):
        content = message.content
        if isinstance(content, str):
            places.append(Place(number))
            texts.append(content)
        elif content is not None:
            for position, part in enumerate(content):
                if part.text is not None:
                    places.append(Place(number, part=position))
                    texts.append(part.text)
        for position, tool_call in enumerate(message.tool_calls or ()):
            if tool_call.function is not None and tool_call.function.arguments:
                places.append(Place(number, tool_call=position))
                texts.append(tool_call.function.arguments)
    return places, texts


def put_back(call: ChatCall, places: list[Place], old: list[str], new: tuple[str, ...]) -> None:
    """Write the texts that changed into the messages; everything else stays byte for byte."""
    for place, before, after in zip(places, old, new, strict=True):
        if before == after:
            continue
        message = _fields(call.messages[place.message])
        call.messages[place.message] = message
        if place.part is not None:
            message["content"] = _put(message["content"], place.part, ("text",), after)
        elif place.tool_call is not None:
            path = ("function", "arguments")
            message["tool_calls"] = _put(message["tool_calls"], place.tool_call, path, after)
        else:
            message["content"] = after


def _put(entries: Any, position: int, path: tuple[str, ...], text: str) -> list[Any]:
    """Return the list with one text inside one entry replaced."""
    changed: list[Any] = list(_list.decode(entries) if isinstance(entries, Raw) else entries)
    entry = changed[position] = _fields(changed[position])
    for part in path[:-1]:
        entry[part] = _fields(entry[part])
        entry = entry[part]
    entry[path[-1]] = text
    return changed


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
