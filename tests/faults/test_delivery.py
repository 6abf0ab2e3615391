"""The same record delivered twice, clocks that jump, and records of any size and content."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.faults.left import MEMORY, Left, ids, run, stored_in
from tests.faults.scenarios import small, tiny
from tests.traces.conftest import START_US, build_record

from santral.traces import store as trace_store
from santral.traces.collector import Collector
from santral.traces.metrics import Metrics
from santral.traces.record import Payload, TraceRecord
from santral.traces.segment import pack_frame, segment_header
from santral.traces.spool import Spool
from santral.traces.spool_folder import segments
from santral.traces.store import TraceStore
from santral.wire.usage import Usage

MEGABYTE = 1 << 20
YEAR_US = 365 * 86_400 * 1_000_000


class Taker:
    """A sink that takes all but those it is told to refuse."""

    def __init__(self, *refused: str) -> None:
        self.refused = {*refused}
        self.taken: set[str] = set()

    async def __call__(self, records: Sequence[TraceRecord]) -> None:
        names = {record.request_id for record in records}
        if names & self.refused:
            raise ValueError("a NUL in a text, say")
        self.taken |= names


def spooled(folder: Path, worker: str, *records: TraceRecord) -> None:
    spool = Spool(folder, worker, 512 * MEGABYTE)
    assert all(spool.append(record) for record in records)
    spool.close()


def test_a_record_in_two_segments_and_from_two_workers_is_stored_and_billed_once(
    tmp_path: Path, sqlite_template: Path
) -> None:
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    for worker in ("w0", "w0", "w1"):
        spooled(tmp_path / "spool", worker, small(1), small(2), small(2))
    left = Left(tmp_path, TraceStore(tmp_path / "t.duckdb"))
    run(left.collect())
    assert left.stored == left.billed == ["req_1", "req_2"]
    account = left.account
    assert (account.received, account.stored, account.duplicate) == (9, 2, 7)


def test_a_restored_spool_brings_nothing_twice(tmp_path: Path, sqlite_template: Path) -> None:
    """Somebody restores a backup of the spool whose segments were collected long ago."""
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    spooled(tmp_path / "spool", "w0", *map(small, range(5)))
    shutil.copytree(tmp_path / "spool", tmp_path / "backup")
    accounts = []
    for _ in range(2):
        left = Left(tmp_path, TraceStore(tmp_path / "t.duckdb"))
        run(left.collect())
        assert left.stored == left.billed == ids(range(5))
        accounts.append((left.account.received, left.account.stored, left.account.duplicate))
        shutil.copytree(tmp_path / "backup", tmp_path / "spool", dirs_exist_ok=True)
    assert accounts == [(5, 5, 0), (10, 5, 5)]


def test_a_segment_restored_shorter_than_it_was_read_brings_nothing_twice(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = TraceStore(MEMORY)
        collector = Collector(tmp_path, store)
        spool = Spool(tmp_path, "w0", MEGABYTE)
        for number in range(4):
            assert spool.append(small(number))
        await collector.collect_once()
        [path] = segments(tmp_path)
        path.write_bytes(path.read_bytes()[:1500])
        spool.close()
        await collector.collect_once()
        account = await collector.account()
        assert account.is_balanced
        assert (account.received, account.stored, account.spooled) == (4, 4, 0)
        await store.close()

    run(scenario())


@pytest.mark.parametrize(
    "started_at_us",
    [0, START_US - 30 * YEAR_US, START_US + 70 * YEAR_US, 253_402_300_799_999_999],
    ids=["1970", "30 years back", "70 years ahead", "9999"],
)
def test_a_clock_that_jumps_loses_nothing_and_bills_on_the_day_it_shows(
    tmp_path: Path, sqlite_template: Path, started_at_us: int
) -> None:
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    jumped = small(2), build_record(3, started_at_us=started_at_us), small(1)
    spooled(tmp_path / "spool", "w0", *jumped)

    async def look() -> None:
        store = TraceStore(MEMORY, clock=lambda: START_US)
        collector, metrics = Collector(tmp_path / "spool", store), Metrics()
        collector.watch(metrics)
        await collector._show()
        text = metrics.render()
        age = float(text.split("santral_collector_oldest_seconds ")[-1].split("\n")[0])
        assert age >= 0, "nothing is older than now"
        await store.close()

    run(look())
    left = Left(tmp_path, TraceStore(tmp_path / "t.duckdb"))
    run(left.collect())
    assert left.billed == ids((1, 2, 3))
    assert (left.account.received, left.account.stored) == (3, 3)


@pytest.mark.parametrize("started_at_us", [-1, 253_402_300_800_000_000, 2**63 - 1])
def test_a_moment_that_has_no_date_is_rejected_and_keeps_nothing_waiting(
    tmp_path: Path, sqlite_template: Path, started_at_us: int
) -> None:
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    spooled(tmp_path / "spool", "w0", build_record(1, started_at_us=started_at_us), small(2))
    left = Left(tmp_path, TraceStore(tmp_path / "t.duckdb"))
    run(left.collect())
    assert left.stored == left.billed == ["req_2"]
    assert (left.account.received, left.account.stored, left.account.rejected) == (2, 1, 1)


def test_the_spool_does_not_ask_the_clock_on_the_wall(tmp_path: Path) -> None:
    """A monotonic clock that would go back only makes a full spool wait longer, never raise."""
    times = iter([100.0, 99.0, 98.0, 1e9, *[1e9 + n for n in range(1000)]])
    spool = Spool(tmp_path, "w0", 8_000, clock=lambda: next(times))
    kept = sum(spool.append(small(number)) for number in range(30))
    assert spool.received == spool.spooled + spool.dropped == 30
    assert 0 < kept < 30


def test_a_record_of_64_megabytes_passes(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    huge = build_record(1, payload=Payload(request="x" * (64 * MEGABYTE), response="y"))
    spooled(tmp_path / "spool", "w0", small(0), huge, small(2), huge)
    left = Left(tmp_path, TraceStore(tmp_path / "t.duckdb"))
    run(left.collect())
    assert left.stored == left.billed == ids((0, 1, 2))
    assert (left.account.stored, left.account.duplicate) == (3, 1)

    async def read() -> None:
        store = TraceStore(tmp_path / "t.duckdb")
        found = await store.get_trace(None, huge.trace_id)
        assert found.trace.payload == huge.payload
        await store.close()

    run(read())


def test_a_record_too_long_for_a_frame_or_for_the_bound_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("santral.traces.spool.MAX_BODY_BYTES", 2_000)
    long = build_record(1, payload=Payload(request="x" * 3_000, response=""))
    spool = Spool(tmp_path, "w0", MEGABYTE)
    assert not spool.append(long)
    assert spool.append(small(2))
    assert (spool.spooled, spool.dropped) == (1, 1)
    narrow = Spool(tmp_path, "w1", 2_000)
    assert not narrow.append(long)
    assert narrow.append(small(2))


def test_a_record_that_the_ledger_cannot_take_is_stored_and_named_and_keeps_no_other_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spooled(tmp_path, "w0", *map(tiny, range(40)))

    async def scenario() -> None:
        store, sink, metrics = TraceStore(MEMORY), Taker("req_7", "req_30"), Metrics()
        collector = Collector(tmp_path, store, [sink])
        collector.watch(metrics)
        assert (await collector.collect_once()).stored == 40
        assert sink.taken == {f"req_{n}" for n in range(40)} - sink.refused
        assert "santral_collector_unbilled_total 2\n" in metrics.render()
        await store.close()

    run(scenario())
    errors = [entry for entry in caplog.records if entry.message == "record_not_billed"]
    assert {vars(entry)["request_id"] for entry in errors} == {"req_7", "req_30"}


def test_a_sink_that_refuses_everything_is_down_and_nothing_is_passed_over(tmp_path: Path) -> None:
    spooled(tmp_path, "w0", *map(tiny, range(5)))

    async def scenario() -> None:
        store, sink = TraceStore(MEMORY), Taker(*ids(range(5)))
        collector = Collector(tmp_path, store, [sink])
        with pytest.raises(ValueError, match="a NUL"):
            await collector.collect_once()
        assert (await collector.account()).spooled == 5
        sink.refused = set()
        assert (await collector.collect_once()).stored == 5
        await store.close()

    run(scenario())


def test_a_number_that_fits_no_column_is_rejected_before_the_ledger_sees_it(
    tmp_path: Path, sqlite_template: Path
) -> None:
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    attempts = build_record(1).attempts
    absurd = build_record(
        1,
        usage=Usage(input_uncached=2**64 - 1),
        attempts=[type(attempts[0])(**{**_fields(attempts[0]), "cost_nanousd": 2**64 - 1})],
    )
    spooled(tmp_path / "spool", "w0", absurd)
    left = Left(tmp_path, TraceStore(tmp_path / "t.duckdb"))
    run(left.collect())
    assert left.stored == left.billed == []
    assert (left.account.received, left.account.rejected) == (1, 1)


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def test_a_pass_that_is_cancelled_while_it_stores_counts_every_record_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a stop of the control process does: the write goes on in its thread."""
    spooled(tmp_path, "w0", *map(small, range(30)))
    save, is_saving = trace_store._save, threading.Event()

    def save_slowly(*given: Any) -> None:
        is_saving.set()
        time.sleep(0.2)
        save(*given)

    async def scenario() -> None:
        store = TraceStore(MEMORY)
        collector = Collector(tmp_path, store)
        with monkeypatch.context() as patch:
            patch.setattr(trace_store, "_save", save_slowly)
            passing = asyncio.create_task(collector.collect_once())
            await asyncio.to_thread(is_saving.wait, 10)
            passing.cancel()
            await asyncio.wait([passing])
        assert (await collector.account()).is_balanced
        await collector.collect_once()
        account = await collector.account()
        assert (account.received, account.stored, account.duplicate) == (30, 30, 0)
        assert await stored_in(store) == ids(range(30))
        await store.close()

    run(scenario())


def test_frames_copied_within_a_segment_are_read_once(tmp_path: Path) -> None:
    sync = b"abcdefgh"
    frames = [pack_frame(sync, n + 1, body) for n, body in enumerate([b"a", b"b", b"c"])]
    path = tmp_path / "w0-00000001-aaaaaaaa.spool"
    path.write_bytes(
        segment_header(sync) + frames[0] + frames[1] + frames[0] + frames[2] + frames[1]
    )

    async def scenario() -> None:
        store = TraceStore(MEMORY)
        collector = Collector(tmp_path, store)
        done = await collector.collect_once()
        assert (done.received, done.rejected) == (3, 3), "they hold no records, and are three"
        assert (await collector.account()).is_balanced
        await store.close()

    run(scenario())
