"""The texts inside a chat request, and putting changed ones back where they were."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from santral.wire.chat import ChatCall

_message = msgspec.json.Decoder(dict[str, Any])


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
        message = _generic(call.messages[place.message])
        call.messages[place.message] = message
        if place.part is not None:
            message["content"][place.part]["text"] = after
        elif place.tool_call is not None:
            message["tool_calls"][place.tool_call]["function"]["arguments"] = after
        else:
            message["content"] = after


def _generic(message: Raw | dict[str, Any]) -> dict[str, Any]:
    return _message.decode(message) if isinstance(message, Raw) else message


def last_user_text(call: ChatCall) -> str:
    """Return the text of the last user message as it stands now (after masking), or an empty string."""
    for message in reversed(call.messages):
        generic = _generic(message)
        if generic.get("role") == "user":
            return _text(generic.get("content"))
    return ""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(part.get("text") or "" for part in content)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType]
    return ""
