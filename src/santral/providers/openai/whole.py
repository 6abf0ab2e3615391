"""Mending a whole answer's JSON: what no client of OpenAI's reads is changed, the rest stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from santral.wire.delta import ChoiceDelta, ToolCallDelta

_fields = msgspec.json.Decoder(dict[str, Raw])
_generic = msgspec.json.Decoder(list[dict[str, Any]])


def mended(body: bytes, choices: Sequence[ChoiceDelta]) -> bytes:
    """Return the answer with texts, calls and ends as ``choices`` say them in OpenAI's words."""
    fields: dict[str, Any] = {**_fields.decode(body)}
    entries = _generic.decode(fields["choices"])
    fields["choices"] = [
        _choice(entry, choice) for entry, choice in zip(entries, choices, strict=True)
    ]
    return msgspec.json.encode(fields)


def _choice(entry: dict[str, Any], choice: ChoiceDelta) -> dict[str, Any]:
    message: dict[str, Any] = {**(entry.get("message") or {})}
    if isinstance(message.get("content"), list):
        message["content"] = choice.text
        if choice.reasoning:
            message["reasoning_content"] = choice.reasoning
    if message.get("tool_calls"):
        message["tool_calls"] = [
            _call(call, said)
            for call, said in zip(message["tool_calls"], choice.tool_calls, strict=False)
        ]
    return {**entry, "message": message, "finish_reason": choice.finish_reason}


def _call(call: dict[str, Any], said: ToolCallDelta) -> dict[str, Any]:
    if said.kind == "custom":
        return {**call, "id": said.id}
    function: dict[str, Any] = {**(call.get("function") or {}), "arguments": said.arguments}
    return {**call, "id": said.id, "type": "function", "function": function}
