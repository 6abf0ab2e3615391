"""The spool: where a worker leaves finished requests so that nothing waits for the store.

One ``write`` per record to an append-only segment file, so a record that was acknowledged survives
``kill -9`` (it is in the page cache); with ``fsync`` it survives power loss too. Reading it back is
``santral.traces.segment``. Used from one thread.
"""

from __future__ import annotations

import fcntl
import glob
import os
import time
from collections.abc import Callable
from pathlib import Path

from santral.errors import StoreError
from santral.traces.record import TraceRecord, encode_record
from santral.traces.segment import (
    FRAME_BYTES,
    HEADER_BYTES,
    SUFFIX,
    SYNC_BYTES,
    is_active,
    pack_frame,
    segment_header,
)

#: A segment is closed at this size: small enough to be read whole, large enough to be few. Chosen.
SEGMENT_BYTES = 8 * 1024 * 1024
#: A worker's bound is cut into at least this many segments, so that collecting one makes room.
_LEAST_SEGMENTS = 4
#: A full or broken spool looks at the disk again at most this often, in seconds. Chosen.
_LOOK_AGAIN_S = 0.1
_MAKING = ".making"


class Spool:
    """One worker's end of the spool. ``received == spooled + dropped`` at every moment."""

    def __init__(
        self,
        folder: Path,
        worker_id: str,
        max_bytes: int,
        fsync: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare ``folder``; the first segment is made by the first record.

        Raises:
            StoreError: the folder cannot be made or written.
        """
        _prepare(folder)
        self.received = 0
        self.spooled = 0
        self.dropped = 0
        self._folder, self._worker_id, self._fsync = folder, worker_id, fsync
        self._max_bytes = max_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max(1, max_bytes // _LEAST_SEGMENTS))
        self._clock = clock
        self._look_again_at = 0.0
        self._broken_until = 0.0  # zero while the disk takes what it is given
        self._fd = -1
        self._sync = b""
        self._ordinal = 0
        self._active_bytes = 0
        self._serial, self._others_bytes = self._look()
        self._remove_unfinished()

    @property
    def size_bytes(self) -> int:
        """Bytes of this worker's segments as last seen: what the bound holds against."""
        return self._others_bytes + self._active_bytes

    def append(self, record: TraceRecord) -> bool:
        """Keep ``record`` for the collector; False, and counted as dropped, when that is impossible.

        Never raises: the request that made the record has been answered.
        """
        self.received += 1
        try:
            is_kept = self._write(encode_record(record))
        except Exception:  # noqa: BLE001 - whatever a record or a disk can do, the request path goes on
            is_kept = False
        if is_kept:
            self.spooled += 1
        else:
            self.dropped += 1
        return is_kept

    def close(self) -> None:
        """Give the active segment to the collector. The next record opens a new one."""
        if self._fd >= 0:
            os.close(self._fd)  # also frees the lock that says "still written to"
            self._fd = -1
            self._others_bytes += self._active_bytes
            self._active_bytes = 0

    def _write(self, body: bytes) -> bool:
        if not self._has_room(len(body) + FRAME_BYTES + HEADER_BYTES):
            return False
        try:
            if self._fd < 0 or self._active_bytes >= self._segment_bytes:
                self._rotate()
            _write_whole(self._fd, frame := pack_frame(self._sync, self._ordinal + 1, body))
            if self._fsync:
                os.fdatasync(self._fd)
        except OSError:
            self._broken_until = self._clock() + _LOOK_AGAIN_S
            self._undo()
            return False
        self._ordinal += 1
        self._active_bytes += len(frame)
        return True

    def _has_room(self, size: int) -> bool:
        """Whether ``size`` more bytes keep the bound; a full spool looks for what was collected."""
        if self._broken_until:
            if self._clock() < self._broken_until:
                return False
            self._broken_until = 0.0
        if self.size_bytes + size <= self._max_bytes:
            return True
        if (now := self._clock()) < self._look_again_at:
            return False
        self._look_again_at = now + _LOOK_AGAIN_S
        self._others_bytes = max(0, self._look()[1] - self._active_bytes)
        return self.size_bytes + size <= self._max_bytes

    def _undo(self) -> None:
        """Cut a half-written frame off; where even that fails, leave the segment to the collector."""
        if self._fd < 0:
            return
        try:
            os.ftruncate(self._fd, self._active_bytes)
        except OSError:
            self.close()

    def _rotate(self) -> None:
        """Open the next segment. It gets its name only when it is locked and has its header."""
        self.close()
        self._serial += 1
        name = f"{self._worker_id}-{self._serial:08d}-{os.urandom(4).hex()}"
        making = self._folder / f"{name}{_MAKING}"
        sync = os.urandom(SYNC_BYTES)
        fd = os.open(making, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_whole(fd, segment_header(sync))
            making.rename(self._folder / f"{name}{SUFFIX}")
            if self._fsync:
                _sync_folder(self._folder)
        except OSError:
            os.close(fd)
            making.unlink(missing_ok=True)
            raise
        self._fd, self._sync, self._ordinal, self._active_bytes = fd, sync, 0, HEADER_BYTES

    def _look(self) -> tuple[int, int]:
        """Return the highest serial and the bytes of this worker's segments on disk."""
        serial, size = 0, 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                worker_id, _, rest = (
                    entry.name.rpartition(SUFFIX)[0].rpartition("-")[0].rpartition("-")
                )
                if worker_id == self._worker_id and rest.isdigit():
                    serial = max(serial, int(rest))
                    size += _size(entry)
        return serial, size

    def _remove_unfinished(self) -> None:
        """Remove segments that a former process of this worker died making: they hold no record."""
        for path in self._folder.glob(f"{glob.escape(self._worker_id)}-*{_MAKING}"):
            if not is_active(path):
                path.unlink(missing_ok=True)


def _write_whole(fd: int, data: bytes) -> None:
    if os.write(fd, data) != len(data):
        raise OSError("the disk took only a part of it")


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:  # the collector was quicker
        return 0


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The spool folder {folder} cannot be made: {error.strerror}. Set data.folder to a "
            "folder that this process may write."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(
            f"The spool folder {folder} cannot be written: it is read-only for this process. Set "
            "data.folder to a folder that it may write."
        )


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
