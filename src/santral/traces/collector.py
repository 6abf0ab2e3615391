"""The collector: moves what workers spooled into the store and the ledger, exactly once.

The checkpoint of a segment is kept in the store, in the transaction that stores its rows; sinks are
asked before it and must be idempotent. So a kill at any moment repeats work and loses none. Nothing
is dropped because a retry failed: while the store or a sink is down the spool grows to its bound.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from santral.errors import StoreError
from santral.traces.metrics import Metrics
from santral.traces.question import Progress
from santral.traces.record import TraceRecord, decode_record
from santral.traces.segment import HEADER_BYTES, SUFFIX, Frames, is_active, read_frames
from santral.traces.store import TraceStore

#: Takes a batch of records; delivered again after a failure, so it must be idempotent.
Sink = Callable[[Sequence[TraceRecord]], Awaitable[None]]

#: Records in one transaction. Measured: larger ones are hardly faster and hold the store longer.
BATCH_RECORDS = 2000
#: Longest pause between two attempts while the store or a sink is down, in seconds. Chosen.
_MAX_PAUSE_S = 15.0

log = logging.getLogger(__name__)


class Collected(Struct, frozen=True, kw_only=True):
    """What one pass did."""

    received: int = 0
    stored: int = 0
    rejected: int = 0  # damaged, not a record, or not storable
    duplicate: int = 0


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


class Collector:
    """Reads every segment of a spool folder; one for each store, in the process that opened it."""

    def __init__(
        self,
        spool_folder: Path,
        store: TraceStore,
        sinks: Sequence[Sink] = (),
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._folder = spool_folder
        self._store = store
        self._sinks = sinks
        self._sleep = sleep
        self._progress: dict[str, Progress] | None = None  # as the store has it, unless stale
        self._is_stale = True
        self._shown_in: Metrics | None = None
        self._passing = asyncio.Lock()  # one pass at a time
        self._moving = asyncio.Lock()  # rows, checkpoint and segment files change together

    async def run(self, every_s: float) -> None:
        """Collect every ``every_s`` seconds until cancelled, less often while something is down."""
        pause = every_s
        while True:
            try:
                await self.collect_once()
                pause = every_s
            except Exception as error:  # noqa: BLE001 - a sink may raise anything; collecting goes on
                pause = min(_MAX_PAUSE_S, max(every_s, pause * 2))
                log.warning("collecting_failed", extra={"error": str(error), "again_in_s": pause})
            await self._show()
            await self._sleep(pause)

    async def collect_once(self) -> Collected:
        """Move all that is spooled now.

        Raises:
            StoreError: the store cannot be used; what was not moved waits in the spool.
            Exception: a sink failed, likewise.
        """
        async with self._passing:
            self._is_stale = True
            progress = await self._known_progress()
            collected = Collected()
            gone: list[str] = []
            paths = segments(self._folder)
            for path in paths:
                is_finished, part = await self._collect_segment(path)
                collected = _plus(collected, part)
                if is_finished:
                    gone.append(path.name)
            gone += set(progress) - {path.name for path in paths} - {""}
            await self._retire(gone)
            return collected

    async def account(self) -> Account:
        """Return where every record is. Reads what waits in the spool, nothing else.

        Raises:
            StoreError: the store could never be asked yet.
        """
        async with self._moving:
            try:
                progress = await self._known_progress()
            except StoreError:
                if self._progress is None:
                    raise
                progress = self._progress  # as it was when the store could last be asked
            return await asyncio.to_thread(_account, self._folder, progress)

    def watch(self, metrics: Metrics) -> None:
        """Show the account in ``metrics`` after every pass of ``run``."""
        self._shown_in = metrics

    async def _show(self) -> None:
        if self._shown_in is None:
            return
        try:
            account = await self.account()
        except StoreError:  # never reached yet: nothing is known, and the log says why
            return
        metrics = self._shown_in
        records = metrics["santral_collector_records_total"]
        for state in ("received", "stored", "rejected", "duplicate"):
            records.child(state).set(getattr(account, state))
        metrics["santral_collector_waiting"].child().set(account.spooled)
        waiting_us = self._store.clock() - account.oldest_us if account.oldest_us else 0
        metrics["santral_collector_oldest_seconds"].child().set(max(0, waiting_us) / 1e6)

    async def _known_progress(self) -> dict[str, Progress]:
        """Return the checkpoints; ask the store only where ours may not be what it has."""
        if self._progress is None or self._is_stale:
            self._progress = await self._store.progress()
            self._is_stale = False
        return self._progress

    async def _collect_segment(self, path: Path) -> tuple[bool, Collected]:
        """Move one segment's records; say whether it is done with, so that it can go."""
        known = await self._known_progress()
        before = progress = known.get(path.name, Progress(segment=path.name))
        is_written_to = is_active(path)  # asked first: what comes later is read in the next pass
        frames = read_frames(path, progress.offset, progress.received)
        bodies = iter(frames)
        while batch := await asyncio.to_thread(_take, bodies):
            records, undecodable = batch
            for sink in self._sinks:
                await sink(records)
            progress = await self._advance(records, undecodable, frames, progress)
        if frames.tail_bytes and not is_written_to:
            _report_tail(path, frames)
        return not is_written_to, _since(before, progress)

    async def _advance(
        self, records: list[TraceRecord], undecodable: int, frames: Frames, progress: Progress
    ) -> Progress:
        lost = frames.ordinal - progress.received - len(records)  # undecodable ones and damage
        reached = replace(
            progress,
            offset=frames.offset,
            received=frames.ordinal,
            rejected=progress.rejected + lost,
        )
        if lost:
            log.warning(
                "spooled_records_lost",
                extra={
                    "segment": progress.segment,
                    "damaged": lost - undecodable,
                    "undecodable": undecodable,
                },
            )
        async with self._moving:
            known = await self._known_progress()
            self._is_stale = True  # until we know that the commit went through
            known[progress.segment] = done = await self._store.insert(records, reached)
            self._is_stale = False
        return done

    async def _retire(self, names: list[str]) -> None:
        """Remove segments that are done with, then their checkpoints."""
        if not names:
            return
        async with self._moving:
            self._is_stale = True
            await asyncio.to_thread(_remove, self._folder, names)
            await self._store.retire(names)
            await self._known_progress()


