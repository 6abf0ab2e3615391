"""One content part of a chat message as a typed block; a type nobody knows is an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.errors import BadRequest, nearest
from santral.providers.conversation.blocks import Audio, Block, File, Image, Native, Text
from santral.providers.conversation.settings import NONE, or_none


class _ImageUrl(Struct, frozen=True):
    url: str = ""
    detail: str | None = None


class _Audio(Struct, frozen=True):
    data: str = ""
    format: str = ""


class _File(Struct, frozen=True):
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None


class Part(Struct, frozen=True):
    """A content part as it stands in a message."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: _ImageUrl | str | None = None
    input_audio: _Audio | None = None
    file: _File | None = None
    dialect: str | None = None
    block: Raw = NONE
    cache_control: Raw = NONE
    anthropic: dict[str, Raw] | None = None


def read_part(path: str, part: Part) -> Block:
    """Return the block of one part.

    Raises:
        BadRequest: its type is unknown, or it lacks what its type needs; names ``path``.
    """
    build = _BUILDERS.get(part.type)
    if build is None:
        raise BadRequest(
            f"'{path}' is a part of the unknown type '{part.type[:64]}'."
            f"{nearest(part.type[:64], _BUILDERS)}",
            code="invalid_request",
            param=f"{path}.type",
        )
    block = build(path, part)
    marker = or_none(part.cache_control)
    if marker is None or isinstance(block, Native):
        return block
    return msgspec.structs.replace(block, cache_control=marker)


def _text(path: str, part: Part) -> Block:
    return Text(text=_given(path, "text", part.text), path=path, extras=part.anthropic or {})


def _refusal(path: str, part: Part) -> Block:
    return Text(text=_given(path, "refusal", part.refusal), path=path)


def _image(path: str, part: Part) -> Block:
    image = _given(path, "image_url", part.image_url)
    if isinstance(image, str):
        image = _ImageUrl(image)
    url = _given(path, "image_url.url", image.url or None)
    detail = image.detail or ""
    if not url.startswith("data:"):
        return Image(url=url, detail=detail, path=path)
    media_type, data = _data_url(f"{path}.image_url.url", url)
    return Image(media_type=media_type, data=data, detail=detail, path=path)


def _audio(path: str, part: Part) -> Block:
    audio = _given(path, "input_audio", part.input_audio)
    return Audio(format=audio.format, data=audio.data, path=path)


def _file(path: str, part: Part) -> Block:
    file = _given(path, "file", part.file)
    name, extras = file.filename or "", part.anthropic or {}
    if file.file_id:
        return File(filename=name, file_id=file.file_id, path=path, extras=extras)
    if file.file_url:
        return File(filename=name, url=file.file_url, path=path, extras=extras)
    given = _given(path, "file.file_data", file.file_data)
    if given.startswith("data:"):
        media_type, data = _data_url(f"{path}.file.file_data", given)
    else:  # OpenAI takes bare base64, too, and means a PDF
        media_type, data = "application/pdf", given
    return File(filename=name, media_type=media_type, data=data, path=path, extras=extras)


def _native(path: str, part: Part) -> Block:
    block = _given(path, "block", or_none(part.block))
    return Native(dialect=_given(path, "dialect", part.dialect), json=block, path=path)


_BUILDERS: dict[str, Callable[[str, Part], Block]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
    "native": _native,
}


def _given(path: str, name: str, value: Any) -> Any:
    if value is None:
        raise BadRequest(
            f"'{path}.{name}' is missing.", code="invalid_request", param=f"{path}.{name}"
        )
    return value


def _data_url(path: str, url: str) -> tuple[str, str]:
    """Return media type and base64 of a ``data:`` URL. Source: RFC 2397."""
    head, comma, data = url[len("data:") :].partition(",")
    media_type, *parameters = head.split(";")
    if not comma or "base64" not in parameters or not data:
        raise BadRequest(
            f"'{path}' is not a data URL in base64 (data:image/png;base64,...).",
            code="invalid_request",
            param=path,
        )
    return media_type or "text/plain", data
