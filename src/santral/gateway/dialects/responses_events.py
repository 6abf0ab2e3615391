"""The events of one Responses stream: counted, named, encoded."""

from __future__ import annotations

from typing import Any

import msgspec

from santral.wire.sse import encode_event

_encode = msgspec.json.Encoder().encode


class Events:
    """Takes events in their order; ``take`` returns their bytes since the last time."""

    __slots__ = ("_data", "_is_streaming", "number")

    def __init__(self, *, is_streaming: bool) -> None:
        self._is_streaming = is_streaming
        self._data: list[bytes] = []
        self.number = 0

    def send(self, kind: str, fields: dict[str, Any]) -> None:
        """Add the event of the type ``kind``."""
        if self._is_streaming:
            data = _encode({"type": kind, "sequence_number": self.number, **fields})
            self._data.append(encode_event(data, kind.encode()))
        self.number += 1

    def take(self) -> bytes:
        data = b"".join(self._data)
        self._data.clear()
        return data
