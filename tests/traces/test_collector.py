from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from santral.errors import StoreError
from santral.traces.account import Account
from santral.traces.collector import Collector
from santral.traces.metrics import Metrics
from santral.traces.question import Filters, Progress
from santral.traces.record import TraceRecord
from santral.traces.scores.score import ScoreRecord
from santral.traces.segment import pack_frame, segment_header
from santral.traces.spool import Spool
from santral.traces.spool_folder import segments
from santral.traces.store import TraceStore

MEGABYTE = 1024 * 1024
ALL = Filters(since_us=0, until_us=2**60)
MEMORY = Path(":memory:")


async def rows(store: TraceStore) -> list[str]:
    page = await store.list_traces(None, ALL, None, 100_000)
    return sorted(trace.request_id for trace in page.traces)


async def score_rows(store: TraceStore) -> list[str]:
    found = await store.ask(lambda conn: conn.execute("SELECT id FROM scores").fetchall())
    return sorted(row[0] for row in found)


def make_score(number: int) -> ScoreRecord:
    return ScoreRecord(
        id=f"score_{number}",
        tenant_id="acme",
        trace_id=f"{number:032x}",
        name="thumbs",
        source="user",
        at_us=1_760_000_000_000_000 + number,
        value=1.0,
    )


class Ledger:
    """A sink: remembers what it was given, and fails when told to."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.is_down = False

    async def __call__(self, records: Sequence[TraceRecord]) -> None:
        if self.is_down:
            raise RuntimeError("the ledger is down")
        self.seen += [record.request_id for record in records]


class FlakyStore(TraceStore):
    """A real store that fails before or after the next commits, as it is told."""

    fault = ""

    async def insert(
        self,
        records: Sequence[TraceRecord],
        progress: Progress,
        scores: Sequence[ScoreRecord] = (),
    ) -> Progress:
        fault, self.fault = self.fault, ""
        if fault == "before":
            raise StoreError("the store is down")
        done = await super().insert(records, progress, scores)
        if fault == "after":
            raise StoreError("the answer of the commit was lost")
        return done


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def test_what_was_spooled_reaches_store_and_sinks(tmp_path: Path, make_record: Any) -> None:
    async def scenario() -> None:
        store, ledger = TraceStore(MEMORY), Ledger()
        spools = [Spool(tmp_path, worker, MEGABYTE) for worker in ("w0", "w1")]
        for number in range(10):
            spools[number % 2].append(make_record(number))
        done = await Collector(tmp_path, store, [ledger]).collect_once()
        assert (done.received, done.stored, done.rejected, done.duplicate) == (10, 10, 0, 0)
        assert await rows(store) == sorted(ledger.seen) == sorted(f"req_{n}" for n in range(10))
        await store.close()

    run(scenario())


def test_segments_go_when_they_are_collected_and_nobody_writes_to_them(
    tmp_path: Path, make_record: Any
) -> None:
    async def scenario() -> None:
        store = TraceStore(MEMORY)
        collector = Collector(tmp_path, store)
        spool = Spool(tmp_path, "w0", 64 * 1024)
        for number in range(40):
            spool.append(make_record(number))
        assert len(segments(tmp_path)) > 1
        await collector.collect_once()
        assert len(segments(tmp_path)) == 1, "the active one stays"
        spool.append(make_record(40))
        spool.close()
        await collector.collect_once()
        assert segments(tmp_path) == []
        assert set(await store.progress()) == {""}, "the counts stay when the segments are gone"
        account = await collector.account()
        assert (account.received, account.stored, account.spooled) == (41, 41, 0)
        await store.close()

    run(scenario())


def test_a_checkpoint_outlives_the_collector(tmp_path: Path, make_record: Any) -> None:
    async def scenario() -> None:
        ledger = Ledger()
        spool = Spool(tmp_path / "spool", "w0", MEGABYTE)
        for number in range(6):
            spool.append(make_record(number))
            store = TraceStore(tmp_path / "t.duckdb")
            done = await Collector(tmp_path / "spool", store, [ledger]).collect_once()
            assert (done.received, done.stored) == (1, 1)
            await store.close()
        assert ledger.seen == [f"req_{n}" for n in range(6)]

    run(scenario())


def test_records_wait_while_the_store_is_down_and_arrive_when_it_is_back(
    tmp_path: Path, make_record: Any
) -> None:
    """Down means here: the folder of the store is missing, and comes back."""

    async def scenario() -> None:
        store = TraceStore(tmp_path / "disk" / "t.duckdb")
        pauses: list[float] = []
        is_back = asyncio.Event()

        async def sleep(pause_s: float) -> None:
            pauses.append(pause_s)
            if len(pauses) == 6:
                (tmp_path / "disk").mkdir()
            if len(pauses) == 7:
                is_back.set()
                await asyncio.Event().wait()

        spool = Spool(tmp_path / "spool", "w0", MEGABYTE)
        for number in range(3):
            spool.append(make_record(number))
        collector = Collector(tmp_path / "spool", store, sleep=sleep)
        running = asyncio.ensure_future(collector.run(0.5))
        await is_back.wait()
        running.cancel()
        assert pauses == [1, 2, 4, 8, 15, 15, 0.5], "the pauses grow, and are short again after"
        assert await rows(store) == ["req_0", "req_1", "req_2"]
        await store.close()

    run(scenario())


def test_a_sink_that_fails_holds_the_checkpoint_back(tmp_path: Path, make_record: Any) -> None:
    async def scenario() -> None:
        store, ledger = TraceStore(MEMORY), Ledger()
        collector = Collector(tmp_path, store, [ledger])
        Spool(tmp_path, "w0", MEGABYTE).append(make_record(1))
        ledger.is_down = True
        with pytest.raises(RuntimeError, match="ledger is down"):
            await collector.collect_once()
        assert await rows(store) == []
        assert (await collector.account()).spooled == 1
        ledger.is_down = False
        assert (await collector.collect_once()).stored == 1
        await store.close()

    run(scenario())


def test_frames_that_hold_no_record_are_rejected_and_counted(
    tmp_path: Path, make_record: Any
) -> None:
    async def scenario() -> None:
        store = TraceStore(MEMORY)
        sync = b"12345678"
        frames = [b"\xc1 no msgpack", b"\x81\xa1a\x01", b""]
        path = tmp_path / "w0-00000001-aa.spool"
        path.write_bytes(
            segment_header(sync)
            + b"".join(pack_frame(sync, i + 1, b) for i, b in enumerate(frames))
        )
        Spool(tmp_path, "w1", MEGABYTE).append(make_record(1))
        collector = Collector(tmp_path, store)
        done = await collector.collect_once()
        assert (done.received, done.stored, done.rejected) == (4, 1, 3)
        assert (await collector.account()).is_balanced
        await store.close()

    run(scenario())


def test_a_file_that_is_no_segment_is_put_aside_and_not_deleted(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = TraceStore(MEMORY)
        (tmp_path / "w0-00000001-aa.spool").write_bytes(b"something else")
        await Collector(tmp_path, store).collect_once()
        assert [path.name for path in tmp_path.iterdir()] == ["w0-00000001-aa.damaged"]
        await store.close()

    run(scenario())


def test_the_account_is_shown_as_metrics_also_while_the_store_is_down(
    tmp_path: Path, make_record: Any
) -> None:
    async def scenario() -> None:
        record = make_record(1)
        finished_us = record.started_at_us + record.duration_us
        store = FlakyStore(MEMORY, clock=lambda: finished_us + 7_000_000)
        store.fault = "before"
        Spool(tmp_path, "w0", MEGABYTE).append(record)
        shown: list[str] = []
        metrics = Metrics()

        async def sleep(pause_s: float) -> None:
            shown.append(metrics.render())
            if len(shown) == 2:
                raise asyncio.CancelledError

        collector = Collector(tmp_path, store, sleep=sleep)
        collector.watch(metrics)
        with pytest.raises(asyncio.CancelledError):
            await collector.run(0.5)
        down, back = shown
        assert "santral_collector_waiting 1\n" in down
        assert "santral_collector_oldest_seconds 7\n" in down
        assert "santral_collector_waiting 0\n" in back
        assert "santral_collector_oldest_seconds 0\n" in back
        assert 'santral_collector_records_total{state="stored"} 1\n' in back
        await store.close()

    run(scenario())


STEP = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 1), st.integers(1, 12)),
    st.tuples(st.just("again"), st.integers(0, 1), st.integers(0, 5)),
    st.tuples(st.just("score"), st.integers(0, 1), st.integers(1, 12)),
    st.tuples(st.just("score again"), st.integers(0, 1), st.integers(0, 5)),
    st.tuples(st.just("close"), st.integers(0, 1), st.just(0)),
    st.tuples(st.just("damage"), st.integers(0, 1), st.integers(0, 10_000)),
    st.tuples(
        st.just("collect"),
        st.sampled_from(["", "", "before", "after", "sink", "restart"]),
        st.just(0),
    ),
)


class Walk:
    """Two workers, one collector, and whatever may happen to them; checked at every step."""

    def __init__(self, folder: Path, make_record: Any) -> None:
        self.folder = folder
        self.make = make_record
        self.store = FlakyStore(MEMORY)
        self.ledger = Ledger()
        self.collector = Collector(folder, self.store, [self.ledger])
        self.spools = [Spool(folder, f"w{n}", 40_000, clock=self.tick) for n in range(2)]
        self.kept: list[str] = []
        self.now = 0.0
        self.lost = 0

    def tick(self) -> float:
        self.now += 1  # a full spool looks again every time
        return self.now

    async def step(self, what: str, who: Any, how: int) -> None:
        if what in ("append", "again"):
            for _ in range(how):
                number = len(self.kept) // (2 if what == "again" else 1)
                if self.spools[who].append(self.make(number)):
                    self.kept.append(f"req_{number}")
        elif what in ("score", "score again"):
            for _ in range(how):
                number = len(self.kept) // (2 if what == "score again" else 1)
                if self.spools[who].append(make_score(number)):
                    self.kept.append(f"score_{number}")
        elif what == "close":
            self.spools[who].close()
        elif what == "damage":
            await self.damage(who, how)
        else:
            await self.collect(who)
        await self.check()

    async def damage(self, who: int, at: int) -> None:
        """Change a byte of the first frame that waits, when others follow it."""
        paths = [path for path in segments(self.folder) if path.name.startswith(f"w{who}-")]
        progress = await self.store.progress()
        for path in paths[:1]:
            done = progress.get(path.name, Progress(segment=path.name, offset=24))
            data = bytearray(path.read_bytes())
            sync = bytes(data[16:24])
            second = data.find(sync, done.offset + 1)
            if second > 0:
                data[done.offset + at % (second - done.offset)] ^= 0xFF
                with path.open("r+b") as file:
                    file.write(data)

    async def collect(self, fault: str) -> None:
        if fault == "restart":
            self.collector = Collector(self.folder, self.store, [self.ledger])
        self.ledger.is_down = fault == "sink"
        self.store.fault = fault if fault in ("before", "after") else ""
        try:
            await self.collector.collect_once()
        except (StoreError, RuntimeError):
            assert fault in ("before", "after", "sink")

    async def check(self) -> Account:
        account = await self.collector.account()
        assert account.is_balanced, account
        assert account.received == sum(spool.spooled for spool in self.spools) == len(self.kept)
        for spool in self.spools:
            assert spool.received == spool.spooled + spool.dropped
            assert spool.size_bytes <= 40_000
        stored = await rows(self.store)
        scores = await score_rows(self.store)
        assert len(stored) == len(set(stored))
        assert len(scores) == len(set(scores))
        assert len(stored) + len(scores) == account.stored
        assert set(stored) <= set(self.ledger.seen) <= set(self.kept)
        assert set(scores) <= set(self.kept)
        return account


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(STEP, max_size=25))
def test_every_record_is_accounted_for_at_every_look(
    make_record: Any, steps: list[tuple[str, Any, int]]
) -> None:
    async def scenario(folder: Path) -> None:
        walk = Walk(folder, make_record)
        for step in steps:
            await walk.step(*step)
        await walk.collect("")
        account = await walk.check()
        assert account.spooled == 0
        if not account.rejected:
            stored = [*await rows(walk.store), *await score_rows(walk.store)]
            assert sorted(stored) == sorted(set(walk.kept))
        await walk.store.close()

    with tempfile.TemporaryDirectory() as folder:
        run(scenario(Path(folder)))


COLLECTOR = """
import asyncio, sys
from pathlib import Path
from santral.traces.collector import Collector
from santral.traces.store import TraceStore

