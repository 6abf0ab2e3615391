"""Google's subset of OpenAPI as JSON Schema: types in lower case, ``nullable`` as a type.

Source: https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

from typing import Any, cast

from santral.gateway.dialects.gemini.read import camel

#: Fields whose values are schemas: one, a list of them, or named ones.
_ONE, _MANY, _NAMED = (
    frozenset({"items", "additionalProperties"}),
    "anyOf",
    frozenset({"properties"}),
)

#: Spelled as strings where protobuf has 64 bits. Source: the reference (format int64).
_COUNTS = frozenset(
    {"maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties"}
)


def json_schema(schema: Any) -> Any:
    """Return the JSON Schema that says the same; what is no object is returned as it is."""
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for name, value in cast("dict[str, Any]", schema).items():
        _add(made, camel(name), value)
    if made.pop("nullable", False):
        _allow_null(made)
    return made


def _add(made: dict[str, Any], name: str, value: Any) -> None:
    if name == "type" and isinstance(value, str):
        made["type"] = value.lower()
    elif name == _MANY and isinstance(value, list):
        made[name] = [json_schema(entry) for entry in cast("list[Any]", value)]
    elif name in _NAMED and isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        made[name] = {key: json_schema(entry) for key, entry in entries}
    elif name in _ONE:
        made[name] = json_schema(value)
    elif name in _COUNTS and isinstance(value, str) and value.isdecimal():
        made[name] = int(value)
    elif name == "example":
        made["examples"] = [value]
    elif name == "ref":
        made["$ref"] = value
    elif name == "defs" and isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        made["$defs"] = {key: json_schema(entry) for key, entry in entries}
    elif name != "propertyOrdering":  # an order of keys, which JSON Schema does not know
        made[name] = value


def _allow_null(made: dict[str, Any]) -> None:
    if isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    elif _MANY in made:
        made[_MANY] = [*made[_MANY], {"type": "null"}]
    if isinstance(made.get("enum"), list) and None not in made["enum"]:
        made["enum"] = [*made["enum"], None]
