"""The spool: records that wait for the collector, and those it has read in segments still written to.

A frame that the collector is past is read by nobody again. What it says is overwritten with zeros of
the same length under a checksum of their own, so the file stays a segment and its worker goes on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from santral.errors import StoreError
from santral.privacy.place import Found
from santral.privacy.subject import Subject
from santral.tenants.tenant import TenantId
from santral.traces.collector import Collector
from santral.traces.frame import UNREADABLE, Spooled, decode_frame
from santral.traces.question import Progress
from santral.traces.segment import HEADER_BYTES, SYNC_BYTES, pack_frame, read_frames
from santral.traces.spool_folder import ASIDE, segments
from santral.traces.store import TraceStore


class SpoolFolder:
    """What workers wrote down of finished requests."""

    name = "spool"
    about = (
        "Records of finished requests on their way to the store. They are collected first; then what "
        "the tenant's collected records say is overwritten in segments that are still written to, "
        "and a damaged file with the person's id or text in it is removed."
    )
    tables = frozenset[str]()

    def __init__(self, folder: Path, collector: Collector, store: TraceStore) -> None:
        self._folder = folder
        self._collector = collector
        self._store = store

    async def find(self, tenant_id: TenantId, subject: Subject) -> Found:
        """Count the person's own records in segments, and damaged files that name them."""
        found = await asyncio.to_thread(_count, self._folder, tenant_id, subject)
        return Found(own={kind: count for kind, count in found.items() if count})

    async def export(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[Any]:
        """Yield nothing: what is here is collected first, and exported from the store."""
        return
        yield

    async def erase(self, tenant_id: TenantId, subject: Subject) -> None:
        """Collect everything, then overwrite what was collected of this tenant."""
        await self.collect()
        progress = await self._store.progress()
        await asyncio.to_thread(
            overwrite, self._folder, progress, lambda record: record.tenant_id == tenant_id
        )
        await asyncio.to_thread(_remove, _damaged(self._folder, subject))

    async def collect(self) -> None:
        """Have the collector move what is spooled now.

        Raises:
            StoreError: it cannot, for now.
        """
        await self._collector.collect_once()


def _count(folder: Path, tenant_id: TenantId, subject: Subject) -> dict[str, int]:
    records = (frame.record for path in segments(folder) for frame in _frames(path))
    own = sum(
        record.tenant_id == tenant_id and subject.owns(record.user, record.session)
        for record in records
        if record is not None
    )
    return {"records": own, "damaged files": len(_damaged(folder, subject))}


def overwrite(
    folder: Path, progress: Mapping[str, Progress], is_meant: Callable[[Spooled], bool]
) -> int:
    """Put zeros in place of collected records that are meant; return how many.

    Raises:
        StoreError: a segment cannot be written.
    """
    try:
        return sum(
            _overwrite_segment(path, progress[path.name].offset, is_meant)
            for path in segments(folder)
            if path.name in progress
        )
    except OSError as error:
        raise StoreError(f"The spool {folder} cannot be written: {error.strerror}.") from None


def _overwrite_segment(path: Path, read_until: int, is_meant: Callable[[Spooled], bool]) -> int:
    count = 0
    with path.open("r+b") as file:
        sync = file.read(HEADER_BYTES)[-SYNC_BYTES:]
        for frame in _frames(path):
            if frame.end <= read_until and frame.record is not None and is_meant(frame.record):
                blank = pack_frame(sync, frame.ordinal, bytes(frame.size_bytes))
                os.pwrite(file.fileno(), blank, frame.end - len(blank))
                count += 1
        if count:
            os.fsync(file.fileno())
    return count


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


class _Frame(NamedTuple):
    """One whole frame of a segment; ``record`` is None where it holds none."""

    ordinal: int
    end: int
    size_bytes: int
    record: Spooled | None


def _frames(path: Path) -> Iterator[_Frame]:
    frames = read_frames(path)
    for body in frames:
        try:
            record = decode_frame(body)
        except UNREADABLE:
            record = None
        yield _Frame(frames.ordinal, frames.offset, len(body), record)


def _damaged(folder: Path, subject: Subject) -> list[Path]:
    words = [word.encode() for word in (subject.user, *subject.sessions, *subject.texts) if word]
    found: list[Path] = []
    for path in folder.glob(f"*{ASIDE}*"):
        data = path.read_bytes()
        if any(word in data for word in words):
            found.append(path)
    return found
