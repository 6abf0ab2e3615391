"""Tools and tool choice of the Responses protocol, read into chat form.

A hosted tool (web search, MCP, ...) rides along for providers of the same dialect. Source:
https://platform.openai.com/docs/api-reference/responses/create, tools
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from santral.gateway.dialects.responses.parts import decode, malformed, native


class _Head(Struct, frozen=True):
    type: str = "function"


class _Named(Struct, frozen=True):
    name: str
    type: str = "function"


class _Choice(Struct, frozen=True):
    type: str
    name: str | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: list[_Choice] = []


_head = msgspec.json.Decoder(_Head)
_named = msgspec.json.Decoder(_Named)
_choice: msgspec.json.Decoder[str | _Choice] = msgspec.json.Decoder(str | _Choice)
_fields = msgspec.json.Decoder(dict[str, Raw])
_OPTIONS = ("none", "auto", "required")


def read_tool(raw: Raw, place: str) -> dict[str, Any]:
    """Return the tool in chat form.

    Raises:
        BadRequest: it has no type, or a function or custom tool has no name.
    """
    kind = decode(_head, raw, place).type
    if kind not in ("function", "custom"):
        return native(raw)
    decode(_named, raw, place)
    fields: dict[str, Any] = {
        name: value
        for name, value in _fields.decode(raw).items()
        if name != "type" and bytes(value) != b"null"
    }
    if kind == "custom" and "format" in fields:
        fields["format"] = _grammar(fields["format"], f"{place}.format")
    return {"type": kind, kind: fields}


def _grammar(raw: Raw, place: str) -> Any:
    """Chat completions put a grammar one level deeper."""
    if decode(_head, raw, place).type != "grammar":
        return raw
    fields = _fields.decode(raw)
    fields.pop("type")
    return {"type": "grammar", "grammar": fields}


def read_choice(raw: Raw) -> str | dict[str, Any] | None:
    """Return the tool choice in chat form, or None: it names what only this dialect knows.

    Raises:
        BadRequest: neither a known word nor an object with a type.
    """
    choice = decode(_choice, raw, "tool_choice")
    if isinstance(choice, str):
        if choice not in _OPTIONS:
            raise malformed(
                "tool_choice",
                f"'tool_choice' is '{choice[:64]}'; none, auto and required are known.",
            )
        return choice
    if choice.type == "allowed_tools":
        tools = [_named_choice(tool) for tool in choice.tools]
        if None in tools:
            return None
        return {
            "type": "allowed_tools",
            "allowed_tools": {"mode": choice.mode, "tools": tools},
        }
    return _named_choice(choice)


def _named_choice(choice: _Choice) -> dict[str, Any] | None:
    if choice.type not in ("function", "custom"):
        return None
    if not choice.name:
        raise malformed("tool_choice.name", "'tool_choice.name' is missing.")
    return {"type": choice.type, choice.type: {"name": choice.name}}
