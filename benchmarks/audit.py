"""What the audit log and sealing cost, on this machine, on SQLite and, where it is installed, PostgreSQL.

Run as ``python -m benchmarks.audit [--rows 20000]``. Prints rows per second of decisions (as the
collector adds them, and delivered a second time), of single acts, of a walk and of an export, and
microseconds for sealing and opening 4 kB.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import tempfile
import time
from pathlib import Path

from tests.db.postgres import program, running_postgres

from santral.app.decisions import note_decisions
from santral.audit.export import export, verify_file
from santral.audit.note import SYSTEM, note
from santral.audit.verify import verify
from santral.db.engine import connect, sqlite_url, writing
from santral.db.migrate import migrate
from santral.secrets.box import Box
from santral.secrets.data_key import TenantBox
from santral.traces.record import TraceRecord, VerdictRecord

#: Single acts, each in a transaction of its own.
ACTS = 500
#: Messages of 4 kB, sealed and opened.
MESSAGES = 50_000


def record(number: int) -> TraceRecord:
    """Return a request in which a check masked something."""
    verdict = VerdictRecord(
        check="pii", place="input", verdict="found", action="mask", reason="email", count=2
    )
    return TraceRecord(
        trace_id=f"{number:032x}",
        request_id=f"req_{number}",
        tenant_id=f"tenant_{number % 20}",
        key_id="key_1",
        route="support",
        requested_model="support",
        started_at_us=1_795_000_000_000_000 + number,
        duration_us=900_000,
        status=200,
        config_hash="0123456789abcdef",
        verdicts=[verdict],
    )


async def measure_log(name: str, url: str, rows: int, folder: Path) -> None:
    """Add rows, add them again, walk, export; print rows per second."""
    engine = connect(url)
    await migrate(engine)
    records = [record(number) for number in range(rows)]

    async def decisions() -> None:
        for start in range(0, rows, 2000):  # as many as the collector hands over at once
            await note_decisions(engine, records[start : start + 2000])

    async def acts() -> None:
        for number in range(ACTS):
            async with writing(engine) as conn:
                await note(conn, SYSTEM, "keys.revoke", f"key:{number}", tenant_id="*")

    async def walk() -> None:
        found = await verify(engine, [])
        assert found.broken is None
        assert found.rows == rows + ACTS

    async def write() -> None:
        await export(engine, folder / f"{name}.jsonl", "jsonl")

    async def read() -> None:
        assert verify_file(folder / f"{name}.jsonl")[0].broken is None

    parts = (
        ("decisions", decisions, rows),
        ("decisions again", decisions, rows),
        ("single acts", acts, ACTS),
        ("verify", walk, rows),
        ("export", write, rows),
        ("verify --file", read, rows),
    )
    for what, work, count in parts:
        wall, cpu = time.perf_counter(), time.process_time()
        await work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(
            f"{name:12}{what:16}{count / wall:10,.0f} rows/s {cpu / count * 1e6:8.0f} us of CPU a row"
        )
    await engine.dispose()


def measure_sealing() -> None:
    """Print microseconds of CPU for 4 kB."""
    box = TenantBox("acme", "dk_" + "00" * 12, Box(secrets.token_bytes(32)))
    data = secrets.token_bytes(4096)
    start = time.process_time()
    for _ in range(MESSAGES):
        sealed = box.seal("traces/0123456789abcdef0123456789abcdef/request", data)
    middle = time.process_time()
    for _ in range(MESSAGES):
        box.open("traces/0123456789abcdef0123456789abcdef/request", sealed)
    end = time.process_time()
    print(
        f"4 kB: seal {(middle - start) / MESSAGES * 1e6:.1f} us, open {(end - middle) / MESSAGES * 1e6:.1f} us"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    measure_sealing()
    with tempfile.TemporaryDirectory(prefix="santral-bench-") as name:
        folder = Path(name)
        asyncio.run(measure_log("sqlite", sqlite_url(folder), options.rows, folder))
        if program("initdb"):
            (folder / "pg").mkdir()
            folder.chmod(0o755)
            with running_postgres(folder / "pg") as url:
                asyncio.run(measure_log("postgresql", url, options.rows, folder))


if __name__ == "__main__":
    main()
