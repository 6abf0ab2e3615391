"""Answers of the Responses protocol as they come: tolerant views of events, items and usage.

Every field may be missing or null, as imitators leave them. Source:
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.wire.usage import Usage

NONE = Raw(b"")


class _InputDetails(Struct, frozen=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(Struct, frozen=True):
    reasoning_tokens: int | None = None


class _Usage(Struct, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _Incomplete(Struct, frozen=True):
    reason: str | None = None


class Response(Struct, frozen=True):
    id: str | None = None
    model: str | None = None
    created_at: float | None = None
    status: str | None = None
    error: Any = None
    incomplete_details: _Incomplete | None = None
    output: list[Raw] | None = None
    usage: _Usage | None = None
    service_tier: str | None = None


class Part(Struct, frozen=True):
    """A part of a message, a summary, or reasoning."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    logprobs: Raw = NONE


class ItemHead(Struct, frozen=True):
    """What an item is; the rest of it is read by its type."""

    type: str = ""
    id: str | None = None


class OutputItem(Struct, frozen=True):
    """An item of a type that the internal form knows."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None


class Event(Struct, frozen=True):
    """One event of a stream, whichever of its fields its type has."""

    type: str = ""
    output_index: int | None = None
    item_id: str | None = None
    content_index: int | None = None
    summary_index: int | None = None
    delta: Any = None
    text: Any = None
    refusal: Any = None
    arguments: Any = None
    input: Any = None
    logprobs: Raw = NONE
    annotation: Raw = NONE
    item: Raw = NONE
    response: Response | None = None
    error: Any = None
    code: Any = None
    message: Any = None
    param: Any = None


event_decoder = msgspec.json.Decoder(Event)
response_decoder = msgspec.json.Decoder(Response)
head_decoder = msgspec.json.Decoder(ItemHead)
item_decoder = msgspec.json.Decoder(OutputItem)


def usage_of(response: Response) -> Usage | None:
    """Return usage in disjoint classes: here the input includes cached, the output reasoning tokens."""
    used = response.usage
    if used is None or used.input_tokens is None:
        return None
    given = used.input_tokens_details or _InputDetails()
    made = used.output_tokens_details or _OutputDetails()
    read = min(given.cached_tokens or 0, used.input_tokens)
    written = min(given.cache_write_tokens or 0, used.input_tokens - read)
    output, reasoning = used.output_tokens or 0, made.reasoning_tokens or 0
    return Usage(
        input_uncached=used.input_tokens - read - written,
        cache_read=read,
        cache_write=written,
        output_text=output - min(reasoning, output),
        reasoning=min(reasoning, output),
    )
