"""Where every record is: the sums of what was collected, and what waits in the spool."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from santral.traces.frame import UNREADABLE, decode_frame, finished_us
from santral.traces.question import Progress
from santral.traces.segment import read_frames
from santral.traces.spool_folder import segments


class Account(Struct, frozen=True, kw_only=True):
    """Where every record is that any worker spooled since the store was made."""

    received: int
    stored: int
    rejected: int
    duplicate: int
    spooled: int
    oldest_us: int | None = None  # when the oldest record that waits was finished

    @property
    def is_balanced(self) -> bool:
        """Whether received = stored + rejected + duplicate + spooled, as it must at every moment."""
        return self.received == self.stored + self.rejected + self.duplicate + self.spooled


class Waiting:
    """Counts what waits in the spool; a segment is read again only when it changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, _Seen] = {}

    def account(self, progress: Mapping[str, Progress]) -> Account:
        """Return the account, given how far every segment was read.

        Raises:
            StoreError: the folder cannot be listed.
        """
        self._seen = {
            path.name: self._look(path, progress.get(path.name, Progress(segment=path.name)))
            for path in segments(self._folder)
        }
        spooled = sum(seen.records for seen in self._seen.values())
        oldest_us = [seen.oldest_us for seen in self._seen.values() if seen.records]
        counts = list(progress.values())
        return Account(
            received=sum(p.received for p in counts) + spooled,
            stored=sum(p.stored for p in counts),
            rejected=sum(p.rejected for p in counts),
            duplicate=sum(p.duplicate for p in counts),
            spooled=spooled,
            oldest_us=min(oldest_us, default=None),
        )

    def _look(self, path: Path, done: Progress) -> _Seen:
        try:
            file = path.lstat()
            state = (file.st_size, file.st_mtime_ns, done.offset)
            seen = self._seen.get(path.name)
            return seen if seen and seen.state == state else _seen(path, done, state)
        except OSError:  # the collector says so in its log
            return _Seen((0, 0, 0))


class _Seen(Struct, frozen=True):
    """What waits in one segment, and how the segment was when it was read."""

    state: tuple[int, int, int]  # size, moment of the last write, offset of the checkpoint
    records: int = 0
    oldest_us: int = 0


def _seen(path: Path, done: Progress, state: tuple[int, int, int]) -> _Seen:
    frames = read_frames(path, done.offset, done.received)
    oldest_us = 0
    for number, body in enumerate(frames):
        if number == 0:
            oldest_us = _finished_us(body)
    return _Seen(state, frames.ordinal - done.received, oldest_us)


def _finished_us(body: bytes) -> int:
    with contextlib.suppress(*UNREADABLE):
        return finished_us(decode_frame(body))
    return 0
