"""``santral ledger``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from tests.providers.test_archive import price_file
from typer.testing import CliRunner, Result

from santral.db.engine import connect, sqlite_url
from santral.errors import BadRequest, NotFound, StoreError
from santral.providers.catalogue.archive import PriceArchive, keep_prices
from santral.providers.catalogue.catalogue import load_catalogue
from santral.quota.ledger.cli import ledger_app
from santral.quota.ledger.write import write_ledger
from santral.tenants.cli import tenants_app
from santral.traces.question import Progress
from santral.traces.record import AttemptRecord, TraceRecord
from santral.traces.store import TraceStore
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
def _data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_control_process: None) -> None:
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


#: By the price file of these tests: 10 tokens at 2 dollars a million and 5 at 1.
COST = 25_000


def priced(request: str, cost: int | None = COST, version: str = "may") -> TraceRecord:
    attempt = msgspec.structs.replace(
        RECORD.attempts[0], model="own", cost_nanousd=cost, price_version=version
    )
    return msgspec.structs.replace(
        RECORD, trace_id=request.rjust(32, "0"), request_id=request, attempts=[attempt]
    )


def kept(folder: Path, in_ledger: list[TraceRecord], traced: list[TraceRecord]) -> None:
    """Put records into the ledger and the traces of a stopped installation."""
    data = folder / "santral-data"

    async def write() -> None:
        engine = connect(sqlite_url(data))
        await write_ledger(engine, in_ledger)
        await engine.dispose()
        store = TraceStore(data / "telemetry.duckdb")
        await store.insert(traced, Progress(segment=""))
        await store.close()

    asyncio.run(write())
    keep_prices(data, price_file(folder / "own.toml", "may", "2"))


def ledger(*arguments: str) -> Result:
    return run.invoke(ledger_app, arguments)


WINDOW = ("--from", "2026-11-22", "--to", "2026-11-23")


def test_what_agrees_is_proved_and_what_does_not_is_an_exit_status(tmp_path: Path) -> None:
    kept(tmp_path, [priced("r1")], [priced("r1")])
    done = ledger("verify", *WINDOW, "--url", "")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == "Everything agrees."
    kept(tmp_path, [priced("r2", COST + 1)], [])
    done = ledger("verify", *WINDOW)
    assert done.exit_code == 1
    assert "tenant acme  request r2  attempt 1" in done.stdout
    assert "by may 25000 nano-USD" in done.stdout


def test_prices_of_which_no_copy_is_kept_are_asked_for(tmp_path: Path) -> None:
    kept(tmp_path, [priced("r1", version="lost")], [priced("r1", version="lost")])
    done = ledger("verify", *WINDOW)
    assert (done.exit_code, "priced by 'lost'" in done.stdout) == (1, True)
    found = str(price_file(tmp_path / "found.toml", "lost", "2"))
    assert ledger("verify", *WINDOW, "--price-file", found).exit_code == 0


def test_a_replay_is_printed_by_tenant_and_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    kept(tmp_path, [priced("r1"), priced("r2", None)], [])
    june = str(price_file(tmp_path / "june.toml", "june", "4"))
    order = ("reprice", "--price-version", "june", "--price-file", june, *WINDOW)
    dry = ledger(*order, "--dry-run")
    line = ["acme", "2", "2", "1", "0", "0.000025000", "0.000090000", "0.000065000"]
    assert dry.stdout.splitlines()[1].split("\t") == line
    assert "0.000025000" in ledger("show", "-t", "acme").stdout
    assert ledger(*order).stdout == dry.stdout
    assert "0.000090000" in ledger("show", "-t", "acme").stdout
    again = ledger(*order).stdout.splitlines()[1].split("\t")
    assert again[2:] == ["0", "0", "0", "0.000090000", "0.000090000", "0.000000000"]
    Path(june).unlink()  # a copy is kept: what it corrected can still be proved
    assert "june" in PriceArchive(tmp_path / "santral-data").versions()
    price_file(Path(june), "june", "4")
    wrong = ledger("reprice", "--price-version", "jume", *WINDOW, "--price-file", june)
    assert "june" in str(wrong.exception)


def test_a_providers_export_is_compared(tmp_path: Path) -> None:
    kept(tmp_path, [priced("r1")], [])
    export = tmp_path / "export.csv"
    export.write_text("date,model,input,output,cost,team\n2026-11-22,own,10,5,0.000025,x\n")
    done = ledger("reconcile", "openai", str(export))
    assert done.exit_code == 0, done.output
    assert "3 numbers compared, 0 differ" in done.stdout
    assert "Not read, since nobody here knows them: team" in done.stderr
    export.write_text("date,model,input\n2026-11-22,own,20\n")
    done = ledger("reconcile", "openai", str(export))
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1].split("\t") == [
        "2026-11-22", "own", "input", "10", "20", "-10", "-50.000 %", "differs", "0",
    ]  # fmt: skip


def test_a_month_is_exported_and_invoiced(tmp_path: Path) -> None:
    kept(tmp_path, [priced("r1")], [])
    out = str(tmp_path / "out")
    done = ledger("export", "--month", "2026-11", "--out", out)
    assert [Path(line).name for line in done.stdout.splitlines()] == [
        "ledger-2026-11-acme.csv",
        "ledger-2026-11-acme-by-tag.csv",
        "ledger-2026-11-acme-by-prompt.csv",
        "ledger-2026-11-acme-by-model.csv",
    ]
    text = ledger("invoice", "--month", "2026-11", "-t", "acme").stdout
    assert "own" in text
    assert "0.000025000" in text
    made = msgspec.json.decode(
        ledger("invoice", "--month", "2026-11", "-t", "acme", "--format", "json").stdout
    )
    assert made["total"]["cost_nanousd"] == COST
    assert isinstance(ledger("invoice", "--month", "11").exception, BadRequest)
    assert isinstance(
        ledger("export", "--month", "2026-11", "--out", out, "--format", "pdf").exception,
        BadRequest,
    )


def test_a_window_or_a_tenant_that_cannot_be_meant_is_refused() -> None:
    assert isinstance(ledger("verify", "--from", "1d", "--to", "2d").exception, StoreError)
    reprice = ("reprice", "--price-version", load_catalogue().prices.version)
    assert isinstance(ledger(*reprice, "--from", "1d", "--to", "2d").exception, BadRequest)
    assert isinstance(ledger(*reprice, "--from", "1d", "-t", "acne").exception, NotFound)
