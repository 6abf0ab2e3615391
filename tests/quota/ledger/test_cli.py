"""``santral ledger``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from santral.db.engine import connect, sqlite_url
from santral.quota.ledger.cli import ledger_app
from santral.quota.ledger.write import write_ledger
from santral.tenants.cli import tenants_app
from santral.traces.record import AttemptRecord, TraceRecord
from santral.wire.usage import Usage

run = CliRunner()

RECORD = TraceRecord(
    trace_id="0" * 32,
    request_id="r1",
    tenant_id="acme",
    key_id="k1",
    route="support",
    requested_model="support",
    started_at_us=1_795_348_800_000_000,  # 2026-11-22 12:00 UTC
    duration_us=1,
    status=200,
    attempts=[
        AttemptRecord(
            number=1,
            deployment="main",
            provider="openai",
            model="gpt",
            start_us=0,
            duration_us=1,
            usage=Usage(input_uncached=10, output_text=5),
            cost_nanousd=1_234_567_890_123,
            price_version="2026-11",
        )
    ],
)


@pytest.fixture(autouse=True)
def _data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SANTRAL_CONFIG", raising=False)
    assert run.invoke(tenants_app, ["create", "acme"]).exit_code == 0


def test_the_ledger_is_shown_to_the_last_nanodollar(tmp_path: Path) -> None:
    async def write() -> None:
        engine = connect(sqlite_url(tmp_path / "santral-data"))
        await write_ledger(engine, [RECORD, RECORD])
        await engine.dispose()

    asyncio.run(write())
    everything = run.invoke(ledger_app, ["show", "-t", "acme"]).stdout.splitlines()
    assert everything[1].split("\t") == [
        "2026-11-22",
        "support",
        "gpt",
        "1",
        "15",
        "1234.567890123",
        "0",
        "0",
    ]
    other_day = run.invoke(ledger_app, ["show", "-t", "acme", "--day", "2026-11-21"])
    assert len(other_day.stdout.splitlines()) == 1
