"""Traces in words: times, costs and what was said, as the terminal and the console show them."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from santral.traces.record import SpanRecord

#: Deeper nesting is drawn as none: no trace of ours is, and a circle of parents would be. Chosen.
_DEEPEST = 64


def visible(text: str) -> str:
    """Return ``text`` with characters that steer a terminal or turn its direction made visible."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible_character(c) for c in text)


def messages(request: str) -> Iterator[tuple[str, str]]:
    """Yield who said what in a stored request; the whole text where it is no list of messages."""
    try:
        said = json.loads(request)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, list):
        yield "request", request
        return
    for message in cast(list[Any], said):
        fields = (
            cast(dict[str, Any], message) if isinstance(message, dict) else {"content": message}
        )
        content = fields.get("content")
        yield str(fields.get("role", "?")), content if isinstance(content, str) else _dump(fields)


def duration(us: int | None) -> str:
    """Return microseconds for a person: 840 us, 12.3 ms, 1.84 s."""
    if us is None:
        return "-"
    if us < 1000:
        return f"{us} us"
    if us < 999_500:  # what rounds to 1000 ms is a second
        return f"{us / 1000:.3g} ms"
    return f"{us / 1e6:.3g} s" if us < 99_950_000 else f"{us / 1e6:,.0f} s"


def dollars(nanousd: int | None) -> str:
    """Return a cost for a person, to the digits that matter; a dash where the price is unknown."""
    if nanousd is None:
        return "-"
    if nanousd == 0:
        return "$0"
    usd = nanousd / 1e9
    if usd >= 1:
        return f"${usd:,.2f}"
    return f"${usd:.3g}" if usd >= 0.001 else f"${usd:.9f}".rstrip("0")


def tokens(given: int | None, made: int | None) -> str:
    """Return tokens in and out."""
    return "-" if given is None else f"{given:,} > {made or 0:,}"


def clock_time(us: int) -> str:
    """Return the UTC date and time of a moment."""
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _visible_character(c: str) -> str:
    if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp"):
        return c
    return " " if c == "\t" else f"<{ord(c):02x}>"


def depths(spans: Sequence[SpanRecord]) -> dict[str, int]:
    """Return how deep each span lies; parents that are missing or run in a circle count as none."""
    parents = {span.id: span.parent_id for span in spans}
    depths: dict[str, int] = {}
    for span in spans:
        at, depth = span.parent_id, 0
        while at in parents and depth < _DEEPEST:
            at, depth = parents[at], depth + 1
        depths[span.id] = depth % _DEEPEST
    return depths


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
