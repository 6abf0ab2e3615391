from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from santral.errors import BadRequest, NotFound, StoreError
from santral.traces.question import Cursor, Filters, Progress
from santral.traces.record import TraceRecord
from santral.traces.store import TraceStore
from santral.wire.usage import Usage

START_US = 1_760_000_000_000_000
ALL = Filters(since_us=0, until_us=START_US * 2)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[TraceStore]:
    store = TraceStore(path, clock=lambda: START_US + 10_000_000)
    try:
        yield store
    finally:
        await store.close()


async def insert(store: TraceStore, *records: TraceRecord) -> Progress:
    return await store.insert(records, Progress(segment="s"))


async def everything(store: TraceStore, **filters: Any) -> list[str]:
    page = await store.list_traces(None, msgspec.structs.replace(ALL, **filters), None, 1000)
    return [trace.request_id for trace in page.traces]


def test_a_stored_record_comes_back_equal(tmp_path: Path, make_record: Any) -> None:
    full = make_record(
        1,
        tags={"app": "shop", "stadt": "İstanbul"},
        error="guardrail_refused",
        is_streaming=True,
        usage=Usage(input_uncached=1, cache_read=2, reasoning=3, is_estimated=True),
        session="a\x00b\u2028</script>",
    )
    bare = TraceRecord(
        trace_id="0" * 31 + "1",
        request_id="bare",
        tenant_id="acme",
        key_id="k",
        route="",
        requested_model="?",
        started_at_us=START_US,
        duration_us=0,
        status=400,
    )

    async def scenario() -> None:
        async with opened(tmp_path / "t.duckdb") as store:
            await insert(store, full, make_record(2), bare)
            for record in (full, make_record(2), bare):
                found = await store.get_trace(record.tenant_id, record.trace_id)
                assert found.trace == record

    asyncio.run(scenario())


def test_a_record_delivered_again_changes_nothing(tmp_path: Path, make_record: Any) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "t.duckdb") as store:
            first = await insert(store, make_record(1), make_record(2), make_record(1))
            assert (first.stored, first.duplicate) == (2, 1)
            again = await insert(store, make_record(2), make_record(3))
            assert (again.stored, again.duplicate) == (1, 1)
            assert await everything(store) == ["req_3", "req_2", "req_1"]

    asyncio.run(scenario())


def test_requests_that_share_a_callers_trace_know_of_each_other(
    tmp_path: Path, make_record: Any
) -> None:
    sent = "ab" * 16
    records = [make_record(n, caller_trace_id=sent, tenant_id="acme") for n in (1, 2)]
    foreign = make_record(3, caller_trace_id=sent, tenant_id="globex")
    alone = make_record(4, tenant_id="globex")

    async def scenario() -> None:
        async with opened(tmp_path / "t.duckdb") as store:
            await insert(store, *records, foreign, alone)
            found = await store.get_trace(None, records[0].trace_id)
            assert [other.request_id for other in found.others] == ["req_2"]
            assert (await store.get_trace("globex", sent)).trace == foreign
            assert (await store.get_trace(None, alone.trace_id)).others == []
            assert (await store.get_trace("acme", "req_2")).trace == records[1]
            with pytest.raises(BadRequest, match="means several traces"):
                await store.get_trace(None, sent)

    asyncio.run(scenario())


def test_a_number_that_does_not_fit_keeps_only_its_own_record_out(
    tmp_path: Path, make_record: Any
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "t.duckdb") as store:
            done = await insert(store, make_record(1), make_record(2, cost_nanousd=2**63))
            assert (done.stored, done.rejected, done.duplicate) == (1, 1, 0)
            assert await everything(store) == ["req_1"]

    asyncio.run(scenario())


