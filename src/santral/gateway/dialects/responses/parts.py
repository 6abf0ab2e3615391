"""Content parts of the Responses protocol, read into chat form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from santral.errors import BadRequest
from santral.wire.responses import DIALECT

T = TypeVar("T")

NONE = Raw(b"")
_raws = msgspec.json.Decoder(list[Raw])


class _Audio(Struct, frozen=True):
    data: str
    format: str


class _Part(Struct, frozen=True):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    file_data: str | None = None
    filename: str | None = None
    input_audio: _Audio | None = None


_part = msgspec.json.Decoder(_Part)


def decode(decoder: msgspec.json.Decoder[T], raw: Raw | bytes, place: str) -> T:
    """Return what ``decoder`` makes of ``raw``.

    Raises:
        BadRequest: a wrong shape; the message names the place below ``place``.
    """
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `")
        where = place + path.rstrip("`").removeprefix("$")
        raise malformed(where, f"{reason} at '{where}'.") from None


def malformed(place: str, message: str) -> BadRequest:
    """Return the error for a request that says something impossible at ``place``."""
    return BadRequest(message, code="invalid_request", param=place)


def native(raw: Raw) -> dict[str, Any]:
    """Return the chat-form part that carries what only this dialect knows."""
    return {"type": "native", "dialect": DIALECT, "block": raw}


def read_content(content: Raw, place: str) -> str | list[dict[str, Any]]:
    """Return a text, or content parts in chat form.

    Raises:
        BadRequest: neither a text nor a list of parts.
    """
    start = bytes(content).lstrip()[:1]
    if start == b'"':
        return msgspec.json.decode(content, type=str)
    if start != b"[":
        raise malformed(place, f"'{place}' must be a text or a list of parts.")
    parts = [
        _read_part(raw, f"{place}[{position}]")
        for position, raw in enumerate(_raws.decode(content))
    ]
    is_text = len(parts) == 1 and parts[0]["type"] == "text"
    return parts[0]["text"] if is_text else parts  # every provider takes a plain text


def _read_part(raw: Raw, place: str) -> dict[str, Any]:
    part = decode(_part, raw, place)
    read = _READERS.get(part.type)
    return (read(part, place) if read else None) or native(raw)


def _given(value: T | None, place: str, name: str) -> T:
    if value is None:
        raise malformed(f"{place}.{name}", f"'{place}.{name}' is missing.")
    return value


def _text(part: _Part, place: str) -> dict[str, Any]:
    return {"type": "text", "text": _given(part.text, place, "text")}


def _refusal(part: _Part, place: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": _given(part.refusal, place, "refusal")}


def _image(part: _Part, place: str) -> dict[str, Any] | None:
    if part.file_id:  # chat completions take no images by id
        return None
    image = {"url": _given(part.image_url, place, "image_url")}
    return {
        "type": "image_url",
        "image_url": image | ({"detail": part.detail} if part.detail else {}),
    }


def _file(part: _Part, place: str) -> dict[str, Any]:
    given = {
        name: value
        for name in ("file_id", "file_url", "file_data")
        if (value := getattr(part, name)) is not None
    }
    if len(given) != 1:
        raise malformed(place, f"'{place}' must have one of file_id, file_url and file_data.")
    return {
        "type": "file",
        "file": given | ({"filename": part.filename} if part.filename else {}),
    }


def _audio(part: _Part, place: str) -> dict[str, Any]:
    audio = _given(part.input_audio, place, "input_audio")
    return {"type": "input_audio", "input_audio": {"data": audio.data, "format": audio.format}}


_READERS: dict[str, Callable[[_Part, str], dict[str, Any] | None]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}
