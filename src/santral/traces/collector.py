"""The collector: moves what workers spooled into the store and the ledger, exactly once.

The checkpoint of a segment is kept in the store, in the transaction that stores its rows; sinks are
asked before it and must be idempotent. So a kill at any moment repeats work and loses none. Nothing
is dropped because a retry failed: while the store or a sink is down the spool grows to its bound.
What is no segment is put aside, what cannot be read is passed over; neither keeps others waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from santral.errors import SantralError, StoreError
from santral.traces.account import Account, Waiting
from santral.traces.deliver import Sink, deliver
from santral.traces.frame import UNREADABLE, Spooled, began_us, decode_frame
from santral.traces.metrics import Metrics
from santral.traces.question import Progress
from santral.traces.record import TraceRecord
from santral.traces.scores.score import ScoreRecord
from santral.traces.segment import Frames, is_active, is_file, read_frames
from santral.traces.spool_folder import aside, put_aside, remove, segments
from santral.traces.store import TraceStore

#: Records in one transaction. Measured: larger ones are hardly faster and hold the store longer.
BATCH_RECORDS = 2000
#: A batch ends early at so many bytes: memory is bounded however long records are. Chosen.
BATCH_BYTES = 16 * 1024 * 1024
#: Longest pause between two attempts while the store or a sink is down, in seconds. Chosen.
_MAX_PAUSE_S = 15.0
#: How long a sink may take for a batch before it counts as down, in seconds. Chosen: a thousand
#: times what it takes.
_PATIENCE_S = 60.0
#: The last microsecond of the year 9999: later moments have no date.
_LATEST_US = 253_402_300_799_999_999

log = logging.getLogger(__name__)


class Collected(Struct, frozen=True, kw_only=True):
    """What one pass did."""

    received: int = 0
    stored: int = 0
    rejected: int = 0  # damaged, not a record, or not storable
    duplicate: int = 0


class Collector:
    """Reads every segment of a spool folder; one for each store, in the process that opened it."""

    def __init__(
        self,
        spool_folder: Path,
        store: TraceStore,
        sinks: Sequence[Sink] = (),
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._folder = spool_folder
        self._store = store
        self._sinks = sinks
        self._sleep = sleep
        self._patience_s = patience_s
        self._progress: dict[str, Progress] | None = None  # as the store has it, unless stale
        self._is_stale = True
        self._waiting = Waiting(spool_folder)
        self._unreadable: dict[str, str] = {}  # segments that could not be read, and why
        self._unbilled = 0
        self._shown_in: Metrics | None = None
        self._passing = asyncio.Lock()  # one pass at a time
        self._moving = asyncio.Lock()  # rows, checkpoint and segment files change together

    async def run(self, every_s: float) -> None:
        """Collect every ``every_s`` seconds until cancelled, less often while something is down."""
        pause = every_s
        while True:
            pause = every_s if await self._try() else min(_MAX_PAUSE_S, max(every_s, pause * 2))
            if pause > every_s:
                log.warning("collecting_again_later", extra={"again_in_s": pause})
            await self._show()
            await self._sleep(pause)

    async def finish(self) -> None:
        """Collect a last time; what cannot be moved now waits in the spool for the next start."""
        await self._try()

    async def collect_once(self) -> Collected:
        """Move all that is spooled now.

        Raises:
            StoreError: the store cannot be used; what was not moved waits in the spool.
            Exception: a sink failed, likewise.
        """
        async with self._passing:
            self._is_stale = True
            progress = await self._known_progress()
            before = _sums(progress)
            paths = await asyncio.to_thread(segments, self._folder)
            gone = set(progress) - {path.name for path in paths} - {""}
            if gone and not self._folder.is_dir():
                raise StoreError(
                    f"The spool folder {self._folder} is gone. Put it back, or restart Santral to "
                    "begin with an empty one."
                )
            await self._retire(gone)
            for path in paths:
                await self._collect_segment(path)
            self._unreadable = {p.name: w for p in paths if (w := self._unreadable.get(p.name))}
            return _since(before, _sums(await self._known_progress()))

    async def account(self) -> Account:
        """Return where every record is. Reads what waits in the spool, nothing else.

        Raises:
            StoreError: the store could never be asked yet, or the spool cannot be listed.
        """
        async with self._moving:
            try:
                progress = await self._known_progress()
            except StoreError:
                if self._progress is None:
                    raise
                progress = self._progress  # as it was when the store could last be asked
            return await asyncio.to_thread(self._waiting.account, progress)

    def watch(self, metrics: Metrics) -> None:
        """Show the account in ``metrics`` after every segment and every pass of ``run``."""
        self._shown_in = metrics

    async def _try(self) -> bool:
        try:
            await self.collect_once()
        except Exception as error:  # noqa: BLE001 - a sink may raise anything; collecting goes on
            log.warning("collecting_failed", extra={"error": _told(error)})
            return False
        return True

    async def _show(self) -> None:
        if self._shown_in is None:
            return
        try:
            account = await self.account()
            put_aside = await asyncio.to_thread(aside, self._folder)
        except StoreError:  # never reached yet: nothing is known, and the log says why
            return
        metrics = self._shown_in
        records = metrics["santral_collector_records_total"]
        for state in ("received", "stored", "rejected", "duplicate"):
            records.child(state).set(getattr(account, state))
        waiting_us = self._store.clock() - account.oldest_us if account.oldest_us else 0
        for name, value in (
            ("santral_collector_waiting", account.spooled),
            ("santral_collector_oldest_seconds", max(0, waiting_us) / 1e6),
            ("santral_collector_unreadable", len(self._unreadable)),
            ("santral_collector_set_aside", put_aside),
            ("santral_collector_unbilled_total", self._unbilled),
        ):
            metrics[name].child().set(value)

    async def _known_progress(self) -> dict[str, Progress]:
        """Return the checkpoints; ask the store only where ours may not be what it has."""
        if self._progress is None or self._is_stale:
            self._progress = await self._store.progress()
            self._is_stale = False
        return self._progress

    async def _collect_segment(self, path: Path) -> None:
        """Move one segment's records, and remove it when nobody writes to it any more."""
        try:
            is_over = await self._drain(path)
        except _Unreadable as trouble:
            if self._unreadable.get(path.name) != str(trouble):  # not at every pass
                log.error("segment_unreadable", extra={"segment": path.name, "error": str(trouble)})
            self._unreadable[path.name] = str(trouble)
            return
        self._unreadable.pop(path.name, None)
        if is_over:
            await self._retire([path.name])
            await self._show()

    async def _drain(self, path: Path) -> bool:
        """Move what a segment holds; say whether it is done with, so that it can go."""
        progress = (await self._known_progress()).get(path.name, Progress(segment=path.name))
        with _reading():
            if not is_file(path):
                return _put_aside(path)
            is_written_to = is_active(path)  # asked first: what comes later is for the next pass
        frames = read_frames(path, progress.offset, progress.received)
        bodies = iter(frames)
        while batch := await self._take(bodies):
            records, undecodable = batch
            await self._deliver([r for r in records if isinstance(r, TraceRecord)])
            progress = await self._advance(records, undecodable, frames, progress)
        if is_written_to:
            return False
        if not frames.is_segment:
            with _reading():
                return _put_aside(path)
        if frames.tail_bytes:
            fields = {"segment": path.name, "bytes": frames.tail_bytes}
            log.warning("segment_tail_skipped", extra={**fields, "records": frames.tail_records})
            frames.give_tail_up()
            await self._advance([], 0, frames, progress)
        return True

    async def _take(self, bodies: Iterator[bytes]) -> tuple[list[Spooled], int] | None:
        with _reading():
            return await asyncio.to_thread(_take, bodies)

    async def _deliver(self, records: list[TraceRecord]) -> None:
        for sink in self._sinks:
            for request_id in await deliver(sink, records, self._patience_s):
                self._unbilled += 1
                log.error("record_not_billed", extra={"request_id": request_id})

    async def _advance(
        self, records: list[Spooled], undecodable: int, frames: Frames, progress: Progress
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
            traces = [record for record in records if isinstance(record, TraceRecord)]
            scores = [record for record in records if isinstance(record, ScoreRecord)]
            known[progress.segment] = done = await self._store.insert(traces, reached, scores)
            self._is_stale = False
        return done

    async def _retire(self, names: Collection[str]) -> None:
        """Remove segments that are done with, then their checkpoints."""
        if not names:
            return
        async with self._moving:
            self._is_stale = True
            gone = await asyncio.to_thread(remove, self._folder, names)
            if gone:
                await self._store.retire(gone)
            await self._known_progress()


class _Unreadable(Exception):
    """A segment cannot be read or put aside; the message says why."""


@contextmanager
def _reading() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise _Unreadable(error.strerror or str(error)) from error


def _told(error: Exception) -> str:
    """Return what an error says, without the statement and values that a driver adds to it."""
    if isinstance(error, SantralError):
        return error.message
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:300]}"


