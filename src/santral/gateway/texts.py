"""The texts inside a chat request, and putting changed ones back where they were."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

import msgspec
from msgspec import Raw

from santral.gateway.leaves import Path, strings_in, with_string
from santral.gateway.unnamed import has_unnamed, unnamed_fields, unnamed_in_message
from santral.wire.chat import NULL, ChatCall, ContentPart, Message

_object = msgspec.json.Decoder(dict[str, Raw])
_any = msgspec.json.Decoder(str)
_content: msgspec.json.Decoder[str | list[ContentPart] | None] = msgspec.json.Decoder(
    str | list[ContentPart] | None
)


#: The message of a place that is in none: a top-level field of the request.
OUTSIDE = -1


class Place(NamedTuple):
    """Where a text stands: a message, and the names and positions that lead to it from there.

    ``media_type`` is set where the text stands in a ``data:`` URL. Outside the messages the path
    begins with ``fields`` or ``native``.
    """

    message: int
    path: Path
    media_type: str = ""


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
            _add_files(number, content, places, texts)
        if _says_more(message):
            _add(number, _said(message), places, texts)
    if has_unnamed(call):
        for number, message in enumerate(call.messages):
            _add(number, unnamed_in_message(message), places, texts)
    if call.native or call.view.prediction != NULL:
        _add(OUTSIDE, _outside(call), places, texts)
    _add(OUTSIDE, unnamed_fields(call), places, texts)
    return places, texts


_Found = Iterator[tuple[Path, str]]


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
        if part.block != NULL:
            yield from strings_in(part.block, ("content", position, "block"))


def _outside(call: ChatCall) -> _Found:
    """Yield the texts of fields that are no messages: of the caller's dialect, and a prediction."""
    if call.view.prediction != NULL:
        yield from strings_in(call.view.prediction, ("fields", "prediction"))
    for name, value in call.native.items():
        yield from strings_in(value, ("native", name))


#: Text in an address, as documents of other dialects come: in base64, or as it is. Source: RFC 2397.
_TEXT_URL = re.compile(
    r"data:(text/[\w.+-]+|application/(?:[\w.-]+\+)?(?:json|xml|yaml|x-yaml|x-ndjson|jsonl)|)"
    r"(?:;[^;,]{0,100}?)*?(;base64)?,",
    re.IGNORECASE,
)


def _add_files(
    number: int, content: list[ContentPart], places: list[Place], texts: list[str]
) -> None:
    """Add the texts of text files; other files are read by nobody here."""
    for position, part in enumerate(content):
        if part.file is None:
            continue
        path = ("content", position, "file")
        if part.file.filename:
            places.append(Place(number, (*path, "filename")))
            texts.append(part.file.filename)
        data = part.file.file_data
        found = _TEXT_URL.match(data) if data else None
        if data and found:
            with suppress(ValueError):  # what is no base64 is for the provider to refuse
                texts.append(_text_of_url(data[found.end() :], is_base64=bool(found.group(2))))
                places.append(Place(number, (*path, "file_data"), found.group(1) or "text/plain"))


def _text_of_url(data: str, *, is_base64: bool) -> str:
    if not is_base64:
        return unquote(data)
    return base64.b64decode(data).decode(errors="replace")


def _says_more(message: Message) -> bool:
    """Whether there is more than content: seldom, so most messages pay for this question alone."""
    return bool(
        message.tool_calls
        or message.refusal
        or message.reasoning_content
        or message.reasoning
        or message.function_call
        or message.reasoning_details != NULL
    )


def _said(message: Message) -> _Found:
    """Yield what a model said beside its content: refusal, reasoning, calls of tools."""
    for name in ("refusal", "reasoning_content", "reasoning"):
        text = getattr(message, name)
        if isinstance(text, str) and text:
            yield (name,), text
    if message.reasoning_details != NULL:
        yield from strings_in(message.reasoning_details, ("reasoning_details",))
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
        if before == after:
            continue
        if place.media_type:
            encoded = base64.b64encode(after.encode()).decode()
            after = f"data:{place.media_type};base64,{encoded}"
        if place.message == OUTSIDE:
            fields = call.fields if place.path[0] == "fields" else call.native
            name = str(place.path[1])
            fields[name] = Raw(
                msgspec.json.encode(with_string(fields[name], place.path[2:], after))
            )
        else:
            message = call.messages[place.message]
            call.messages[place.message] = _unsigned(
                with_string(message, place.path, after), place.path
            )


def _unsigned(message: Any, path: Path) -> Any:
    """Return a message without the signatures of a reasoning that is another now."""
    details = message.get("reasoning_details")
    if path[0] in ("reasoning_details", "reasoning_content", "reasoning") and details:
        entries = msgspec.json.decode(msgspec.json.encode(details))
        message["reasoning_details"] = [
            {name: value for name, value in entry.items() if name != "signature"}
            for entry in entries
        ]
    return message


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


def turns_before_last(
    messages: Sequence[Raw | dict[str, Any]], most: int
) -> list[tuple[Literal["user", "assistant"], str]]:
    """Return who said what before the last message of a user: the last ``most`` texts, oldest first."""
    turns: list[tuple[Literal["user", "assistant"], str]] = []
    is_before = False
    for message in reversed(messages):
        fields = _fields(message)
        role = fields.get("role")
        named = _any.decode(role) if isinstance(role, Raw) else role
        if named not in ("user", "assistant"):
            continue
        if is_before and len(turns) < most and (text := _text(fields.get("content")).strip()):
            turns.append(("user" if named == "user" else "assistant", text))
        is_before = is_before or named == "user"
    return turns[::-1]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        content = msgspec.json.encode(content)
    return Message(role="user", content=_content.decode(content)).text
