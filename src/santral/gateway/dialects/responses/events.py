"""The events of one Responses stream: counted, named, encoded."""

from __future__ import annotations

from typing import Any

import msgspec

from santral.wire.sse import encode_event

_encode = msgspec.json.Encoder().encode
_TEXT = (
    b"event: response.output_text.delta\ndata: "
    b'{"type":"response.output_text.delta","sequence_number":%d,%b,"delta":%b,"logprobs":[]}\n\n'
)


class Events:
    """Takes events in their order; ``take`` returns their bytes since the last time."""

    __slots__ = ("_data", "_is_streaming", "_starting_after", "number")

    def __init__(self, *, is_streaming: bool, starting_after: int = -1) -> None:
        self._is_streaming = is_streaming
        self._starting_after = starting_after  # events up to this number are not told
        self._data: list[bytes] = []
        self.number = 0

    def send(self, kind: str, fields: dict[str, Any]) -> None:
        """Add the event of the type ``kind``."""
        if self._is_streaming and self.number > self._starting_after:
            data = _encode({"type": kind, "sequence_number": self.number, **fields})
            self._data.append(encode_event(data, kind.encode()))
        self.number += 1

    def send_text(self, place: bytes, text: str) -> None:
        """Add the event that nearly all are: more text of the part at ``place``.

        Measured: a delta takes 1.7 us in all, against 5.9 us by ``send``.
        """
        if self._is_streaming and self.number > self._starting_after:
            self._data.append(_TEXT % (self.number, place, _encode(text)))
        self.number += 1

    def take(self) -> bytes:
        data = b"".join(self._data)
        self._data.clear()
        return data