async def main():
    spool, store = Path(sys.argv[1]), TraceStore(Path(sys.argv[2]))
    collector = Collector(spool, store)
    while True:
        done = await collector.collect_once()
        if done.stored:
            print(done.stored, flush=True)

asyncio.run(main())
"""


def test_a_killed_collector_stores_every_record_once(tmp_path: Path, make_record: Any) -> None:
    spool = Spool(tmp_path / "spool", "w0", 64 * MEGABYTE)
    command = [sys.executable, "-c", COLLECTOR, str(tmp_path / "spool"), str(tmp_path / "t.duckdb")]
    number = -1
    for _ in range(2):
        number += 1
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as collector:
            assert collector.stdout is not None
            spool.append(make_record(number))
            collector.stdout.readline()  # it is at work
            for _ in range(700):
                number += 1
                spool.append(make_record(number))
            os.kill(collector.pid, signal.SIGKILL)

    async def scenario() -> None:
        store = TraceStore(tmp_path / "t.duckdb")
        collector = Collector(tmp_path / "spool", store)
        await collector.collect_once()
        account = await collector.account()
        assert account.is_balanced
        assert (account.received, account.rejected) == (spool.spooled, 0)
        await store.close()

    run(scenario())
    with duckdb.connect(tmp_path / "t.duckdb") as connection:
        counts = connection.execute("SELECT count(*), count(DISTINCT request_id) FROM traces")
        assert counts.fetchone() == (number + 1, number + 1)
