"""The file format of the spool: frames in segments, read back past whatever a crash left.

A segment is ``magic, 8 random bytes (its sync mark)``, then frames of
``sync mark, ordinal u32, length u32, crc32 u32, body``. The sync mark differs per segment and never
leaves the machine, so nobody can hide a frame of their own inside a prompt and have it found after
damage. Ordinals count frames from 1, so a damaged stretch is known to the record.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

SUFFIX = ".spool"
SYNC_BYTES = 8
#: The longest body of a frame: far above any record, far below what would fill a memory. Chosen.
MAX_BODY_BYTES = 512 * 1024 * 1024
_MAGIC = b"santral-spool-1\n"
_OTHER_VERSION = re.compile(rb"santral-spool-(?!1\n)\d+\n")
#: A file beyond it is no segment of ours: a worker closes one at 8 MiB and a record.
_MOST_BYTES = 2 * MAX_BODY_BYTES
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
    be in the act of being written. Once iteration has ended ``tail_bytes`` is its length and
    ``tail_records`` how many frames it must have held; ``is_segment`` is false for another file.

    Iterating raises OSError where the file cannot be read.
    """

    def __init__(self, path: Path, offset: int = 0, ordinal: int = 0) -> None:
        self.offset = offset
        self.ordinal = ordinal
        self.damaged = 0
        self.tail_bytes = 0
        self.tail_records = 0
        self.is_segment = True
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        sync, start, data = self._load()
        at = 0 if sync else -1
        while at >= 0:
            frame = _frame_at(data, at, sync)
            if frame is None:
                at = _next_frame(data, at + 1, sync)
                continue
            body, (ordinal, at) = at + FRAME_BYTES, frame
            self.offset = start + at
            if ordinal > self.ordinal:  # else a copy of one that was returned
                self.damaged += ordinal - self.ordinal - 1
                self.ordinal = ordinal
                yield data[body:at]
        tail = data[max(0, self.offset - start) :]
        self.tail_bytes = len(tail)
        self.tail_records = _records_in(tail, sync, self.ordinal + 1) if sync else 0

    def give_tail_up(self) -> None:
        """Pass over the tail of a segment that nobody writes to any more; what it held is damaged."""
        self.offset += self.tail_bytes
        self.ordinal += self.tail_records
        self.damaged += self.tail_records
        self.tail_bytes = self.tail_records = 0

    def _load(self) -> tuple[bytes, int, bytes]:
        """Return the sync mark, where reading starts, and the bytes from there."""
        with open(self._path, "rb", opener=_open) as file:
            head = file.read(HEADER_BYTES + SYNC_BYTES)
            is_too_long = os.fstat(file.fileno()).st_size > _MOST_BYTES
            if head.startswith(_MAGIC) and head[len(_MAGIC) : -SYNC_BYTES] == head[-SYNC_BYTES:]:
                sync = head[-SYNC_BYTES:]  # the usual: header and first frame agree
            else:
                file.seek(0)
                sync = b"" if is_too_long else _find_sync(file.read())
            if not sync or is_too_long:
                self.is_segment = not head  # one that a power cut left empty held nothing
                return b"", 0, head
            self.offset = max(self.offset, HEADER_BYTES)
            file.seek(self.offset)
            return sync, self.offset, file.read()


def read_frames(path: Path, offset: int = 0, ordinal: int = 0) -> Frames:
    """Return the frames of a segment after ``offset``, whose last known ordinal is ``ordinal``."""
    return Frames(path, offset, ordinal)


def is_active(path: Path) -> bool:
    """Whether a living worker still writes to the segment (it holds a lock; death frees it).

    Raises:
        OSError: the file cannot be opened, or its file system knows no locks.
    """
    fd = _open(str(path), os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def is_file(path: Path) -> bool:
    """Whether there is a file itself at ``path``: no folder, link, pipe or device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _open(path: str, flags: int) -> int:
    """Open a file itself; never follow a link, and never wait for the other end of a pipe."""
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is no file", path)
    return fd


def _find_sync(data: bytes) -> bytes:
    """Return the sync mark of a segment whose header may be damaged; nothing for another file.

    The mark stands in the header and before each frame. A header of another version is believed, and
    one without our magic only where a frame follows.
    """
    if _OTHER_VERSION.match(data):
        return b""
    own, first = data[len(_MAGIC) : HEADER_BYTES], data[HEADER_BYTES : HEADER_BYTES + SYNC_BYTES]
    if len(own) == SYNC_BYTES and _next_frame(data, HEADER_BYTES, own) >= 0:
        return own
    if _frame_at(data, HEADER_BYTES, first) is not None:
        return first
    return own if data.startswith(_MAGIC) and len(own) == SYNC_BYTES else b""


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


def _records_in(tail: bytes, sync: bytes, ordinal: int) -> int:
    """Return how many acknowledged records a tail without a valid frame held, as far as it shows.

    None in the beginning of the next frame: that is a write which a crash cut short. Damage counts
    each frame whose mark is left, and one where none is.
    """
    if not tail or _is_cut_short(tail, sync, ordinal):
        return 0
    marks = tail.count(sync)
    last = tail.rfind(sync)
    if last > 0 and _is_cut_short(tail[last:], sync, ordinal + marks - 1):
        marks -= 1
    return max(1, marks)


def _is_cut_short(data: bytes, sync: bytes, ordinal: int) -> bool:
    """Whether ``data`` is the beginning of the frame ``ordinal``, and not the whole of it."""
    expected = sync + ordinal.to_bytes(4, "little")
    if not data.startswith(expected[: len(data)]):
        return False
    if len(data) < FRAME_BYTES:
        return True
    size = _FRAME.unpack_from(data, SYNC_BYTES)[1]
    return FRAME_BYTES + size > len(data)
