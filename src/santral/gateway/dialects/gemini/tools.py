"""Gemini's tools as those of chat completions.

Source: https://ai.google.dev/api/caching#Tool
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct

from santral.gateway.dialects.gemini.read import entries_of, fields_of, read_fields
from santral.gateway.dialects.gemini.schema import json_schema
from santral.wire.chat import NULL


class _Declaration(Struct, frozen=True, rename="camel"):
    name: str
    description: str = ""
    parameters: Any = None
    parameters_json_schema: Raw = NULL


class _Calling(Struct, frozen=True, rename="camel"):
    mode: str = ""
    allowed_function_names: list[str] = []


def tools(raw: Raw) -> list[dict[str, Any]]:
    """Return the functions, and whole every tool that only Gemini has (its search, its sandbox).

    Raises:
        BadRequest: malformed; the message names the place.
    """
    made: list[dict[str, Any]] = []
    for at, entry in enumerate(entries_of(raw, "tools")):
        fields = fields_of(entry, f"tools.{at}")
        declared = fields.pop("functionDeclarations", None)
        if declared is not None:
            place = f"tools.{at}.functionDeclarations"
            made += [
                _function(item, f"{place}.{n}")
                for n, item in enumerate(entries_of(declared, place))
            ]
        made += [
            {"type": "native", "dialect": "gemini", "block": {name: value}}
            for name, value in fields.items()
        ]
    return made


def _function(raw: Raw, place: str) -> dict[str, Any]:
    read = read_fields(fields_of(raw, place), _Declaration, place)
    function: dict[str, Any] = {"name": read.name}
    if read.description:
        function["description"] = read.description
    if read.parameters_json_schema != NULL:
        function["parameters"] = read.parameters_json_schema
    elif read.parameters is not None:
        function["parameters"] = json_schema(read.parameters)
    return {"type": "function", "function": function}


def tool_choice(raw: Raw) -> Any:
    """Return ``functionCallingConfig`` as a tool choice, or None where it says nothing."""
    place = "toolConfig.functionCallingConfig"
    read = read_fields(fields_of(raw, place), _Calling, place)
    mode = _MODES.get(read.mode.upper())
    names = read.allowed_function_names
    if mode is None or not names or mode == "none":
        return mode
    if mode == "required" and len(names) == 1:
        return {"type": "function", "function": {"name": names[0]}}
    allowed = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}


_MODES = {"AUTO": "auto", "VALIDATED": "auto", "ANY": "required", "NONE": "none"}
