"""Strings inside JSON that nobody gave a shape: found with their paths, put back where they were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias, cast

import msgspec
from msgspec import Raw

Path: TypeAlias = tuple[str | int, ...]

#: Names whose strings are not language: ids, kinds, addresses, bytes, and what vendors sign. A mask
#: inside one of them would break it. Source: the dialects' references, field/gateways.md 8.
OPAQUE = frozenset(
    {
        "data",
        "dialect",
        "encrypted_content",
        "encrypted_index",
        "format",
        "id",
        "media_type",
        "mimeType",
        "mime_type",
        "role",
        "signature",
        "status",
        "thoughtSignature",
        "thought_signature",
        "type",
    }
)

_object = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])


def _is_opaque(name: str, text: str) -> bool:
    """Whether a string is no language: its name says so, and it has nothing that only language has."""
    is_named = name in OPAQUE or name.endswith("_id")
    return is_named and " " not in text and "@" not in text


def strings_in(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield every string of a JSON value that may be language, with the path to it."""
    if isinstance(value, Raw):
        value = msgspec.json.decode(value)
    if isinstance(value, str):
        if value:
            yield path, value
    elif isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():
            if isinstance(item, str) and _is_opaque(name, item):
                continue
            yield from strings_in(item, (*path, name))
    elif isinstance(value, list):
        for position, item in enumerate(cast("list[Any]", value)):
            yield from strings_in(item, (*path, position))


def with_string(value: Any, path: Path, text: str) -> Any:
    """Return the value with the string at the end of ``path`` replaced; the rest byte for byte."""
    if not path:
        return text
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        entries: list[Any] = list(_list.decode(value) if isinstance(value, Raw) else value)
        entries[step] = with_string(entries[step], rest, text)
        return entries
    fields: dict[str, Any] = dict(_object.decode(value)) if isinstance(value, Raw) else value
    fields[step] = with_string(fields[step], rest, text)
    return fields
