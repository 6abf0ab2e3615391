"""What one collector moves: a spool of so many megabytes into the store and the ledger, on this machine.

Run as ``python -m benchmarks.collector [--megabytes 64]``. Prints records and spans per second, CPU,
and the most memory that the process held while it caught up.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from santral.db.engine import connect, sqlite_url
from santral.db.migrate import migrate
from santral.quota.ledger.write import write_ledger
from santral.traces.collector import Collector
from santral.traces.ids import new_span_id, new_trace_id
from santral.traces.record import AttemptRecord, Payload, SpanRecord, TraceRecord, VerdictRecord
from santral.traces.spool import Spool
from santral.traces.store import TraceStore
from santral.wire.usage import Usage

STAGES = ("quota", "input_guard", "compose", "retrieve", "generate", "validate_output")
PROMPT = '[{"role":"user","content":"Which documents does the application for a permit need?"}]'


def record(number: int, rng: Random) -> TraceRecord:
    """Return a record of about 2 kB, as a request with retrieval and one attempt leaves it."""
    usage = Usage(input_uncached=rng.randrange(1, 2000), output_text=rng.randrange(1, 400))
    return TraceRecord(
        trace_id=new_trace_id(rng),
        request_id=f"req_{number}",
        tenant_id=f"tenant_{number % 20}",
        key_id="key_1",
        route="support",
        requested_model="support",
        started_at_us=1_790_000_000_000_000 + number * 1000,
        duration_us=rng.randrange(20_000, 3_000_000),
        status=200,
        deployment="mini",
        provider="openai",
        model="gpt",
        usage=usage,
        cost_nanousd=rng.randrange(1000, 900_000),
        price_version="2026-11",
        spans=[
            SpanRecord(id=new_span_id(rng), name=name, start_us=at * 900, duration_us=800)
            for at, name in enumerate(STAGES)
        ],
        attempts=[
            AttemptRecord(
                number=1,
                deployment="mini",
                provider="openai",
                model="gpt",
                start_us=3600,
                duration_us=90_000,
                usage=usage,
                cost_nanousd=rng.randrange(1000, 900_000),
                price_version="2026-11",
            )
        ],
        verdicts=[VerdictRecord(check="pii", place="input", verdict="found", action="mask")],
        payload=Payload(
            request=PROMPT * 6, response="An identity card and a photograph [1]. " * 12
        ),
    )


def fill(folder: Path, megabytes: int) -> int:
    """Spool records until the bound holds; return how many."""
    rng = Random(1)
    spool = Spool(folder, "w0", megabytes << 20)
    while spool.append(record(spool.received, rng)):
        pass
    spool.close()
    return spool.spooled


async def measure(folder: Path, megabytes: int) -> None:
    """Fill a spool, catch up with it, print what that took."""
    engine = connect(sqlite_url(folder))
    await migrate(engine)
    count = await asyncio.to_thread(fill, folder / "spool", megabytes)

    async def bill(records: Sequence[TraceRecord]) -> None:
        await write_ledger(engine, records)

    store = TraceStore(folder / "telemetry.duckdb")
    await store.open()
    collector = Collector(folder / "spool", store, [bill])
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    done = await collector.collect_once()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    most_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert done.stored == count, done
    account = await collector.account()
    assert account.is_balanced
    print(f"{megabytes} MB of spool, {count} records, {count * len(STAGES)} spans")
    print(f"{count / wall:,.0f} records/s, {count * len(STAGES) / wall:,.0f} spans/s")
    print(f"{cpu / count * 1e6:.0f} us of CPU a record, {cpu / wall:.2f} cores")
    print(f"most memory {most_kb / 1024:,.0f} MB, {before_kb / 1024:,.0f} MB before")
    await store.close()
    await engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="santral-bench-") as folder:
        asyncio.run(measure(Path(folder), options.megabytes))


if __name__ == "__main__":
    main()
