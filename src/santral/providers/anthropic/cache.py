"""Where a prompt-cache marker saves most, for requests that come without one.

A marker at the end of the tools and of the system prompt keeps what every request of a route has in
common; one at the last user turn keeps a conversation that goes on. A request of one turn gets none
there: writing costs a quarter more, and nobody would read it.
Source: platform.claude.com, "Prompt caching": at most 4 markers, order tools, system, messages; a
prefix below the model's minimum is not cached, and its marker costs nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from santral.wire.usage import BYTES_PER_TOKEN

#: The smallest prefix that any model caches, in tokens (others: 2,048 and 4,096). Specified, as above.
MIN_TOKENS = 1024
_MIN_BYTES = int(MIN_TOKENS * BYTES_PER_TOKEN)

_MARKER = {"type": "ephemeral"}
#: Blocks that take no marker of their own. Specified, as above.
_UNMARKED = ("thinking", "redacted_thinking")


def mark_prefixes(body: dict[str, Any]) -> None:
    """Put markers into a request that has none."""
    encoded = {name: msgspec.json.encode(body.get(name, [])) for name in _PLACES}
    if "cache_control" in body or any(b'"cache_control"' in part for part in encoded.values()):
        return
    size = len(encoded["tools"])
    if size >= _MIN_BYTES:
        _mark(body["tools"])
    if body.get("system") and (size := size + len(encoded["system"])) >= _MIN_BYTES:
        _mark(body["system"])
    users = [turn for turn in body["messages"] if turn["role"] == "user"]
    if len(users) > 1 and size + len(encoded["messages"]) >= _MIN_BYTES:
        _mark(users[-1]["content"])


_PLACES = ("tools", "system", "messages")


def _mark(blocks: list[Any]) -> None:
    """Mark the last block that takes a marker; one we pass through as it is takes none."""
    for block in reversed(blocks):
        if isinstance(block, dict) and block.get("type") not in _UNMARKED:  # pyright: ignore[reportUnknownMemberType]
            block["cache_control"] = _MARKER
            return
