"""What is left after a fault: in the spool, in the store and in the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

from santral.app.sinks import sinks_of
from santral.config.schema import Config
from santral.db.engine import connect, sqlite_url
from santral.traces.account import Account
from santral.traces.collector import Collector
from santral.traces.question import Filters
from santral.traces.store import TraceStore

ALL = Filters(since_us=0, until_us=2**60)
MEMORY = Path(":memory:")


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario; one that hangs is a failure."""

    async def patiently() -> None:
        async with asyncio.timeout(120):
            await scenario

    asyncio.run(patiently())


async def stored_in(store: TraceStore) -> list[str]:
    """Return the request ids of the store's rows, each as often as it is there."""
    page = await store.list_traces(None, ALL, None, 100_000)
    return sorted(trace.request_id for trace in page.traces)


def _column(folder: Path, query: str) -> list[str]:
    with contextlib.closing(sqlite3.connect(folder / "santral.db")) as connection:
        return sorted(row[0] for row in connection.execute(query))


def ids(numbers: Iterable[int]) -> list[str]:
    return sorted(f"req_{number}" for number in numbers)


def is_once(names: Sequence[str]) -> bool:
    return max(Counter(names).values(), default=1) == 1


class Left:
    """What there is in the end, when a collector has had its turn."""

    account: Account
    stored: list[str]
    billed: list[str]
    noted: list[str]  # decisions in the audit log, by trace

    def __init__(self, folder: Path, store: TraceStore) -> None:
        self._folder = folder
        self._store = store

    async def collect(self) -> None:
        """Collect twice into store and ledger, and look at the account in between."""
        engine = connect(sqlite_url(self._folder))
        collector = Collector(self._folder / "spool", self._store, sinks_of(Config(), engine))
        try:
            accounts = [await collector.account()]
            for _ in range(2):
                await collector.collect_once()
                accounts.append(await collector.account())
            self.stored = await stored_in(self._store)
        finally:
            await self._store.close()
            await engine.dispose()
        self.billed = _column(self._folder, "SELECT request_id FROM ledger")
        self.noted = _column(self._folder, "SELECT object FROM audit_log")
        self.account = accounts[-1]
        assert all(account.is_balanced for account in accounts), accounts
        assert len({account.received for account in accounts}) == 1, accounts
        assert self.account.spooled == 0
