"""A JSON Schema in the subset that Anthropic's structured output takes.

Source: platform.claude.com, "Structured outputs", JSON Schema limitations: every object says
``additionalProperties: false``; bounds and patterns are not taken and go into the description, where
the model reads them.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

#: Keywords that are refused. What they ask for is checked by Santral's own validation.
_BOUNDS = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "pattern", "maxItems", "uniqueItems", "minProperties", "maxProperties",
)  # fmt: skip
#: Keywords that hold schemas by name, and those that hold a list of schemas.
_MAPS = ("properties", "$defs", "definitions")
_LISTS = ("anyOf", "allOf", "oneOf")


def fitted(schema: Raw) -> Raw | None:
    """Return a schema that is taken and means the same, or None where there is none."""
    try:
        read = msgspec.json.decode(schema)
        return Raw(msgspec.json.encode(_fit(read)))
    except (msgspec.DecodeError, RecursionError, _Unfit):
        return None


class _Unfit(Exception):
    """The schema says what the subset cannot."""


def _fit(schema: Any) -> Any:
    if not isinstance(schema, dict):
        raise _Unfit
    read: dict[str, Any] = {**schema}  # pyright: ignore[reportUnknownArgumentType] - JSON
    made = {name: value for name, value in read.items() if name not in _BOUNDS}
    for name in _MAPS:
        if name in made:
            made[name] = {key: _fit(value) for key, value in made[name].items()}
    for name in _LISTS:
        if name in made:
            made[name] = [_fit(value) for value in made[name]]
    if "oneOf" in made:
        made["anyOf"] = made.pop("oneOf")
    if "items" in made:
        made["items"] = _fit(made["items"])
    _close(made)
    _describe(made, read)
    return made


def _close(made: dict[str, Any]) -> None:
    """An object takes its own properties and no others; one that has to take others is unfit."""
    if made.get("type") != "object" and "properties" not in made:
        return
    if "properties" not in made or made.get("additionalProperties", False) not in (False, True):
        raise _Unfit
    made["additionalProperties"] = False


def _describe(made: dict[str, Any], read: dict[str, Any]) -> None:
    bounds = {name: read[name] for name in _BOUNDS if name in read}
    if made.get("minItems", 0) > 1:
        bounds["minItems"] = made.pop("minItems")
    if bounds:
        said = ", ".join(f"{name}: {value}" for name, value in bounds.items())
        made["description"] = f"{made.get('description', '')}\n{{{said}}}".strip()
