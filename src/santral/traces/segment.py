"""The file format of the spool: frames in segments, read back past whatever a crash left.

A segment is ``magic, 8 random bytes (its sync mark)``, then frames of
``sync mark, ordinal u32, length u32, crc32 u32, body``. The sync mark differs per segment and never
leaves the machine, so nobody can hide a frame of their own inside a prompt and have it found after
damage. Ordinals count frames from 1, so a damaged stretch is known to the record.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

SUFFIX = ".spool"
SYNC_BYTES = 8
_MAGIC = b"santral-spool-1\n"
HEADER_BYTES = len(_MAGIC) + SYNC_BYTES
_FRAME = struct.Struct(
    "<III"
)  # ordinal, length, crc32 of all that follows the sync mark but itself
_pack_pair = struct.Struct("<II").pack
FRAME_BYTES = SYNC_BYTES + _FRAME.size


def segment_header(sync: bytes) -> bytes:
    """Return what a segment begins with."""
    return _MAGIC + sync


def pack_frame(sync: bytes, ordinal: int, body: bytes) -> bytes:
    """Return one frame, to be written with one ``write``."""
    size = len(body)
    return sync + _FRAME.pack(ordinal, size, crc32(body, crc32(_pack_pair(ordinal, size)))) + body


class Frames:
    """Iterates the bodies of a segment's valid frames; what was met on the way stays readable.

    ``offset`` and ``ordinal`` stand after the last frame returned (a checkpoint); ``damaged`` counts
    frames lost to damage before it. A tail that is no whole frame ends the iteration: it may still
    be in the act of being written. ``tail_bytes`` is its length once iteration has ended.
    """

    def __init__(self, path: Path, offset: int = 0, ordinal: int = 0) -> None:
        self.offset = offset
        self.ordinal = ordinal
        self.damaged = 0
        self.tail_bytes = 0
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        sync, start, data = self._load()
        if len(sync) < SYNC_BYTES:
            self.tail_bytes = len(data)
            return
        at = 0
        while True:
            frame = _frame_at(data, at, sync)
            if frame is None:
                at = _next_frame(data, at + 1, sync)
                if at < 0:
                    break
                continue
            ordinal, end = frame
            self.damaged += max(0, ordinal - self.ordinal - 1)
            self.ordinal, self.offset = ordinal, start + end
            yield data[at + FRAME_BYTES : end]
            at = end
        self.tail_bytes = start + len(data) - self.offset

    def _load(self) -> tuple[bytes, int, bytes]:
        """Return the sync mark, where reading starts, and the bytes from there."""
        with self._path.open("rb") as file:
            header = file.read(HEADER_BYTES)
            if not header.startswith(_MAGIC):
                return b"", 0, header
            self.offset = max(self.offset, HEADER_BYTES)
            file.seek(self.offset)
            return header[len(_MAGIC) :], self.offset, file.read()


def read_frames(path: Path, offset: int = 0, ordinal: int = 0) -> Frames:
    """Return the frames of a segment after ``offset``, whose last known ordinal is ``ordinal``."""
    return Frames(path, offset, ordinal)


def is_active(path: Path) -> bool:
    """Whether a living worker still writes to the segment (it holds a lock; death frees it)."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def _frame_at(data: bytes, at: int, sync: bytes) -> tuple[int, int] | None:
    """Return ordinal and end of the whole, undamaged frame at ``at``."""
    body = at + FRAME_BYTES
    if not data.startswith(sync, at) or body > len(data):
        return None
    ordinal, size, crc = _FRAME.unpack_from(data, at + SYNC_BYTES)
    end = body + size
    if end > len(data) or crc != crc32(data[body:end], crc32(_pack_pair(ordinal, size))):
        return None
    return ordinal, end


def _next_frame(data: bytes, at: int, sync: bytes) -> int:
    """Return where the next valid frame begins, or -1: what one append after the damage proves."""
    while (at := data.find(sync, at)) >= 0:
        if _frame_at(data, at, sync) is not None:
            return at
        at += 1
    return -1
