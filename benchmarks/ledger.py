"""What the ledger takes a second, and how fast its sums are over many rows.

Run as ``python -m benchmarks.ledger [--rows 40000] [--stored 10000000] [--sqlite]``. PostgreSQL is started
in a temporary folder with its safety on: a commit waits for the disk. Prints rows per second of
settlements as the collector hands them over, and delivered a second time; then milliseconds of the sums
that limits, balances, invoices and forecasts ask for.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path

from sqlalchemy import text
from tests.db import postgres

from santral.db.engine import Engine, connect, reading, sqlite_url, writing
from santral.db.migrate import migrate
from santral.quota.budgets import store as budgets
from santral.quota.ledger import store
from santral.quota.ledger.write import write_ledger
from santral.quota.store import used_since
from santral.tenants.tenant import TenantId
from santral.traces.record import AttemptRecord, TraceRecord
from santral.wire.usage import Usage

#: Records that the collector hands over at once.
BATCH = 2000
#: The month that stored rows are spread over: November 2026, UTC.
SINCE_S, SECONDS = 1_793_491_200, 30 * 86_400
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)
SAFE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "autovacuum": "off",
    "max_wal_size": "8GB",
    "maintenance_work_mem": "256MB",
}

_FILL = """
    INSERT INTO ledger (request_id, attempt, kind, tenant_id, key_id, route, deployment, provider,
        model, day, occurred_at, input_uncached, cache_read, cache_write, output_text, reasoning,
        is_estimated, cost_nanousd, price_version, user_id, prompt, tags, occurred_s)
    SELECT 'old_' || n, 1, 'settle', 'tenant_' || n % 50, 'key_' || n % 500, 'route_' || n % 7,
        'main', 'openai', 'model_' || n % 9, (to_timestamp(s) AT TIME ZONE 'UTC')::date,
        to_timestamp(s), 900, 100, 0, 250, 0, false, 1500000, '2026-11', 'user_' || n % 1000,
        'greet@3', '{"team": "a"}', s
    FROM (SELECT n, :since + CAST(n AS BIGINT) * :seconds / :rows AS s
          FROM generate_series(1, :rows) AS n) AS made
"""


def record(number: int) -> TraceRecord:
    """Return a request with one billed attempt."""
    attempt = AttemptRecord(
        number=1,
        deployment="main",
        provider="openai",
        model="gpt-5",
        start_us=0,
        duration_us=900_000,
        usage=Usage(input_uncached=900, cache_read=100, output_text=250),
        cost_nanousd=1_500_000,
        price_version="2026-11",
    )
    return TraceRecord(
        trace_id=f"{number:032x}",
        request_id=f"req_{number:024x}",
        tenant_id=f"tenant_{number % 20}",
        key_id=f"key_{number % 200}",
        route="support",
        requested_model="support",
        started_at_us=(SINCE_S + SECONDS) * 1_000_000 - number,
        duration_us=900_000,
        status=200,
        user=f"user_{number % 1000}",
        prompt="greet",
        prompt_version="3",
        tags={"team": "a"},
        attempts=[attempt],
    )


async def settle(engine: Engine, rows: int) -> None:
    """Write rows, and the same again; print rows per second."""
    records = [record(number) for number in range(rows)]
    for what in ("settlements", "delivered again"):
        await write(engine, records, what)


async def write(engine: Engine, records: list[TraceRecord], what: str) -> None:
    """Write records as the collector hands them over; print rows a second, and CPU of this process."""
    began, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(records), BATCH):
        await write_ledger(engine, records[start : start + BATCH])
    rate = len(records) / (time.perf_counter() - began)
    us = (time.process_time() - cpu) / len(records) * 1e6
    print(f"  {what:<34} {rate:>10,.0f} rows/s   {us:.0f} us of CPU a row here", flush=True)


async def fill(engine: Engine, rows: int) -> None:
    """Put rows of a month into the table, its indexes made anew afterwards."""
    async with writing(engine) as conn:
        found = await conn.execute(
            text("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'ledger'")
        )
        indexes = [row for row in found if not row.indexname.startswith("pk_")]
        for index in indexes:
            await conn.execute(text(f"DROP INDEX {index.indexname}"))
        values = {"since": SINCE_S, "seconds": SECONDS, "rows": rows}
        await conn.execute(text(_FILL), values)
        for index in indexes:
            await conn.execute(text(index.indexdef))
    async with engine.connect() as plain:
        conn = await plain.execution_options(isolation_level="AUTOCOMMIT")
        await conn.execute(text("VACUUM ANALYZE ledger"))


async def sums(engine: Engine) -> None:
    """Print how long each sum takes: the best of three."""
    now_s = SINCE_S + SECONDS
    tenant = TenantId("tenant_7")
    asked: dict[str, Callable[..., Awaitable[object]]] = {
        "balance of a tenant": lambda c: store.balance(c, tenant),
        "balance of a tenant's day": lambda c: store.balance(c, tenant, LAST),
        "seeds: tenants, an hour": lambda c: used_since(c, "tenant", now_s - 3600),
        "seeds: tenants, a day": lambda c: used_since(c, "tenant", now_s - 86_400),
        "seeds: tenants, a month": lambda c: used_since(c, "tenant", SINCE_S),
        "seeds: keys, a month": lambda c: used_since(c, "key", SINCE_S),
        "hours of the last day": lambda c: budgets.spent_by_hour(c, "tenant", now_s, 24),
        "invoice of a tenant's month": lambda c: store.used_by(c, [tenant], "model", FIRST, LAST),
    }
    for name, ask in asked.items():
        best = float("inf")
        for _ in range(3):
            async with reading(engine) as conn:
                began = time.perf_counter()
                await ask(conn)
                best = min(best, time.perf_counter() - began)
        print(f"  {name:<34} {best * 1000:>10,.1f} ms", flush=True)


async def measure(name: str, url: str, rows: int, stored: int) -> None:
    """Print every figure of one database."""
    engine = connect(url)
    await migrate(engine)
    print(name, flush=True)
    await settle(engine, rows)
    if stored:
        began = time.perf_counter()
        await fill(engine, stored)
        print(f"  {stored:,} rows stored in {time.perf_counter() - began:.0f} s", flush=True)
        await settle_beside(engine, rows)
        await sums(engine)
    await engine.dispose()


async def settle_beside(engine: Engine, rows: int) -> None:
    """Write further rows beside those that are stored."""
    records = [record(number) for number in range(rows, 2 * rows)]
    began = time.perf_counter()
    for start in range(0, rows, BATCH):
        await write_ledger(engine, records[start : start + BATCH])
    print(
        f"  {'settlements beside them':<34} {rows / (time.perf_counter() - began):>10,.0f} rows/s"
    )


def main() -> None:
    """Measure PostgreSQL, and SQLite where it is asked for."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=40_000)
    options.add_argument("--stored", type=int, default=0)
    options.add_argument("--sqlite", action="store_true")
    given = options.parse_args()
    postgres.SETTINGS.update(SAFE)
    with tempfile.TemporaryDirectory() as folder:
        if given.sqlite:
            asyncio.run(measure("SQLite", sqlite_url(Path(folder)), given.rows, 0))
    with (
        tempfile.TemporaryDirectory(prefix="santral-pg-") as folder,
        postgres.running_postgres(Path(folder)) as url,
    ):
        asyncio.run(measure("PostgreSQL", url, given.rows, given.stored))


if __name__ == "__main__":
    main()
