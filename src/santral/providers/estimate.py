"""Token counts where a provider gives none: from the length of the texts, and marked as estimated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from santral.wire.chat import Message
from santral.wire.usage import BYTES_PER_TOKEN, Usage, estimate_tokens

#: Role, separators and the like of one message. Source: OpenAI cookbook, "How to count tokens".
TOKENS_PER_MESSAGE = 4

_messages = msgspec.json.Decoder(list[Message])


def estimate_input(fields: Mapping[str, Any]) -> int:
    """Estimate the input tokens of a chat request; images and sounds count as nothing.

    Decodes the messages once more: for the end of an answer without usage, not for every request.
    """
    raw = msgspec.json.encode(fields.get("messages", ()))
    try:
        messages = _messages.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return int(len(raw) / BYTES_PER_TOKEN) + 1
    return sum(estimate_tokens(message.text) + TOKENS_PER_MESSAGE for message in messages)


def estimate_usage(fields: Mapping[str, Any], said_bytes: int) -> Usage:
    """Return the usage of an answer that came without: ``said_bytes`` is its length as UTF-8."""
    return Usage(
        input_uncached=estimate_input(fields),
        output_text=int(said_bytes / BYTES_PER_TOKEN) + 1,
        is_estimated=True,
    )
