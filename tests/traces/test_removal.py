"""Deleting from the store for good, while others read, through kills, and with sealed payloads."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import pytest
from tests.traces.conftest import START_US, build_record

from santral.db.engine import connect, sqlite_url
from santral.db.migrate import migrate
from santral.secrets.master import MasterKey
from santral.secrets.sealer import Sealer
from santral.secrets.wrappers import Wrappers
from santral.traces.question import Filters, Progress
from santral.traces.record import Payload
from santral.traces.removal import store as removal
from santral.traces.sealed import CLOSED, ERASED
from santral.traces.store import TraceStore

pytestmark = pytest.mark.anyio

CANARY = "KANARYA-7f3a"
EVERYTHING = Filters(since_us=0, until_us=2**62, route="", status="", error="")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[TraceStore]:
    made = TraceStore(tmp_path / "telemetry.duckdb")
    yield made
    await made.close()


async def fill(store: TraceStore, count: int = 400) -> None:
    said = Payload(request=f'[{{"role":"user","content":"{CANARY}"}}]', response=CANARY)
    records = [
        build_record(
            number,
            tenant_id="acme",
            user=f"user-{number % 4}",
            session=f"session-{number % 8}",
            **({"payload": said, "tags": {"who": CANARY}} if number % 4 == 1 else {}),
        )
        for number in range(count)
    ]
    await store.insert(records, Progress(segment="s1", offset=10, received=count))


def in_files(folder: Path, text: str = CANARY) -> list[str]:
    return [p.name for p in folder.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]


async def test_what_is_deleted_is_in_the_file_until_it_is_written_anew(
    store: TraceStore, tmp_path: Path
) -> None:
    await fill(store)
    rows = await store.ask(lambda c: removal.own_rows(c, "acme", "user-1", []))
    assert len(rows) == 100
    gone = await store.change(lambda c: removal.delete_rows(c, "acme", [row.n for row in rows]))
    assert gone["traces"] == gone["payloads"] == 100
    assert gone["spans"] == 400
    assert in_files(tmp_path)
    await store.compact()
    assert in_files(tmp_path) == []
    page = await store.list_traces("acme", EVERYTHING, None, 500)
    assert len(page.traces) == 300
    again = await store.insert([build_record(4, tenant_id="acme")], Progress(segment="s2"))
    assert again.duplicate == 1  # what is stored is still known
    assert (await store.progress())["s1"].received == 400
    await store.insert([build_record(9000, tenant_id="acme")], Progress(segment="s2"))
    assert len((await store.list_traces("acme", EVERYTHING, None, 500)).traces) == 301


async def test_another_tenants_rows_are_never_touched(store: TraceStore) -> None:
    await store.insert([build_record(1, tenant_id="globex", user="user-1")], Progress(segment="s1"))
    assert await store.ask(lambda c: removal.own_rows(c, "acme", "user-1", [])) == []
    gone = await store.change(lambda c: removal.delete_rows(c, "acme", [1]))
    assert not any(gone.values())
    assert not any((await store.change(lambda c: removal.delete_before(c, "acme", 2**62))).values())


async def test_a_session_is_a_persons_only_where_nobody_else_was_in_it(store: TraceStore) -> None:
    rows = [("ayse", "s1"), ("", "s1"), ("ayse", "s2"), ("mehmet", "s2"), ("", "s2"), ("", "")]
    records = [
        build_record(i, tenant_id="acme", user=u, session=s) for i, (u, s) in enumerate(rows)
    ]
    await store.insert(records, Progress(segment="s1"))
    sessions = await store.ask(lambda c: removal.own_sessions(c, "acme", "ayse"))
    assert sessions == ["s1"]
    own = await store.ask(lambda c: removal.own_rows(c, "acme", "ayse", sessions))
    assert [row.request_id for row in own] == ["req_0", "req_1", "req_2"]


async def test_what_is_over_its_time_goes_with_all_that_belongs_to_it(store: TraceStore) -> None:
    await fill(store, 100)
    gone = await store.change(lambda c: removal.delete_before(c, "acme", START_US + 50 * 1000))
    assert gone["traces"] == gone["payloads"] == gone["sources"] == 50
    left = await store.ask(lambda c: removal.count_rows(c, "acme", range(1000)))
    assert left["traces"] == left["payloads"] == 50
    assert left["spans"] == 200


async def test_readers_are_answered_while_the_file_is_written_anew(store: TraceStore) -> None:
    await fill(store, 2000)
    is_over = asyncio.Event()
    answers: list[int] = []

    async def read() -> None:
        while not is_over.is_set():
            answers.append(len((await store.list_traces("acme", EVERYTHING, None, 3000)).traces))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(read())
        for number in range(5):
            await store.insert(
                [build_record(5000 + number, tenant_id="acme")], Progress(segment=f"x{number}")
            )
            await store.compact()
        is_over.set()
    assert answers
    assert set(answers) <= set(range(2000, 2006))
    assert len((await store.list_traces("acme", EVERYTHING, None, 3000)).traces) == 2005


_REWRITER = """
import asyncio, sys
from pathlib import Path
from tests.traces.test_removal import fill
from santral.traces.store import TraceStore

