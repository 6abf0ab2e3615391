"""The spool: where a worker leaves finished requests so that nothing waits for the store.

One ``write`` per record to an append-only segment file, so a record that was acknowledged survives
``kill -9`` (it is in the page cache); with ``fsync`` it survives power loss too. Reading it back is
``santral.traces.segment``. Used from one thread.

A segment that once refused a write is never written to again: the collector may have read it up to
there, and what it has read must not change.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from santral.errors import StoreError
from santral.traces.frame import Spooled
from santral.traces.record import encode_record
from santral.traces.segment import (
    FRAME_BYTES,
    HEADER_BYTES,
    MAX_BODY_BYTES,
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
#: Tries to make a segment: one that starts under our name may remove what we are making, once.
_TRIES = 3
_MAKING = ".making"

log = logging.getLogger(__name__)


def share_of(max_bytes: int, workers: int) -> int:
    """Return the bound of each of ``workers`` that may together spool ``max_bytes``."""
    return max_bytes // max(1, workers)


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
            StoreError: the folder cannot be made, read or written, or its files cannot be locked.
        """
        _prepare(folder, fsync)
        self.received = 0
        self.spooled = 0
        self.dropped = 0
        self.unsynced = 0  # of spooled: kept, but the disk did not say that power loss spares them
        self._folder, self._worker_id, self._fsync = folder, worker_id, fsync
        self._max_bytes = max_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max(1, max_bytes // _LEAST_SEGMENTS))
        self._clock = clock
        self._look_again_at = 0.0
        self._make_again_at = 0.0  # no new segment before it: the last one could not be made
        self._broken_until = 0.0  # zero while the disk takes what it is given
        self._dropped_before = -1  # how many were dropped when dropping began; -1: not dropping
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

    def append(self, record: Spooled) -> bool:
        """Keep ``record`` for the collector; False, and counted as dropped, when that is impossible.

        Never raises: the request that made the record has been answered.
        """
        self.received += 1
        try:
            problem = self._write(encode_record(record))
        except Exception as error:  # noqa: BLE001 - whatever a record or a disk can do, the request path goes on
            problem = type(error).__name__
        if problem:
            self.dropped += 1
        else:
            self.spooled += 1
        self._tell(problem)
        return not problem

    def close(self) -> None:
        """Give the active segment to the collector. The next record opens a new one."""
        fd, self._fd = self._fd, -1  # whatever closing says, this number is no longer ours
        self._others_bytes += self._active_bytes
        self._active_bytes = 0
        if fd >= 0:
            with contextlib.suppress(OSError):  # of writes long acknowledged: fsync is what asks
                os.close(fd)  # also frees the lock that says "still written to"

    def _write(self, body: bytes) -> str:
        """Write one frame and return nothing, or say why that is impossible."""
        if self._is_resting():
            return "the disk refused a moment ago"
        if len(body) > MAX_BODY_BYTES:
            return "the record is too long"
        if not self._has_room(len(body) + FRAME_BYTES + HEADER_BYTES):
            return "the spool is full"
        try:
            self._rotate()
            self._ordinal += 1
            frame = pack_frame(self._sync, self._ordinal, body)
            _write_whole(self._fd, frame)
        except OSError as error:
            self._broken_until = self._clock() + _LOOK_AGAIN_S
            self._cut()
            return error.strerror or str(error)
        self._active_bytes += len(frame)
        if self._fsync:
            self._sync_frame()
        return ""

    def _sync_frame(self) -> None:
        """Ask the disk to keep the frame. One that fails is not cut: it may have been read already."""
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self.unsynced += 1
            log.error("spool_not_synced", extra={"error": error.strerror or str(error)})
            self.close()

    def _is_resting(self) -> bool:
        """Whether the disk refused so lately that it is left alone."""
        if not self._broken_until:
            return False
        if self._clock() < self._broken_until:
            return True
        self._broken_until = 0.0
        return False

    def _has_room(self, size: int) -> bool:
        """Whether ``size`` more bytes keep the bound; a full spool looks for what was collected."""
        if self.size_bytes + size <= self._max_bytes:
            return True
        if (now := self._clock()) < self._look_again_at:
            return False
        self._look_again_at = now + _LOOK_AGAIN_S
        self._others_bytes = max(0, self._look()[1] - self._active_bytes)
        return self.size_bytes + size <= self._max_bytes

    def _cut(self) -> None:
        """Cut a half-written frame off, for the room it takes, and leave the segment as it is."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):  # then the collector skips what is no whole frame
                os.ftruncate(self._fd, self._active_bytes)
            self.close()

    def _rotate(self) -> None:
        """See that there is a segment with room; the old one stays in use where none can be made."""
        if self._fd < 0:
            self._open(self._make())
        elif self._active_bytes >= self._segment_bytes and self._clock() >= self._make_again_at:
            try:
                made = self._make()
            except OSError as error:  # no inodes, say: the old one takes records still
                self._make_again_at = self._clock() + _LOOK_AGAIN_S
                log.warning("segment_not_made", extra={"error": error.strerror or str(error)})
            else:
                self.close()
                self._open(made)

    def _open(self, made: tuple[int, bytes]) -> None:
        self._fd, self._sync = made
        self._ordinal, self._active_bytes = 0, HEADER_BYTES

    def _make(self) -> tuple[int, bytes]:
        """Make the next segment and return its descriptor and sync mark.

        It gets its name only when it is locked and has its header.
        """
        for tries in range(_TRIES):
            self._serial += 1
            name = f"{self._worker_id}-{self._serial:08d}-{os.urandom(4).hex()}"
            try:
                return self._make_as(name)
            except (BlockingIOError, FileNotFoundError):
                if tries == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _make_as(self, name: str) -> tuple[int, bytes]:
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
            with contextlib.suppress(OSError):
                making.unlink(missing_ok=True)
            raise
        return fd, sync

    def _tell(self, problem: str) -> None:
        """Log when dropping begins and when it is over, not every record of a disk that is full."""
        if problem and self._dropped_before < 0:
            self._dropped_before = self.dropped - 1
            log.error("spool_dropping", extra={"worker": self._worker_id, "error": problem})
        elif not problem and self._dropped_before >= 0:
            lost = self.dropped - self._dropped_before
            self._dropped_before = -1
            log.warning("spool_goes_on", extra={"worker": self._worker_id, "dropped": lost})

    def _look(self) -> tuple[int, int]:
        """Return the highest serial and the bytes of this worker's segments on disk."""
        serial, size = 0, 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                worker_id, _, rest = (
                    entry.name.rpartition(SUFFIX)[0].rpartition("-")[0].rpartition("-")
                )
                if worker_id == self._worker_id and rest.isdecimal():
                    serial = max(serial, int(rest[:18]))
                    size += _size(entry)
        return serial, size

    def _remove_unfinished(self) -> None:
        """Remove segments that a former process of this worker died making: they hold no record."""
        for path in self._folder.glob(f"{glob.escape(self._worker_id)}-*{_MAKING}"):
            with contextlib.suppress(OSError):  # one that cannot be removed is in nobody's way
                if not is_active(path):
                    path.unlink(missing_ok=True)


def _write_whole(fd: int, data: bytes) -> None:
    if os.write(fd, data) != len(data):
        raise OSError("the disk took only a part of it")


def _size(entry: os.DirEntry[str]) -> int:
    try:
        is_file = entry.is_file(follow_symlinks=False)
        return entry.stat(follow_symlinks=False).st_size if is_file else 0
    except OSError:  # the collector was quicker
        return 0


def _prepare(folder: Path, fsync: bool) -> None:
    try:
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        if is_new and fsync:
            _sync_folder(folder.parent)
    except OSError as error:
        raise StoreError(
            f"The spool folder {folder} cannot be made: {error.strerror}. Set data.folder to a "
            "folder that this process may write."
        ) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StoreError(
            f"The spool folder {folder} cannot be read and written by this process. Set "
            "data.folder to a folder that it may read and write."
        )
    _try_lock(folder)


def _try_lock(folder: Path) -> None:
    """Lock and free the folder itself: a disk without locks would have every record dropped."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # someone holds it: it can be locked
    except OSError as error:
        raise StoreError(
            f"Files in the spool folder {folder} cannot be locked: {error.strerror}. Put "
            "data.folder on a local disk, or on a network disk that supports flock."
        ) from error
    finally:
        os.close(fd)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
