"""What Anthropic sends, typed: whole answers, events of a stream, ends; all else is garbled.

Every field may be missing, as imitators leave them out.
Source: https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.providers.decoded import decoded
from santral.wire.messages import NONE, MessagesUsage


class Stop(Struct, frozen=True):
    """Why an answer ended."""

    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Raw = NONE


class Answer(Struct, frozen=True):
    """A whole message, or the head of a streamed one."""

    id: str = ""
    model: str = ""
    content: list[Raw] = []
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Raw = NONE
    usage: MessagesUsage | None = None
    type: str = ""
    error: Any = None


class StreamEvent(Struct, frozen=True):
    """One event, of any type."""

    type: str = ""
    index: int = 0
    message: Answer | None = None
    content_block: Raw = NONE
    delta: Raw = NONE
    usage: MessagesUsage | None = None
    error: Any = None


class _Details(Struct, frozen=True):
    explanation: str | None = None


def explanation_of(details: bytes) -> str:
    """Return why an answer was refused, from its ``stop_details``."""
    return msgspec.json.decode(details, type=_Details).explanation or ""


_event = msgspec.json.Decoder(StreamEvent)
_answer = msgspec.json.Decoder(Answer)
_stop = msgspec.json.Decoder(Stop)


def read_event(data: bytes) -> StreamEvent:
    """Return the event of one ``data`` line; errors as ``decoded``."""
    return decoded(_event.decode, data)


def read_answer(body: bytes) -> Answer:
    """Return a whole answer; errors as ``decoded``."""
    return decoded(_answer.decode, body)


def read_stop(delta: bytes) -> Stop:
    """Return ``delta`` of a ``message_delta``; errors as ``decoded``."""
    return decoded(_stop.decode, delta)
