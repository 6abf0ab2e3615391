"""Anthropic's Messages protocol as both directions share it: usage, endings, errors, opaque data.

Sources: https://platform.claude.com/docs/en/api/messages, /api/errors and /build-with-claude/streaming
there, as of 2026-11; field names also from the types of anthropic-sdk-python 2.12.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct

from santral.wire.usage import Usage

#: The dialect's name: of calls that came in it, and of blocks only it knows.
MESSAGES = "messages"

#: Who made a reasoning detail. Source: OpenRouter's names, see ``wire.delta.ReasoningDetail``.
CLAUDE_FORMAT = "anthropic-claude-v1"

#: A raw field that was not there: msgspec takes no union with ``Raw``.
NONE = Raw(b"")

#: OpenAI's word for each stop reason. ``pause_turn`` ends a turn that the client continues by
#: sending the answer back: for anybody else it is an end.
FINISH_OF = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    "compaction": "stop",
}

#: The stop reason for each of OpenAI's words.
STOP_OF = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


class CacheCreation(Struct, frozen=True):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(Struct, frozen=True):
    thinking_tokens: int | None = None


class MessagesUsage(Struct, frozen=True):
    """``usage``: the input excludes what was cached, the output includes thinking."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None
    service_tier: str | None = None

    def updated(self, later: MessagesUsage) -> MessagesUsage:
        """Return the usage as a later event leaves it: its numbers are totals, so they replace."""
        return MessagesUsage(
            **{
                name: getattr(self, name) if (new := getattr(later, name)) is None else new
                for name in self.__struct_fields__
            }
        )

    @property
    def classes(self) -> Usage:
        """The tokens in disjoint billing classes."""
        written = self.cache_creation_input_tokens or 0
        split = self.cache_creation or CacheCreation()
        for_an_hour = min(split.ephemeral_1h_input_tokens or 0, written)
        details = self.output_tokens_details or OutputDetails()
        output = self.output_tokens or 0
        thinking = min(details.thinking_tokens or 0, output)
        return Usage(
            input_uncached=self.input_tokens or 0,
            cache_read=self.cache_read_input_tokens or 0,
            cache_write=written - for_an_hour,
            cache_write_1h=for_an_hour,
            output_text=output - thinking,
            reasoning=thinking,
        )


def wire_usage(usage: Usage) -> dict[str, Any]:
    """Return ``usage`` of a message."""
    written = usage.cache_write + usage.cache_write_1h
    body: dict[str, Any] = {
        "input_tokens": usage.input_tokens - usage.cache_read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning:
        body["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return body