def test_pages_by_cursor_are_the_list_without_gaps_or_repeats(
    tmp_path: Path, make_record: Any
) -> None:
    records = [make_record(n, started_at_us=START_US + n // 4) for n in range(23)]

    async def scenario() -> None:
        async with opened(tmp_path / "t.duckdb") as store:
            await insert(store, *records)
            seen: list[str] = []
            before: Cursor | None = None
            while True:
                page = await store.list_traces(None, ALL, before, 5)
                seen += [trace.request_id for trace in page.traces]
                if page.next is None:
                    break
                before = Cursor.parse(page.next)
                await insert(store, make_record(100 + len(seen), started_at_us=START_US + 99))
            assert seen == [f"req_{n}" for n in reversed(range(23))]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"route": "search"}, ["req_2"]),
        ({"status": "error"}, ["req_4", "req_3"]),
        ({"status": "ok"}, ["req_2", "req_1"]),
        ({"status": "4xx"}, ["req_3"]),
        ({"status": "502"}, ["req_4"]),
        ({"error": "rate_limit"}, ["req_3"]),
        ({"since_us": START_US + 2000, "until_us": START_US + 4000}, ["req_3", "req_2"]),
    ],
)
def test_filters_mean_what_they_say(
    tmp_path: Path, make_record: Any, filters: dict[str, Any], expected: list[str]
) -> None:
    records = [
        make_record(1, route="support"),
        make_record(2, route="search"),
        make_record(3, route="support", status=429, error="rate_limit_exceeded"),
        make_record(4, route="support", status=502, error="provider_failed"),
    ]

    async def scenario() -> None:
        async with opened(tmp_path / "t.duckdb") as store:
            await insert(store, *records)
            assert await everything(store, **filters) == expected

    asyncio.run(scenario())


def test_copies_are_counted_and_listed_only_when_asked_for(
    tmp_path: Path, make_record: Any
) -> None:
    real = make_record(1, route="support", status=200)
    copied = make_record(2, route="support#shadow", status=502)

    async def scenario() -> None:
        async with opened(tmp_path / "t.duckdb") as store:
            await insert(store, real, copied)
            assert await everything(store) == ["req_1"]
            assert await everything(store, route="support#shadow") == ["req_2"]
            found = await store.signals(None, 0, START_US * 2)
            assert (found.total.n, list(found.by_route)) == (1, ["support"])
            asked = await store.signals(None, 0, START_US * 2, "support#shadow")
            assert asked.total.n == 1
            history = await store.history(None, START_US, START_US + 10_000, 2)
            assert sum(bucket.n for bucket in history) == 1

    asyncio.run(scenario())


def test_a_tenant_sees_its_own_traces_and_no_others(tmp_path: Path, make_record: Any) -> None:
    mine, theirs = make_record(1, tenant_id="acme"), make_record(2, tenant_id="globex")

    async def scenario() -> None:
        async with opened(tmp_path / "t.duckdb") as store:
            await insert(store, mine, theirs)
            page = await store.list_traces("acme", ALL, None, 10)
            assert [trace.request_id for trace in page.traces] == ["req_1"]
            with pytest.raises(NotFound):
                await store.get_trace("acme", theirs.trace_id)
            with pytest.raises(NotFound):
                await store.get_trace("acme", theirs.trace_id[:8])
            assert (await store.signals("acme", 0, START_US * 2)).total.n == 1
            history = await store.history("acme", START_US, START_US + 10_000, 2)
            assert sum(bucket.n for bucket in history) == 1

    asyncio.run(scenario())


def test_a_beginning_is_enough_when_only_one_trace_has_it(tmp_path: Path, make_record: Any) -> None:
    first = make_record(1, trace_id="abc1" + "0" * 28)
    second = make_record(2, trace_id="abc2" + "0" * 28)

    async def scenario() -> None:
        async with opened(tmp_path / "t.duckdb") as store:
            await insert(store, first, second)
            assert (await store.get_trace(None, "abc2")).trace == second
            with pytest.raises(BadRequest, match="'abc' means several traces"):
                await store.get_trace(None, "abc")
            for unknown in ("abd", "", "%", "f" * 32):
                with pytest.raises(NotFound, match="No trace"):
                    await store.get_trace(None, unknown)

    asyncio.run(scenario())


def test_what_was_stored_is_there_after_a_restart(tmp_path: Path, make_record: Any) -> None:
    async def scenario() -> None:
        for number in range(3):
            async with opened(tmp_path / "t.duckdb") as store:
                await store.insert([make_record(number)], Progress(segment=f"s{number}", offset=9))
        async with opened(tmp_path / "t.duckdb") as store:
            assert await everything(store) == ["req_2", "req_1", "req_0"]
            assert (await store.get_trace(None, make_record(1).trace_id)).trace == make_record(1)
            assert set(await store.progress()) == {"s0", "s1", "s2"}

    asyncio.run(scenario())


