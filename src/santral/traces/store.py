"""The telemetry store on DuckDB: one process opens it, one thread writes, readers never wait.

A batch of records and the checkpoint of where it came from are one transaction, so each record is
stored once however often it is delivered. A record is known by tenant, trace and request.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import msgspec
import numpy as np

from santral.errors import BadRequest, NotFound, StoreError
from santral.secrets.sealer import Sealer
from santral.traces.found import progress_in
from santral.traces.gate import Gate
from santral.traces.lookup import store as lookup
from santral.traces.question import (
    BilledAttempt,
    Bucket,
    Cursor,
    Filters,
    FoundTrace,
    Progress,
    TracePage,
)
from santral.traces.record import TraceRecord
from santral.traces.removal import store as removal
from santral.traces.rows import columns_of, storable
from santral.traces.scores import store as scores_store
from santral.traces.scores.score import ScoreRecord, shown
from santral.traces.scores.sealed import opened_score, sealed_score
from santral.traces.scores.store import Part, RateFilters, RateRow
from santral.traces.sealed import opened, sealed
from santral.traces.signals import store as signals_store
from santral.traces.signals.signal import Signals
from santral.traces.tables.store import check_version, make_tables
from santral.traces.trouble import StoreDamaged, explained, no_trace
from santral.traces.whose import Whose

T = TypeVar("T")

#: Memory DuckDB may use before it spills to disk. Chosen: half of what a small machine has.
_MEMORY_LIMIT = "1GB"
#: Ends of the name of a store that is being written anew; a crash leaves it and the next start removes it.
_FRESH = ".fresh"
_IN_MEMORY = Path(":memory:")
#: Scores of one trace that are shown. Chosen.
_MOST_SCORES = 200

_DEDUP = """
    SELECT i.i FROM incoming i JOIN traces t
      ON t.tenant_id = i.tenant_id AND t.trace_id = i.trace_id AND t.request_id = i.request_id
     AND t.started_at_us = i.started_at_us
    WHERE t.started_at_us BETWEEN $low AND $high