async def run():
    store = TraceStore(Path(sys.argv[1]) / "telemetry.duckdb")
    await fill(store, 1000)
    print("filled", flush=True)
    while True:
        await store.compact()

asyncio.run(run())
"""


async def test_kill_9_while_the_file_is_written_anew_loses_nothing(tmp_path: Path) -> None:
    for number, pause_s in enumerate((0.0, 0.01, 0.03, 0.05, 0.08)):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-c", _REWRITER, str(folder)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"filled\n"
        time.sleep(pause_s)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        store = TraceStore(folder / "telemetry.duckdb")
        page = await store.list_traces("acme", EVERYTHING, None, 2000)
        assert len(page.traces) == 1000
        assert (await store.progress())["s1"].received == 1000
        await store.close()
        assert [p.name for p in folder.iterdir() if "fresh" in p.name] == []


async def test_payloads_are_sealed_in_the_file_and_open_for_readers(tmp_path: Path) -> None:
    engine = connect(sqlite_url(tmp_path))
    await migrate(engine)
    wrappers = Wrappers(MasterKey(bytes(32)), {})
    store = TraceStore(tmp_path / "telemetry.duckdb", sealer=Sealer(engine, wrappers))
    await fill(store, 4)
    record = build_record(1)
    found = await store.get_trace("acme", record.trace_id)
    assert found.trace.payload is not None
    assert found.trace.payload.response == CANARY
    stored = await store.ask(lambda c: removal.records(c, "acme", [2]))
    assert stored[0].payload is not None
    assert stored[0].payload.is_sealed
    assert CANARY.encode() not in base64.b64decode(stored[0].payload.response)
    sealer = store.sealer
    assert sealer is not None
    from santral.audit.note import SYSTEM

    await sealer.destroy("acme", SYSTEM)
    found = await store.get_trace("acme", record.trace_id)
    assert found.trace.payload == Payload(request=ERASED, response=ERASED)
    await store.close()
    without = TraceStore(tmp_path / "telemetry.duckdb")
    found = await without.get_trace("acme", record.trace_id)
    assert found.trace.payload == Payload(request=CLOSED, response=CLOSED)
    await without.close()
    await engine.dispose()


async def test_texts_are_found_in_payloads_and_tags(store: TraceStore) -> None:
    await fill(store, 8)
    ask = partial(removal.candidates, tenant_id="acme", texts=["kanarya-7F3A"], after=0, limit=10)
    rows = await store.ask(lambda c: ask(c))
    assert [row.request_id for row in rows] == ["req_1", "req_5"]
    tags = await store.ask(lambda c: removal.labelled(c, "acme", [CANARY]))
    assert len(tags) == 2
    await store.change(lambda c: removal.replace_payload(c, "acme", rows[0].n, "[]", "gone"))
    await store.change(lambda c: removal.replace_tags(c, "acme", tags[0][0], "{}"))
    assert len(await store.ask(lambda c: ask(c))) == 1
