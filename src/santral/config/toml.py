"""Values as TOML: for the files that commands write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import msgspec

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_value(value: object) -> str:
    """Return a string, number, boolean, list or table in one line."""
    if isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value).items()
        pairs = ", ".join(f"{toml_key(str(name))} = {toml_value(entry)}" for name, entry in entries)
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, cast('list[object]', value)))}]"
    if isinstance(value, float):
        return str(value)  # JSON has no nan
    # Strings, booleans and whole numbers are JSON's, but for one character.
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def toml_key(name: str) -> str:
    """Return a key, bare where it may be."""
    return name if _BARE.fullmatch(name) else toml_value(name)
