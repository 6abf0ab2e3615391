"""The store or the control database is down, held, damaged, killed or hangs: the spool keeps."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import event
from tests.db.databases import _migrate
from tests.db.postgres import require_postgres
from tests.faults.left import Left, ids, run, stored_in
from tests.faults.scenarios import small
from tests.faults.server import Mortal, mortal_postgres

from santral.db.engine import Engine, connect, sqlite_url
from santral.errors import StoreError
from santral.quota.ledger.write import write_ledger
from santral.traces import collector as collecting
from santral.traces.account import Account
from santral.traces.collector import Collector
from santral.traces.deliver import Sink
from santral.traces.record import TraceRecord
from santral.traces.spool import Spool
from santral.traces.spool_folder import segments
from santral.traces.store import TraceStore

MEGABYTE = 1 << 20
HOUR_S = 3600


def spooled(folder: Path, numbers: range) -> None:
    spool = Spool(folder, "w0", 64 * MEGABYTE)
    assert all(spool.append(small(number)) for number in numbers)
    spool.close()


def billing(engine: Engine) -> Sink:
    async def bill(records: Sequence[TraceRecord]) -> None:
        await write_ledger(engine, records)

    return bill


async def catch_up(collector: Collector) -> Account:
    """Collect like ``run`` does, without its pauses, until nothing waits."""
    for _ in range(50):
        try:
            await collector.collect_once()
        except StoreError:
            await asyncio.sleep(0.05)
        account = await collector.account()
        assert account.is_balanced
        if not account.spooled:
            return account
    raise AssertionError("it did not catch up")


@pytest.mark.parametrize("what", ["store", "ledger"])
def test_down_for_an_hour_is_asked_seldom_and_caught_up_with(
    tmp_path: Path, sqlite_template: Path, what: str
) -> None:
    """The hour is simulated: a worker spools at every pause, and the clock advances by it."""
    place = {"store": tmp_path / "disk", "ledger": tmp_path / "data"}[what]
    folders = {name: tmp_path / name for name in ("spool", "data", "disk")}
    folders["data"].mkdir()
    shutil.copy(sqlite_template, folders["data"] / "santral.db")
    folders["disk"].mkdir()
    away = place.rename(tmp_path / "away")
    spool = Spool(folders["spool"], "w0", 256 * 1024)
    passed_s, pauses, kept = 0.0, [], []
    is_done = asyncio.Event()

    async def scenario() -> None:
        engine = connect(sqlite_url(folders["data"]))
        store = TraceStore(folders["disk"] / "t.duckdb")
        collector = Collector(folders["spool"], store, [billing(engine)], sleep=lambda s: sleep(s))

        async def sleep(pause_s: float) -> None:
            nonlocal passed_s
            before_s, passed_s = passed_s, passed_s + pause_s
            if passed_s > HOUR_S + 60:
                is_done.set()
                await asyncio.Event().wait()
            pauses.append(pause_s)
            if spool.append(small(len(pauses))):
                kept.append(len(pauses))
            assert spool.size_bytes <= 256 * 1024
            if before_s < HOUR_S <= passed_s:
                away.rename(place)
            if what == "ledger":
                assert (await collector.account()).received == len(kept)

        running = asyncio.create_task(collector.run(0.5))
        await is_done.wait()
        running.cancel()
        await asyncio.wait([running])
        account = await collector.account()
        assert (account.received, account.stored, account.duplicate) == (len(kept), len(kept), 0)
        assert await stored_in(store) == ids(kept)
        await store.close()
        await engine.dispose()

    run(scenario())
    down = pauses[: next(n for n, _ in enumerate(pauses) if sum(pauses[:n]) >= HOUR_S)]
    assert max(down) == 15, "the pause is bounded"
    assert len(down) <= HOUR_S / 15 + 6, "and nobody hammers on what is down"
    assert pauses[-1] == 0.5, "short again when it is back"


HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_store_that_another_process_holds_is_named_and_waited_for(tmp_path: Path) -> None:
    spooled(tmp_path / "spool", range(3))
    path = tmp_path / "t.duckdb"

    async def scenario(holder: subprocess.Popen[str]) -> None:
        store = TraceStore(path)
        collector = Collector(tmp_path / "spool", store)
        for _ in range(2):
            with pytest.raises(StoreError, match="held by another process"):
                await collector.collect_once()
        holder.communicate()
        assert (await collector.collect_once()).stored == 3
        await store.close()

    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        run(scenario(holder))


def _over(data: bytearray, *places: int) -> bytes:
    for at in places:
        data[at : at + 64] = b"\xa5" * 64
    return bytes(data)


DAMAGES: dict[str, Callable[[bytearray], bytes]] = {
    "no head": lambda data: bytes(64) + data[64:],
    "its own headers": lambda data: _over(data, 4096 + 100, 8192 + 100),
    "every block": lambda data: _over(data, *range(12288 + 100, len(data), 262_144)),
    "cut": lambda data: bytes(data[: len(data) // 3]),
    "another file": lambda data: b"not a store " * 5000,
}


@pytest.mark.parametrize("damage", [*DAMAGES, "log"])
def test_a_damaged_store_is_named_with_its_remedy_and_the_spool_keeps(
    tmp_path: Path, damage: str
) -> None:
    path, log = tmp_path / "t.duckdb", tmp_path / "t.duckdb.wal"

    async def prepare() -> None:
        store = TraceStore(path)
        spooled(tmp_path / "spool", range(2000))
        await Collector(tmp_path / "spool", store).collect_once()
        shutil.copy(log, tmp_path / "log")
        await store.close()

    run(prepare())
    if damage == "log":
        kept = bytearray((tmp_path / "log").read_bytes())
        kept[len(kept) // 2] ^= 0xFF
        path.unlink()
        run(_empty(path))
        log.write_bytes(kept)
    else:
        path.write_bytes(DAMAGES[damage](bytearray(path.read_bytes())))
    spooled(tmp_path / "spool", range(2000, 2010))

    async def scenario() -> None:
        store = TraceStore(path)
        collector = Collector(tmp_path / "spool", store)
        for _ in range(3):
            with pytest.raises(StoreError, match=r"is damaged\. .*move t.duckdb and t.duckdb.wal"):
                await collector.collect_once()
        assert len(segments(tmp_path / "spool")) == 1, "the spool keeps"
        path.rename(tmp_path / "moved-away")
        log.unlink(missing_ok=True)
        assert (await collector.collect_once()).stored == 10, "without a restart"
        assert (await collector.account()).is_balanced
        await store.close()

    run(scenario())


async def _empty(path: Path) -> None:
    store = TraceStore(path)
    await store.open()
    await store.close()


def test_a_sink_that_hangs_is_given_up_and_asked_again(tmp_path: Path) -> None:
    spooled(tmp_path, range(3))
    is_hanging = True

    async def hang(records: Sequence[TraceRecord]) -> None:
        while is_hanging:
            await asyncio.sleep(1)

    async def scenario() -> None:
        nonlocal is_hanging
        store = TraceStore(Path(":memory:"))
        collector = Collector(tmp_path, store, [hang], patience_s=0.05)
        with pytest.raises(StoreError, match=r"within 0.05 s\. Look at the database"):
            await collector.collect_once()
        is_hanging = False
        assert (await collector.collect_once()).stored == 3
        await store.close()

    run(scenario())


def test_a_spool_folder_that_is_gone_keeps_its_checkpoints(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder, "w0", MEGABYTE)
    assert spool.append(small(1))

    async def scenario() -> None:
        store = TraceStore(Path(":memory:"))
        collector = Collector(folder, store)
        await collector.collect_once()
        folder.rename(tmp_path / "unmounted")
        with pytest.raises(StoreError, match=r"is gone\. Put it back"):
            await collector.collect_once()
        (tmp_path / "unmounted").rename(folder)
        assert spool.append(small(2))
        done = await collector.collect_once()
        assert (done.received, done.duplicate) == (1, 0)
        await store.close()

    run(scenario())


def test_a_control_database_locked_for_long_delays_and_loses_nothing(
    tmp_path: Path, sqlite_template: Path
) -> None:
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    spooled(tmp_path / "spool", range(3))
    lock = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN EXCLUSIVE')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )

    async def scenario(holder: subprocess.Popen[str]) -> None:
        engine, store = connect(sqlite_url(tmp_path)), TraceStore(tmp_path / "t.duckdb")
        collector = Collector(tmp_path / "spool", store, [billing(engine)], patience_s=20)
        with pytest.raises(StoreError, match="held by another process"):
            await collector.collect_once()
        assert (await collector.account()).spooled == 3
        holder.communicate()
        assert (await collector.collect_once()).stored == 3
        await store.close()
        await engine.dispose()

    command = [sys.executable, "-c", lock, str(tmp_path / "santral.db")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        run(scenario(holder))
    left = Left(tmp_path, TraceStore(tmp_path / "t.duckdb"))
    run(left.collect())
    assert left.stored == left.billed == ids(range(3))


@pytest.fixture(scope="module")
def server() -> Generator[Mortal]:
    require_postgres()
    with (
        tempfile.TemporaryDirectory(prefix="santral-pg-") as folder,
        mortal_postgres(Path(folder)) as made,
    ):
        _migrate(made.url)
        yield made


@pytest.mark.postgres
def test_postgresql_killed_before_and_after_every_statement_and_commit_bills_once(
    server: Mortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "BATCH_RECORDS", 2)
    met: list[str] = []
    expected: list[str] = []

    async def scenario(at: int) -> bool:
        """Kill the server at event ``at``, if there are as many; say whether there were."""
        engine, store = connect(server.url), TraceStore(tmp_path / "t.duckdb")
        names: list[str] = []

        def reach(name: str) -> None:
            names.append(name)
            if len(names) == at:
                server.kill()

        watch(engine, reach)
        collector = Collector(tmp_path / "spool", store, [billing(engine)])
        try:
            await collector.collect_once()
        except StoreError:
            assert (await collector.account()).is_balanced
            with pytest.raises(StoreError, match="refuses connections"):
                await collector.collect_once()
        if was_killed := len(names) >= at:
            met.append(names[at - 1])
            server.start()
        account = await catch_up(collector)
        assert (account.stored, account.duplicate) == (len(expected), 0)
        assert await stored_in(store) == await server.billed() == sorted(expected)
        await store.close()
        await engine.dispose()
        return was_killed

    for at in count(1):
        numbers = range(10 * at, 10 * at + 3)  # two batches
        spooled(tmp_path / "spool", numbers)
        expected += ids(numbers)
        killed: list[bool] = []

        async def remember(at: int = at, killed: list[bool] = killed) -> None:
            killed.append(await scenario(at))

        run(remember())
        if not killed[0]:
            break
    assert Counter(met).keys() == {"statement", "after statement", "before commit", "after commit"}
    assert min(Counter(met).values()) >= 2


def watch(engine: Engine, reach: Callable[[str], None]) -> None:
    """Call ``reach`` at every statement and commit of ``engine``, before and after it."""
    target = engine.sync_engine
    event.listen(target, "before_cursor_execute", lambda *_: reach("statement"))
    event.listen(target, "after_cursor_execute", lambda *_: reach("after statement"))
    event.listen(target, "commit", lambda *_: reach("before commit"))
    event.listen(target, "checkin", lambda *_: reach("after commit"))


@pytest.mark.postgres
def test_postgresql_that_hangs_is_given_up_and_caught_up_with(
    server: Mortal, tmp_path: Path
) -> None:
    numbers = range(100_000, 100_005)
    spooled(tmp_path / "spool", numbers)

    async def scenario() -> None:
        engine, store = connect(server.url), TraceStore(tmp_path / "t.duckdb")
        collector = Collector(tmp_path / "spool", store, [billing(engine)], patience_s=0.5)
        await collector.account()
        server.freeze()
        try:
            began = time.monotonic()
            with pytest.raises(StoreError):
                await collector.collect_once()
            assert time.monotonic() - began < 10
            assert (await collector.account()).spooled == 5
        finally:
            server.thaw()
        assert (await catch_up(collector)).stored == 5
        assert set(ids(numbers)) <= set(await server.billed())
        await store.close()
        await engine.dispose()

    run(scenario())
