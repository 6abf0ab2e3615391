"""The shapes of requests in Anthropic's protocol, typed; errors name the place in the caller's words.

Source: https://platform.claude.com/docs/en/api/messages/create
"""

from __future__ import annotations

from functools import cache
from typing import Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

from santral.errors import BadRequest
from santral.providers.conversation.settings import wrong_shape
from santral.wire.messages import NONE

T = TypeVar("T")
Number = int | float


class Text(Struct, frozen=True):
    text: str
    cache_control: Raw = NONE
    citations: Raw = NONE


class Source(Struct, frozen=True):
    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""
    content: Raw = NONE


class Image(Struct, frozen=True):
    source: Source
    cache_control: Raw = NONE
    transformations: Raw = NONE


class Document(Struct, frozen=True):
    source: Source
    title: str | None = None
    context: str | None = None
    citations: Raw = NONE
    cache_control: Raw = NONE


class Caller(Struct, frozen=True):
    type: str = "direct"


class ToolUse(Struct, frozen=True):
    id: str
    name: str
    input: Raw
    cache_control: Raw = NONE
    caller: Caller | None = None
    toolset_name: str | None = None


class ToolResult(Struct, frozen=True):
    tool_use_id: str
    content: str | list[Raw] | None = None
    is_error: bool | None = None
    cache_control: Raw = NONE
    toolset_name: str | None = None


class Thinking(Struct, frozen=True):
    thinking: str
    signature: str = ""


class Redacted(Struct, frozen=True):
    data: str


class Message(Struct, frozen=True):
    role: Literal["user", "assistant", "system"]
    content: str | list[Raw]


class Tool(Struct, frozen=True):
    """A tool of the caller's; one with another type than ``custom`` is the provider's."""

    name: str
    input_schema: Raw
    description: str | None = None
    strict: bool | None = None
    cache_control: Raw = NONE


class ToolChoice(Struct, frozen=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingConfig(Struct, frozen=True):
    type: str
    budget_tokens: int | None = None


class OutputFormat(Struct, frozen=True):
    type: Literal["json_schema"]
    schema: Raw


class OutputConfig(Struct, frozen=True):
    format: OutputFormat | None = None
    effort: str | None = None


class Metadata(Struct, frozen=True):
    user_id: str | None = None


class Request(Struct, frozen=True):
    """The fields of a request that are translated; the others are native."""

    model: str
    messages: list[Message]
    max_tokens: int | None = None
    system: str | list[Raw] | None = None
    stream: bool | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tools: list[Raw] | None = None
    tool_choice: ToolChoice | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None  # what output_config.format was in its beta
    metadata: Metadata | None = None
    service_tier: str | None = None
    santral: Raw = NONE


_fields = msgspec.json.Decoder(dict[str, Raw])
_request = msgspec.json.Decoder(Request)


class Tagged(Struct, frozen=True):
    type: str | None = None


_tagged = msgspec.json.Decoder(Tagged)


def read_body(body: bytes) -> tuple[Request, dict[str, Raw]]:
    """Return the typed request and every top-level field as it came.

    Raises:
        BadRequest: not JSON, a wrong type or a missing field.
    """
    try:
        request, fields = _request.decode(body), _fields.decode(body)
        if not body.isascii():
            str(body, "utf-8")  # fields we only pass through are skipped unread by the decoder
    except msgspec.ValidationError as error:
        raise wrong_shape(error, "") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}", code="invalid_json") from None
    return request, fields


def read_as(kind: type[T], raw: Raw, path: str) -> T:
    """Return a block as its shape.

    Raises:
        BadRequest: it has another one; ``path`` is where it stands.
    """
    try:
        return _decoder_of(kind).decode(raw)
    except msgspec.ValidationError as error:
        raise wrong_shape(error, path) from None


@cache
def _decoder_of(kind: type[T]) -> msgspec.json.Decoder[T]:
    """Making one costs ten times what it saves on a short block."""
    return msgspec.json.Decoder(kind)


def type_of(raw: Raw, path: str) -> str:
    """Return the ``type`` of a block, empty where it has none.

    Raises:
        BadRequest: it is no object, or its type is no text.
    """
    try:
        return _tagged.decode(raw).type or ""
    except msgspec.ValidationError as error:
        raise wrong_shape(error, path) from None


def fields_of(raw: Raw) -> dict[str, Raw]:
    """Return the fields of a block that is known to be an object."""
    return _fields.decode(raw)


def is_given(raw: Raw) -> bool:
    """Whether a raw field was there and not null."""
    return bytes(raw) not in (b"", b"null")
