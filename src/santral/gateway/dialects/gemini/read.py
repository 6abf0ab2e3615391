"""Reads objects of Gemini's requests: Google takes every field in camelCase and in snake_case.

Source: https://protobuf.dev/programming-guides/json/ (parsers accept both names of a field).
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from santral.errors import BadRequest

_T = TypeVar("_T", bound=Struct)

_object = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])
_encode = msgspec.json.Encoder().encode


def fields_of(raw: Raw | bytes, place: str) -> dict[str, Raw]:
    """Return the fields of an object by their camelCase names; nulls are left out.

    Raises:
        BadRequest: not an object.
    """
    try:
        read = _object.decode(raw)
    except msgspec.ValidationError:
        raise wrong(place, "an object") from None
    return {camel(name): value for name, value in read.items() if bytes(value) != b"null"}


def read(raw: Raw | bytes, kind: type[_T], place: str) -> _T:
    """Return the object as ``kind``, whose fields are renamed to camelCase.

    Raises:
        BadRequest: a field has a wrong type; the message names its place.
    """
    return read_fields(fields_of(raw, place), kind, place)


def read_fields(fields: dict[str, Raw], kind: type[_T], place: str) -> _T:
    """Return fields as ``kind``; errors as ``read``."""
    try:
        return msgspec.json.decode(_encode(fields), type=kind)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `")
        path = path.rstrip("`").removeprefix("$").removeprefix(".")
        where = ".".join(part for part in (place, path) if part)
        raise BadRequest(f"{reason} at '{where}'.", code="invalid_request", param=where) from None


def entries_of(raw: Raw, place: str) -> list[Raw]:
    """Return the entries of a list.

    Raises:
        BadRequest: not a list.
    """
    try:
        return _list.decode(raw)
    except msgspec.ValidationError:
        raise wrong(place, "a list") from None


def wrong(place: str, expected: str) -> BadRequest:
    """Return the error for a value of a wrong type."""
    return BadRequest(f"'{place}' must be {expected}.", code="invalid_request", param=place)


def camel(name: str) -> str:
    """Return a field's name in camelCase."""
    if "_" not in name:
        return name
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)