def segments(folder: Path) -> list[Path]:
    """Return the segments of all workers, each worker's in the order they were written."""
    try:
        return sorted(folder.glob(f"*{SUFFIX}"))
    except OSError as error:
        raise StoreError(f"The spool {folder} cannot be read: {error.strerror}.") from error


def _take(bodies: Iterator[bytes]) -> tuple[list[TraceRecord], int] | None:
    """Return the next batch of records and how many frames held none; None at the end."""
    batch = list(islice(bodies, BATCH_RECORDS))
    records: list[TraceRecord] = []
    for body in batch:
        try:
            records.append(decode_record(body))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return (records, len(batch) - len(records)) if batch else None


def _report_tail(path: Path, frames: Frames) -> None:
    """Say what a dead worker left: a record it never acknowledged, or a file that is no segment."""
    fields = {"segment": path.name, "bytes": frames.tail_bytes}
    if frames.offset >= HEADER_BYTES:
        log.warning("torn_record_skipped", extra=fields)
    else:
        log.error("segment_unreadable", extra=fields)
        path.rename(path.with_suffix(".damaged"))


def _remove(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _plus(a: Collected, b: Collected) -> Collected:
    return Collected(
        received=a.received + b.received,
        stored=a.stored + b.stored,
        rejected=a.rejected + b.rejected,
        duplicate=a.duplicate + b.duplicate,
    )


def _since(before: Progress, after: Progress) -> Collected:
    return Collected(
        received=after.received - before.received,
        stored=after.stored - before.stored,
        rejected=after.rejected - before.rejected,
        duplicate=after.duplicate - before.duplicate,
    )


def _account(folder: Path, progress: dict[str, Progress]) -> Account:
    spooled, oldest_us = 0, None
    for path in segments(folder):
        done = progress.get(path.name, Progress(segment=path.name))
        frames = read_frames(path, done.offset, done.received)
        first = next(bodies := iter(frames), None)
        if first is None:
            continue
        for _ in bodies:
            pass
        spooled += frames.ordinal - done.received
        finished_us = _finished_us(first)
        oldest_us = min(finished_us, oldest_us or finished_us)
    counts = list(progress.values())
    return Account(
        received=sum(p.received for p in counts) + spooled,
        stored=sum(p.stored for p in counts),
        rejected=sum(p.rejected for p in counts),
        duplicate=sum(p.duplicate for p in counts),
        spooled=spooled,
        oldest_us=oldest_us,
    )


def _finished_us(body: bytes) -> int:
    try:
        record = decode_record(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0
    return record.started_at_us + record.duration_us
