"""What is killed: a worker that spools, and a collector with its store and ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.traces.conftest import build_record

from santral.app.sinks import sinks_of
from santral.config.schema import Config
from santral.db.engine import connect, sqlite_url
from santral.traces import collector as collecting
from santral.traces.collector import Collector
from santral.traces.record import TraceRecord
from santral.traces.spool import Spool
from santral.traces.store import TraceStore

#: A worker's bound: its quarter, a segment, holds about four of our records.
BOUND = 14_000
RECORDS = 12

Say = Callable[[str], None]


def small(number: int) -> TraceRecord:
    """Return a record of about 0.9 kB."""
    return build_record(number, payload=None)


def tiny(number: int) -> TraceRecord:
    """Return a record of about 0.2 kB."""
    return build_record(number, payload=None, spans=[], attempts=[], verdicts=[], sources=[])


def worker(folder: Path, say: Say) -> None:
    """Spool records, and tell of each that was acknowledged."""
    spool = Spool(folder / "spool", "w0", BOUND, fsync=True)
    for number in range(RECORDS):
        say(f"try {number}")
        if spool.append(small(number)):
            say(f"ack {number}")
    spool.close()


def collector(folder: Path, say: Say) -> None:
    """Collect what waits, in small batches, while somebody looks at the account all the time.

    Afterwards nothing is left that could be collected.
    """
    collecting.BATCH_RECORDS = 2
    asyncio.run(_collect(folder, say))


async def _collect(folder: Path, say: Say) -> None:
    async with asyncio.timeout(60):
        engine = connect(sqlite_url(folder))
        store = TraceStore(folder / "telemetry.duckdb")
        collecting_now = Collector(folder / "spool", store, sinks_of(Config(), engine))
        looking = asyncio.create_task(_look(collecting_now, say))
        await asyncio.sleep(0)
        await collecting_now.collect_once()
        looking.cancel()
        await store.close()
        await engine.dispose()


async def _look(collecting_now: Collector, say: Say) -> None:
    while True:
        account = await collecting_now.account()
        assert account.is_balanced, account
        say(f"received {account.received}")
        await asyncio.sleep(0.002)


def first_start(folder: Path, say: Say) -> None:
    """Make the trace store, as the first start does."""

    async def make() -> None:
        store = TraceStore(folder / "telemetry.duckdb")
        await store.open()
        await store.close()

    asyncio.run(make())


SCENARIOS: dict[str, Callable[[Path, Say], None]] = {
    "worker": worker,
    "collector": collector,
    "first_start": first_start,
}