def _put_aside(path: Path) -> bool:
    place = put_aside(path)
    log.error("segment_put_aside", extra={"segment": path.name, "now": place.name})
    return False


def _take(bodies: Iterator[bytes]) -> tuple[list[Spooled], int] | None:
    """Return the next batch of records and how many frames held none; None at the end."""
    records: list[Spooled] = []
    undecodable = size = 0
    for body in islice(bodies, BATCH_RECORDS):
        try:
            record = decode_frame(body)
        except UNREADABLE:
            undecodable += 1
        else:
            if 0 <= began_us(record) <= _LATEST_US:
                records.append(record)
            else:
                undecodable += 1
        size += len(body)
        if size >= BATCH_BYTES:
            break
    return (records, undecodable) if records or undecodable else None


def _sums(progress: dict[str, Progress]) -> Collected:
    counts = progress.values()
    return Collected(
        received=sum(p.received for p in counts),
        stored=sum(p.stored for p in counts),
        rejected=sum(p.rejected for p in counts),
        duplicate=sum(p.duplicate for p in counts),
    )


def _since(before: Collected, after: Collected) -> Collected:
    return Collected(
        received=after.received - before.received,
        stored=after.stored - before.stored,
        rejected=after.rejected - before.rejected,
        duplicate=after.duplicate - before.duplicate,
    )