def test_a_failed_batch_leaves_neither_rows_nor_progress(
    tmp_path: Path, make_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: duckdb.DuckDBPyConnection, progress: Progress) -> None:
        raise duckdb.IOException("No space left on device")

    async def scenario() -> None:
        async with opened(tmp_path / "t.duckdb") as store:
            await insert(store, make_record(1))
            with monkeypatch.context() as patch:
                patch.setattr("santral.traces.store._save", fail)
                with pytest.raises(StoreError, match="has no room left on its disk"):
                    await insert(store, make_record(2))
            assert await everything(store) == ["req_1"]
            assert (await insert(store, make_record(2))).stored == 1
            assert (await store.get_trace(None, make_record(2).trace_id)).trace == make_record(2)

    asyncio.run(scenario())


HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A store file that another process holds, until its stdin ends."""
    path = tmp_path / "held.duckdb"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield path, holder
        holder.kill()


def test_a_second_process_on_one_store_is_told_so(held: tuple[Path, Any]) -> None:
    path, holder = held

    async def scenario() -> None:
        async with opened(path) as store:
            with pytest.raises(StoreError, match=r"held by another process.*Only one process"):
                await store.open()
            holder.communicate("")
            await store.open()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "the folder .* does not exist"),
        (lambda path: (path.parent.mkdir(), path.write_text("no store " * 999)), "is damaged"),
    ],
)
def test_a_file_that_cannot_be_a_store_is_a_sentence(
    tmp_path: Path, make: Any, message: str
) -> None:
    path = tmp_path / "folder" / "t.duckdb"
    make(path)

    async def scenario() -> None:
        async with opened(path) as store:
            with pytest.raises(StoreError, match=message):
                await store.open()

    asyncio.run(scenario())


def test_a_store_of_another_version_is_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"

    async def scenario() -> None:
        async with opened(path) as store:
            await store.open()
        with duckdb.connect(path) as connection:
            connection.execute("UPDATE schema_version SET version = 99")
        async with opened(path) as store:
            with pytest.raises(StoreError, match="has version 99; this Santral reads version 7"):
                await store.open()

    asyncio.run(scenario())


def test_a_store_of_an_older_version_gets_what_it_lacks_and_keeps_what_it_has(
    tmp_path: Path, make_record: Any
) -> None:
    path = tmp_path / "t.duckdb"
    record = make_record(1)

    async def scenario() -> None:
        async with opened(path) as store:
            await store.insert([record], Progress(segment="s"))
        with duckdb.connect(path) as connection:
            connection.execute("UPDATE schema_version SET version = 1")
            connection.execute("ALTER TABLE traces DROP COLUMN losses")
            connection.execute("ALTER TABLE traces DROP COLUMN input_audio")
            connection.execute("ALTER TABLE attempts DROP COLUMN purpose")
        async with opened(path) as store:
            later = make_record(2)
            await store.insert([later], Progress(segment="s"))
            for one in (record, later):
                found = await store.get_trace(None, one.trace_id)
                assert found.trace == one

    asyncio.run(scenario())


def test_the_control_loop_runs_on_while_a_batch_is_written(
    tmp_path: Path, make_record: Any
) -> None:
    records = [make_record(number) for number in range(3000)]

    async def scenario() -> int:
        async with opened(tmp_path / "t.duckdb") as store:
            await store.open()
            turns = 0
            writing = asyncio.ensure_future(insert(store, *records))
            while not writing.done():
                turns += 1
                await asyncio.sleep(0)
            assert (await writing).stored == 3000
            return turns

    assert asyncio.run(scenario()) > 5


@pytest.mark.parametrize("text", ["", "12", "12-", "a-b", "1-2-3", "9" * 40 + "-1", "-1-2"])
def test_a_cursor_that_is_not_ours_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest, match="no cursor"):
        Cursor.parse(text)


@pytest.mark.parametrize("status", ["bad", "2000", "6xx", "OK", "20x"])
def test_a_status_that_means_nothing_is_a_bad_request(status: str) -> None:
    with pytest.raises(BadRequest, match="status is"):
        Filters(since_us=0, until_us=1, status=status)
