"""The shapes of Bedrock's answers: payloads of frames, whole answers, usage. Every field may be missing.

Source: botocore 1.44, bedrock-runtime 2023-09-30.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from santral.providers.bedrock.cited import Citation
from santral.wire.chat import NULL
from santral.wire.usage import Usage


class Reasoning(Struct, rename="camel"):
    text: str = ""
    signature: str = ""
    redacted_content: str = ""
    reasoning_text: Reasoning | None = None  # in a whole answer


class Tool(Struct, rename="camel"):
    tool_use_id: str = ""
    name: str = ""
    input: Raw = NULL  # a fragment of JSON in a string, or in a whole answer the value itself
    type: str = ""


class Said(Struct):
    text: str = ""


class Cited(Struct):
    content: list[Said] = []
    citations: list[Citation] = []


class Block(Struct, rename="camel"):
    """A delta of a block, or a whole one."""

    text: str | None = None
    tool_use: Tool | None = None
    reasoning_content: Reasoning | None = None
    citation: Citation | None = None
    citations_content: Cited | None = None


class Cache(Struct, rename="camel"):
    ttl: str = ""
    input_tokens: int = 0


class TokenUsage(Struct, rename="camel"):
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    cache_details: list[Cache] | None = None


class Extra(Struct):
    stop_sequence: str | None = None
    delta: Extra | None = None


class Tier(Struct):
    type: str = ""


class Event(Struct, rename="camel"):
    """The payload of any frame."""

    content_block_index: int = 0
    start: Block | None = None
    delta: Raw = NULL
    stop_reason: str = ""
    additional_model_response_fields: Extra | None = None
    usage: TokenUsage | None = None
    trace: Raw = NULL
    service_tier: Tier | None = None


class Message(Struct):
    content: list[Raw] = []


class Output(Struct):
    message: Message | None = None


class Whole(Struct, rename="camel"):
    output: Output | None = None
    stop_reason: str = ""
    usage: TokenUsage | None = None
    additional_model_response_fields: Extra | None = None
    trace: Raw = NULL
    service_tier: Tier | None = None


event_decoder = msgspec.json.Decoder(Event)
block_decoder = msgspec.json.Decoder(Block)
whole_decoder = msgspec.json.Decoder(Whole)


def usage_of(counted: TokenUsage) -> Usage:
    """``inputTokens`` excludes what was read from the cache and written to it."""
    long = sum(
        entry.input_tokens
        for entry in counted.cache_details or ()
        if entry.ttl.lower() in ("1h", "t1h")
    )
    return Usage(
        input_uncached=counted.input_tokens,
        cache_read=counted.cache_read_input_tokens,
        cache_write=max(0, counted.cache_write_input_tokens - long),
        cache_write_1h=long,
        output_text=counted.output_tokens,
    )
