"""Gemini's generateContent request as chat completions.

Sources: https://ai.google.dev/api/generate-content, google-genai 3.4 (models.py).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.errors import BadRequest
from santral.gateway.dialects.gemini.contents import MessageWriter
from santral.gateway.dialects.gemini.read import fields_of, read_fields
from santral.gateway.dialects.gemini.schema import json_schema
from santral.gateway.dialects.gemini.tools import tool_choice, tools
from santral.wire.chat import ChatCall, read_chat
from santral.wire.gemini import TIERS

_encode = msgspec.json.Encoder().encode
_list = msgspec.json.Decoder(list[Raw])

#: generationConfig's names that chat completions know by another one.
_NAMES = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "candidateCount": "n",
    "maxOutputTokens": "max_completion_tokens",
    "stopSequences": "stop",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
}

_FORM = ("responseMimeType", "responseSchema", "responseJsonSchema")

#: Top-level fields that are translated; ``model`` stands in the path, too.
_TRANSLATED = frozenset(
    {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "serviceTier",
        "model",
        "santral",
    }
)


class _Thinking(Struct, frozen=True, rename="camel"):
    include_thoughts: bool = False
    thinking_budget: int | None = None
    thinking_level: str = ""


class GeminiCall(ChatCall):
    """A call of Gemini's: whether its caller wants to see thoughts, and a stream as an array."""

    __slots__ = ("as_array", "shows_thoughts")

    as_array: bool
    shows_thoughts: bool


def body_fields(body: bytes) -> dict[str, Raw]:
    """Return the fields of a request by their camelCase names.

    Raises:
        BadRequest: not JSON, or no object.
    """
    try:
        if not body.isascii():
            str(body, "utf-8")
        msgspec.json.decode(body, type=Raw)
        return fields_of(body, "body")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}", code="invalid_json") from None


def read_call(fields: dict[str, Raw], model: str, *, is_streaming: bool) -> GeminiCall:
    """Return the call that a request makes.

    Raises:
        BadRequest: malformed; the message names the place.
    """
    chat: dict[str, Any] = {"model": model, "messages": read_messages(fields)}
    if is_streaming:
        chat["stream"] = True
    native = {name: raw for name, raw in fields.items() if name not in _TRANSLATED}
    config = fields_of(fields.get("generationConfig", Raw(b"{}")), "generationConfig")
    shows = _add_config(chat, config, native)
    _add_tools(chat, fields, native)
    if "serviceTier" in fields:
        tier = msgspec.json.decode(fields["serviceTier"])
        chat["service_tier"] = TIERS.get(str(tier).lower(), str(tier).lower())
    if "santral" in fields:
        chat["santral"] = fields["santral"]
    call = GeminiCall(*read_chat(_encode(chat)), "gemini", native)
    call.as_array, call.shows_thoughts = False, shows
    return call


def read_messages(fields: dict[str, Raw]) -> list[dict[str, Any]]:
    """Return instruction and contents as messages.

    Raises:
        BadRequest: no contents, or malformed ones.
    """
    writer = MessageWriter()
    if "systemInstruction" in fields:
        writer.add_system(fields["systemInstruction"])
    raw = fields.get("contents", Raw(b"[]"))
    try:
        contents = _list.decode(raw)
    except msgspec.ValidationError:
        contents = [raw]  # Google takes a sole content without its list
    for at, content in enumerate(contents):
        writer.add(at, content)
    if not contents:
        raise BadRequest("'contents' is missing.", code="invalid_request", param="contents")
    return writer.messages


def _add_config(chat: dict[str, Any], config: dict[str, Raw], native: dict[str, Raw]) -> bool:
    """Add what generationConfig says; return whether thoughts are to be shown."""
    for name, ours in _NAMES.items():
        if name in config:
            chat[ours] = config.pop(name)
    _add_form(chat, config)
    shows = _add_thinking(chat, config.pop("thinkingConfig", None))
    if config:
        native["generationConfig"] = Raw(_encode(config))
    return shows


def _add_form(chat: dict[str, Any], config: dict[str, Raw]) -> None:
    kind = config.get("responseMimeType")
    if kind is None or bytes(kind) == b'"text/plain"':
        config.pop("responseMimeType", None)
        return
    if bytes(kind) != b'"application/json"':
        return  # text/x.enum: only Gemini knows it
    given = {name: config.pop(name, None) for name in _FORM}
    schema: Any = given["responseJsonSchema"]
    if schema is None and given["responseSchema"] is not None:
        schema = json_schema(msgspec.json.decode(given["responseSchema"]))
    if schema is None:
        chat["response_format"] = {"type": "json_object"}
    else:
        named = {"name": "answer", "schema": schema}
        chat["response_format"] = {"type": "json_schema", "json_schema": named}


def _add_thinking(chat: dict[str, Any], raw: Raw | None) -> bool:
    """Say how much to think in OpenAI's word, or by Anthropic's field where it is a number."""
    if raw is None:
        return False
    place = "generationConfig.thinkingConfig"
    asked = read_fields(fields_of(raw, place), _Thinking, place)
    budget = asked.thinking_budget
    if asked.thinking_level:
        chat["reasoning_effort"] = asked.thinking_level.lower()
    elif budget == 0:
        chat["reasoning_effort"] = "none"
    elif budget is not None and budget > 0:
        chat["thinking"] = {"type": "enabled", "budget_tokens": budget}
    elif asked.include_thoughts or budget is not None:
        chat["thinking"] = {"type": "adaptive"}
    return asked.include_thoughts


def _add_tools(chat: dict[str, Any], fields: dict[str, Raw], native: dict[str, Raw]) -> None:
    made = tools(fields["tools"]) if "tools" in fields else []
    if made:
        chat["tools"] = made
    config = fields_of(fields.get("toolConfig", Raw(b"{}")), "toolConfig")
    calling = config.pop("functionCallingConfig", None)
    if calling is not None:
        choice = tool_choice(calling)
        if choice is not None and made:
            chat["tool_choice"] = choice
    if config:
        native["toolConfig"] = Raw(_encode(config))
