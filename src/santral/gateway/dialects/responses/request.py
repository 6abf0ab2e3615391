"""Requests of the Responses protocol, translated into the internal form.

Source: https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.errors import BadRequest
from santral.gateway.dialects.responses.input import InputReader, reference_in
from santral.gateway.dialects.responses.parts import NONE, decode, malformed
from santral.gateway.dialects.responses.tools import read_choice, read_tool
from santral.wire.chat import ChatCall, ChatRequest, read_chat

_REASONING = "reasoning.encrypted_content"  # always there: nothing to do
_LOGPROBS = "message.output_text.logprobs"


class _Reasoning(Struct, frozen=True):
    effort: str | None = None


class _Format(Struct, frozen=True):
    type: str = "text"


class _Text(Struct, frozen=True):
    format: Raw = NONE
    verbosity: str | None = None


class Request(Struct, frozen=True):
    """The fields of a request that Santral looks at."""

    model: str
    input: str | list[Raw] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: Raw = NONE
    background: bool | None = None
    store: bool | None = None
    stream: bool | None = None
    tools: list[Raw] | None = None
    tool_choice: Raw = NONE
    text: _Text | None = None
    reasoning: _Reasoning | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None
    max_output_tokens: int | None = None
    top_logprobs: int | None = None
    truncation: str | None = None
    temperature: float | int | None = None
    top_p: float | int | None = None
    parallel_tool_calls: bool | None = None

    @property
    def wants_logprobs(self) -> bool:
        return bool(self.top_logprobs) or _LOGPROBS in (self.include or ())


_request = msgspec.json.Decoder(Request)
_fields = msgspec.json.Decoder(dict[str, Raw])
_format = msgspec.json.Decoder(_Format)

#: Fields that chat completions have, too, with the same meaning.
_ALIKE = frozenset({
    "model", "stream", "temperature", "top_p", "parallel_tool_calls", "user", "safety_identifier",
    "prompt_cache_key", "prompt_cache_retention", "service_tier", "santral",
})  # fmt: skip
#: Fields that are translated below, or answered by the gateway itself.
_TRANSLATED = frozenset({
    "input", "instructions", "previous_response_id", "conversation", "background", "store", "tools",
    "tool_choice", "text", "reasoning", "include", "metadata", "max_output_tokens", "top_logprobs",
    "truncation", "stream_options",
})  # fmt: skip


class ResponsesCall(ChatCall):
    """A call with what its answer has to say of the request."""

    __slots__ = ("asked", "asked_fields", "response_id", "seen_by")

    def __init__(
        self,
        view: ChatRequest,
        fields: dict[str, Raw],
        native: dict[str, Raw],
        asked: Request,
        asked_fields: dict[str, Raw],
        response_id: str,
    ) -> None:
        super().__init__(view, fields, "responses", native)
        self.asked = asked
        self.asked_fields = asked_fields
        self.response_id = response_id  # without its prefix
        self.seen_by: frozenset[str] = frozenset()  # groups of what it goes on from


def read_request(body: bytes) -> tuple[Request, dict[str, Raw]]:
    """Read the fields of a request, typed and as they came.

    Raises:
        BadRequest: not JSON, a wrong type, or something that is not offered; names the place.
    """
    try:
        if not body.isascii():
            str(body, "utf-8")
        request = decode(_request, body, "")
        fields = _fields.decode(body)
    except BadRequest as error:
        place = (error.param or "").removeprefix(".")
        reason = error.message.partition(" at '")[0].rstrip(".")
        where = f" at '{place}'" if place else ""
        raise BadRequest(f"{reason}{where}.", code="invalid_request", param=place or None) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}", code="invalid_json") from None
    _refuse_unoffered(request)
    return request, fields


def _refuse_unoffered(request: Request) -> None:
    if request.background:
        raise malformed(
            "background",
            "Santral answers while you wait: leave 'background' out, and use 'stream' for long "
            "answers.",
        )
    if bytes(request.conversation) not in (b"", b"null"):
        raise malformed(
            "conversation",
            "Santral keeps no conversations: name the last response in 'previous_response_id'.",
        )
    if request.input is None and request.previous_response_id is None:
        raise malformed("input", "'input' is missing: a text, or a list of items.")


def references(request: Request) -> list[str]:
    """Return the ids of items that the input only refers to."""
    items = request.input if isinstance(request.input, list) else []
    found = [reference_in(raw, f"input[{position}]") for position, raw in enumerate(items)]
    return [name for name in found if name]


def translate(
    request: Request,
    fields: dict[str, Raw],
    response_id: str,
    earlier: Sequence[Raw],
    referred: Mapping[str, Raw],
) -> ResponsesCall:
    """Return the call; ``earlier`` are the items of the conversation so far.

    Raises:
        BadRequest: an item or setting is malformed; names the place.
    """
    native: dict[str, Raw] = {
        name: value
        for name, value in fields.items()
        if name not in _ALIKE and name not in _TRANSLATED and bytes(value) != b"null"
    }
    chat: dict[str, Any] = {
        name: value for name, value in fields.items() if name in _ALIKE and bytes(value) != b"null"
    }
    chat["messages"] = _messages(request, earlier, referred)
    _translate_tools(request, chat, native)
    _translate_text(request, chat)
    _translate_reasoning(request, fields, chat, native)
    _translate_rest(request, chat, native)
    view, read = read_chat(msgspec.json.encode(chat))
    return ResponsesCall(view, read, native, request, fields, response_id)


def _messages(
    request: Request, earlier: Sequence[Raw], referred: Mapping[str, Raw]
) -> list[dict[str, Any]]:
    reader = InputReader()
    if request.instructions:
        reader.say("system", request.instructions)
    reader.read(earlier, "previous_response_id")
    if isinstance(request.input, str):
        reader.say("user", request.input)
    else:
        items = [
            referred.get(reference_in(raw, f"input[{position}]"), raw)
            for position, raw in enumerate(request.input or ())
        ]
        reader.read(items, "input")
    return reader.messages()


def _translate_tools(request: Request, chat: dict[str, Any], native: dict[str, Raw]) -> None:
    if request.tools:
        chat["tools"] = [
            read_tool(raw, f"tools[{position}]") for position, raw in enumerate(request.tools)
        ]
    if bytes(request.tool_choice) in (b"", b"null"):
        return
    choice = read_choice(request.tool_choice)
    if choice is None:
        native["tool_choice"] = request.tool_choice
    else:
        chat["tool_choice"] = choice


def _translate_text(request: Request, chat: dict[str, Any]) -> None:
    text = request.text
    if text is None:
        return
    if text.verbosity is not None:
        chat["verbosity"] = text.verbosity
    if bytes(text.format) in (b"", b"null"):
        return
    kind = decode(_format, text.format, "text.format").type
    if kind == "json_object":
        chat["response_format"] = {"type": kind}
    elif kind == "json_schema":
        schema = _fields.decode(text.format)
        schema.pop("type")
        chat["response_format"] = {"type": kind, "json_schema": schema}
    elif kind != "text":
        raise malformed(
            "text.format.type",
            f"'text.format.type' is '{kind[:64]}'; text, json_object and json_schema are known.",
        )


def _translate_reasoning(
    request: Request, fields: dict[str, Raw], chat: dict[str, Any], native: dict[str, Raw]
) -> None:
    if request.reasoning is None:
        return
    if request.reasoning.effort is not None:
        chat["reasoning_effort"] = request.reasoning.effort
    for name, value in _fields.decode(fields["reasoning"]).items():
        if name != "effort" and bytes(value) != b"null":
            native[f"reasoning.{name}"] = value


def _translate_rest(request: Request, chat: dict[str, Any], native: dict[str, Raw]) -> None:
    if request.max_output_tokens is not None:
        chat["max_completion_tokens"] = request.max_output_tokens
    if request.wants_logprobs:
        chat["logprobs"] = True
    if request.top_logprobs:
        chat["top_logprobs"] = request.top_logprobs
    if request.truncation not in (None, "disabled"):
        native["truncation"] = Raw(msgspec.json.encode(request.truncation))
    include = [name for name in request.include or () if name not in (_REASONING, _LOGPROBS)]
    if include:
        native["include"] = Raw(msgspec.json.encode(include))