"""


def epoch_us() -> int:
    """Return the microseconds since the Unix epoch."""
    return time.time_ns() // 1000


class TraceStore:
    """All traces of an installation. ``whose`` None asks for those of every tenant."""

    def __init__(
        self,
        path: Path,
        *,
        is_read_only: bool = False,
        clock: Callable[[], int] = epoch_us,
        sealer: Sealer | None = None,
    ) -> None:
        """Name the file; it is opened by the first use, or by ``open``.

        With ``sealer`` payloads are sealed under their tenant's data key; without it, kept as they are.
        """
        self.path = path
        self.clock = clock
        self.sealer = sealer
        self._is_read_only = is_read_only
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._opening = threading.Lock()  # one thread opens; the others find it open
        self._readers = Gate()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="trace-store")
        self._next_n = 0
        self._search = scores_store.Search()  # for the traces of scores

    async def open(self) -> None:
        """Open the file, and make its tables where there are none.

        Raises:
            StoreError: another process holds it, or the disk or file cannot be used.
        """
        await self._write(lambda connection: None)

    async def close(self) -> None:
        """Close the file once the write in progress is done."""
        await asyncio.get_running_loop().run_in_executor(self._writer, self._drop)
        self._writer.shutdown()

    async def insert(
        self,
        records: Sequence[TraceRecord],
        progress: Progress,
        scores: Sequence[ScoreRecord] = (),
    ) -> Progress:
        """Store new records, scores and ``progress`` in one transaction; return it with what became
        of them.
        """
        scores = [await sealed_score(score, self.sealer) for score in scores]
        if self.sealer is not None:
            records = [await sealed(record, self.sealer) for record in records]
        elif any(record.payload and record.payload.waits_under for record in records):
            raise StoreError(
                "The spool holds payloads that were sealed under a master key, and none is configured. "
                "Set secrets.master_key again; what waits is collected then."
            )
        return await self._write(
            lambda connection: self._insert(connection, records, progress, scores)
        )

    async def insert_scores(self, scores: Sequence[ScoreRecord]) -> int:
        """Store scores that no worker spooled: reviewers', judges'. Return how many were new."""
        closed = [await sealed_score(score, self.sealer) for score in scores]
        return await self._write(lambda connection: self._insert_scores(connection, closed))

    async def scores_of(self, whose: Whose, trace_id: str) -> list[ScoreRecord]:
        """Return what is in force on one trace, comments in clear, the oldest first."""
        found = await self.ask(
            lambda conn: scores_store.of_trace(conn, whose, trace_id, _MOST_SCORES)
        )
        return [await opened_score(score, self.sealer) for score in found]

    async def list_scores(
        self,
        whose: Whose,
        window: tuple[int, int],
        *,
        name: str = "",
        source: str = "",
        before: tuple[int, str] | None = None,
        limit: int = 100,
    ) -> list[ScoreRecord]:
        """Return what was given in a window and is in force, the newest first.

        ``before`` is ``(at_us, id)`` of the last one of the page before.
        """
        found = await self.ask(
            lambda conn: scores_store.list_scores(conn, whose, window, name, source, before, limit)
        )
        return [await opened_score(score, self.sealer) for score in found]

    async def score_rates(self, whose: Whose, filters: RateFilters, by: Part = "") -> list[RateRow]:
        """Return scores as sums, each beside the number of requests that could have been scored."""
        return await self.ask(lambda conn: scores_store.rates(conn, whose, filters, by))

    async def responses(self, whose: Whose, filters: RateFilters, by: Part = "") -> dict[str, int]:
        """Return how many requests could have been scored, by part, also where none was."""
        return await self.ask(lambda conn: scores_store.responses(conn, whose, filters, by))

    async def progress(self) -> dict[str, Progress]:
        """Return how far every segment was read; the sums of removed ones are under ``""``.

        Asked in the writer's thread, so a write whose caller was cancelled is over by then.
        """
        return await self._write(_all_progress)

    async def retire(self, segments: Sequence[str]) -> None:
        """Add the counts of segments that are gone to the sums, and forget the segments."""
        await self._write(lambda connection: _retire(connection, [*segments, ""]))

    async def list_traces(
        self, whose: Whose, filters: Filters, before: Cursor | None, limit: int
    ) -> TracePage:
        """Return the newest traces that ``filters`` mean, after ``before`` if given."""
        return await self.ask(lambda conn: lookup.list_traces(conn, whose, filters, before, limit))

    async def get_trace(self, whose: Whose, trace_id: str) -> FoundTrace:
        """Return one trace by its id, an unambiguous beginning of it, its request's id, or the id
        that its caller sent as ``traceparent``.

        Raises:
            NotFound: there is none, or it belongs to another tenant.
            BadRequest: several traces are meant.
        """
        full_id = await self._complete(whose, trace_id)
        found = await self.ask(lambda conn: lookup.get_trace(conn, whose, full_id))
        scores = [shown(score) for score in await self.scores_of(found.trace.tenant_id, full_id)]
        trace = await opened(found.trace, self.sealer)
        return msgspec.structs.replace(found, trace=trace, scores=scores)

    async def signals(self, whose: Whose, since_us: int, until_us: int, route: str = "") -> Signals:
        """Return the four golden signals of a window: in all, by route and by tenant."""

        def ask() -> Signals:
            with self._cursor() as cursor:
                return signals_store.signals(cursor, whose, since_us, until_us, route)

        return await asyncio.to_thread(self._guarded, ask)

    async def history(
        self, whose: Whose, since_us: int, until_us: int, buckets: int, route: str = ""
    ) -> list[Bucket]:
        """Return the window cut into equal stretches, empty ones too."""
        return await self.ask(
            lambda conn: lookup.history(conn, whose, since_us, until_us, buckets, route)
        )

    async def billed(
        self, whose: Whose, since_us: int, until_us: int, limit: int
    ) -> list[BilledAttempt]:
        """Return the attempts of requests that began in a window and used or cost something."""
        return await self.ask(lambda conn: lookup.billed(conn, whose, since_us, until_us, limit))

    async def routes(self, whose: Whose, since_us: int) -> list[str]:
        """Return the names of routes that were asked since then."""
        return await self.ask(lambda conn: lookup.routes(conn, whose, since_us))

    async def ask(self, question: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Return what ``question``, a statement of another ``store.py``, finds."""

        def answer() -> T:
            with self._cursor() as cursor:
                return question(cursor)

        return await asyncio.to_thread(self._guarded, answer)

    async def change(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Do ``work``, statements of another ``store.py``, in one transaction."""
        return await self._write(work)

    async def compact(self) -> None:
        """Write the file anew, so that nothing that was deleted is left in its bytes.

        Reading goes on meanwhile, storing waits. A kill at any moment leaves the old file or the new.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, self._guarded, self._compact)

    def _compact(self) -> None:
        fresh = self.path.with_name(self.path.name + _FRESH)
        _remove(fresh)
        removal.copy_to(self._open(), fresh)
        with self._readers.alone():
            self._drop()
            _log_of(self.path).unlink(missing_ok=True)  # empty since the copy began
            fresh.replace(self.path)

    async def _complete(self, whose: Whose, some_id: str) -> str:
        found = await self.ask(lambda conn: lookup.find(conn, whose, some_id)) if some_id else []
        if not found:
            raise NotFound(no_trace(some_id))
        if len(found) > 1:
            raise BadRequest(
                f"'{some_id}' means several traces: {found[0]}, {found[1]} … Give one of "
                "these, or more digits.",
                param="trace_id",
            )
        return found[0]

    def _insert(
        self,
        connection: duckdb.DuckDBPyConnection,
        records: Sequence[TraceRecord],
        progress: Progress,
        scores: Sequence[ScoreRecord],
    ) -> Progress:
        fresh = _without_duplicates(connection, records)
        fitting = fresh
        try:
            columns = columns_of(fitting, self._next_n)
        except OverflowError:
            fitting = storable(fresh)
            columns = columns_of(fitting, self._next_n)
        for table, arrays in columns.items():
            _append(connection, table, arrays)
        new_scores = self._insert_scores(connection, scores)
        done = msgspec.structs.replace(
            progress,
            stored=progress.stored + len(fitting) + new_scores,
            rejected=progress.rejected + len(fresh) - len(fitting),
            duplicate=progress.duplicate + len(records) - len(fresh) + len(scores) - new_scores,
        )
        _save(connection, done)
        self._next_n += len(fitting)
        return done

    def _insert_scores(
        self, connection: duckdb.DuckDBPyConnection, scores: Sequence[ScoreRecord]
    ) -> int:
        """Store scores, and let those that wait for their trace look for it."""
        new = scores_store.insert(connection, scores)
        self._search.look(connection, self.clock(), is_new=new > 0)
        return new

    async def _write(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Do ``work`` in the writer's thread, in one transaction."""

        def transact() -> T:
            connection = self._open()
            connection.execute("BEGIN")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(
                    duckdb.Error
                ):  # nothing to roll back, or no disk to do it on
                    connection.execute("ROLLBACK")
                raise
            return result

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, self._guarded, transact)

    @contextlib.contextmanager
    def _cursor(self) -> Generator[duckdb.DuckDBPyConnection]:
        with self._readers.together(), self._open().cursor() as cursor:
            yield cursor

    def _guarded(self, ask: Callable[..., T], *args: object) -> T:
        """Call ``ask``; an engine that failed for good is opened anew by the next call.

        Raises:
            StoreError: with a sentence in place of the engine's error.
        """
        try:
            return ask(*args)
        except duckdb.Error as error:
            told = explained(self.path, error)
            is_lost = isinstance(error, duckdb.FatalException | duckdb.InternalException)
            if is_lost or isinstance(told, StoreDamaged):
                self._drop()  # the next call opens what is there then
            raise told from error

    def _open(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._connection is None:
                self._connection = self._connect()
            return self._connection

    def _connect(self) -> duckdb.DuckDBPyConnection:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": _MEMORY_LIMIT,
            "autoinstall_known_extensions": False,  # nothing is downloaded, ever
            "autoload_known_extensions": False,
        }
        if not self._is_read_only:
            fresh = self.path.with_name(self.path.name + _FRESH)
            _remove(fresh)
            if self.path != _IN_MEMORY and not self.path.exists():
                duckdb.connect(fresh, config=settings).close()
                fresh.rename(self.path)  # whole: a kill in the act leaves no half-made file here
        connection = duckdb.connect(self.path, read_only=self._is_read_only, config=settings)
        try:
            if not self._is_read_only:
                make_tables(connection)
            self._next_n = check_version(connection, self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _drop(self) -> None:
        with self._opening:
            connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(duckdb.Error):  # it failed before: there is nothing to save
                connection.close()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _log_of(path).unlink(missing_ok=True)


def _log_of(path: Path) -> Path:
    """Return the write-ahead log of a store."""
    return path.with_name(path.name + ".wal")


def _without_duplicates(
    connection: duckdb.DuckDBPyConnection, records: Sequence[TraceRecord]
) -> list[TraceRecord]:
    """Return the records that are neither in the store nor earlier in ``records``."""
    unique = {(r.tenant_id, r.trace_id, r.request_id, r.started_at_us): r for r in records}
    if not unique:
        return []
    fresh = list(unique.values())
    tenants, traces, requests, starts = zip(*unique, strict=True)
    incoming = {
        "i": np.arange(len(fresh)),
        "tenant_id": np.array(tenants, dtype=object),
        "trace_id": np.array(traces, dtype=object),
        "request_id": np.array(requests, dtype=object),
        "started_at_us": np.array(starts, dtype=np.int64),
    }
    connection.register("incoming", incoming)
    try:
        # Equal records started at the same time: only the blocks of that time are read.
        known = connection.execute(_DEDUP, {"low": min(starts), "high": max(starts)}).fetchall()
    finally:
        connection.unregister("incoming")
    stored = {row[0] for row in known}
    return [record for i, record in enumerate(fresh) if i not in stored]


def _append(
    connection: duckdb.DuckDBPyConnection, table: str, arrays: dict[str, np.ndarray[Any, Any]]
) -> None:
    if not len(arrays["n"]):
        return
    connection.register("incoming", arrays)
    try:
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")  # noqa: S608 - own names
    finally:
        connection.unregister("incoming")


def _save(connection: duckdb.DuckDBPyConnection, progress: Progress) -> None:
    if not progress.segment:
        return
    connection.execute("DELETE FROM checkpoints WHERE segment = $s", {"s": progress.segment})
    values = list(msgspec.structs.astuple(progress))
    connection.execute("INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)", values)


def _retire(connection: duckdb.DuckDBPyConnection, segments: list[str]) -> None:
    sums = "sum(received), sum(stored), sum(rejected), sum(duplicate)"
    where = "WHERE segment IN (SELECT unnest($segments))"
    params = {"segments": segments}
    row = connection.execute(f"SELECT {sums} FROM checkpoints {where}", params).fetchone()  # noqa: S608
    connection.execute(f"DELETE FROM checkpoints {where}", params)  # noqa: S608 - constants
    total = [value or 0 for value in row or (0, 0, 0, 0)]
    connection.execute("INSERT INTO checkpoints VALUES ('', 0, ?, ?, ?, ?)", total)


def _all_progress(connection: duckdb.DuckDBPyConnection) -> dict[str, Progress]:
    rows = connection.execute("SELECT * FROM checkpoints").fetchall()
    return {row[0]: progress_in(row) for row in rows}
