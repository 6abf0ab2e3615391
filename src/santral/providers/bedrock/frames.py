"""The binary event stream of AWS: bytes in any split to frames, each checked twice.

A frame is total length and headers length (u32), a CRC-32 of both, headers, payload, and a CRC-32 of
everything before it. Source:
https://smithy.io/2.0/aws/amazon-eventstream.html#amazon-event-stream-specification
"""

from __future__ import annotations

import struct
import zlib

from msgspec import Struct

from santral.errors import ProviderGarbled

#: What a frame and its headers may measure. Specified: 24 MB and 128 KiB in the source above.
MAX_FRAME_BYTES = 24 * 1024 * 1024
MAX_HEADER_BYTES = 128 * 1024

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")

#: Sizes of header values by type, where they are fixed: booleans, integers, timestamp, UUID.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _TEXT = 6, 7


class Frame(Struct, frozen=True):
    """One frame; only texts among its headers are kept."""

    headers: dict[str, str]
    payload: bytes


class FrameReader:
    """Reads frames however their bytes are split."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> bool:
        """Whether bytes came that no frame has delivered yet."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that ``data`` completes.

        Raises:
            ProviderGarbled: a checksum or a length is wrong.
        """
        self._buffer += data
        frames: list[Frame] = []
        start = 0
        while len(self._buffer) - start >= _PRELUDE.size:
            total, headers = _lengths(self._buffer, start)
            if len(self._buffer) - start < total:
                break
            frames.append(_frame(bytes(self._buffer[start : start + total]), headers))
            start += total
        del self._buffer[:start]
        return frames


def _lengths(buffer: bytearray, start: int) -> tuple[int, int]:
    """Return a frame's length and that of its headers: checked before anybody waits for more bytes."""
    total, headers, crc = _PRELUDE.unpack_from(buffer, start)
    if zlib.crc32(buffer[start : start + 8]) != crc:
        raise ProviderGarbled("A frame of the provider's stream is corrupted (prelude checksum).")
    least = _PRELUDE.size + headers + _CRC.size
    if headers > MAX_HEADER_BYTES or not least <= total <= MAX_FRAME_BYTES:
        raise ProviderGarbled(f"A frame of the provider's stream has a wrong length ({total}).")
    return total, headers


def _frame(data: bytes, headers: int) -> Frame:
    body, (crc,) = data[: -_CRC.size], _CRC.unpack(data[-_CRC.size :])
    if zlib.crc32(body) != crc:
        raise ProviderGarbled("A frame of the provider's stream is corrupted (message checksum).")
    end = _PRELUDE.size + headers
    return Frame(_headers(body[_PRELUDE.size : end]), body[end:])


def _headers(data: bytes) -> dict[str, str]:
    read: dict[str, str] = {}
    at = 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            name, kind = data[at + 1 : name_end].decode(), data[name_end]
            at = name_end + 1
            if kind in (_BYTES, _TEXT):
                size = int.from_bytes(data[at : at + 2])
                at += 2
                if kind == _TEXT:
                    read[name] = data[at : at + size].decode()
            else:
                size = _FIXED[kind]
            at += size
    except (IndexError, KeyError, UnicodeDecodeError):
        raise ProviderGarbled("A frame of the provider's stream has malformed headers.") from None
    if at != len(data):
        raise ProviderGarbled("A frame of the provider's stream has malformed headers.")
    return read
