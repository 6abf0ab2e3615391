"""``santral experiments`` where no control process runs: a file of settings, and what may be concluded."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.experiments.test_watch import records
from typer.testing import CliRunner

from santral.__main__ import full_app
from santral.db.engine import connect, sqlite_url
from santral.db.migrate import migrate
from santral.tenants.issue import ensure_first_keys
from santral.traces.question import Progress
from santral.traces.store import TraceStore

TOML = """
[data]
folder = "."
[control]
port = 1
[providers.stub]
kind = "local"
[deployments.mini]
provider = "stub"
model = "extract"
[routes.ask]
ladder = [{ deployments = { mini = 1 } }]
"""
TONE = """
[experiments.tone]
routes = ["ask"]
primary = ["error_rate"]
variants.plain = { weight = 1 }
variants.new = { weight = 1, settings = { temperature = 0 } }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "santral.toml").write_text(TOML)
    (tmp_path / "tone.toml").write_text(TONE)
    monkeypatch.setenv("SANTRAL_CONFIG", str(tmp_path / "santral.toml"))
    monkeypatch.chdir(tmp_path)

    async def prepare() -> None:
        engine = connect(sqlite_url(tmp_path))
        await migrate(engine)
        await ensure_first_keys(engine, secrets.token_bytes)
        await engine.dispose()

    asyncio.run(prepare())
    return tmp_path


def run(*line: str) -> str:
    result = CliRunner().invoke(full_app(), ["experiments", *line])
    assert result.exit_code == 0, (line, result.output, result.exception)
    return result.output


def test_an_experiment_goes_from_a_file_to_a_conclusion(folder: Path) -> None:
    assert "'tone' (default) is draft" in run("create", "tone", "--file", "tone.toml")
    assert "is running; 1 of its units take part" in run("start", "tone")
    start_us = int(time.time() * 1e6)

    async def seen() -> None:
        store = TraceStore(folder / "telemetry.duckdb")
        found = [replace(r, started_at_us=start_us + 1) for r in records(250, 0.0)]
        await store.insert(found, Progress(segment="s"))
        await store.close()

    asyncio.run(seen())
    told = run("status", "tone")
    assert told.startswith("250 units (user) took part: plain ")
    assert "The sample ratio is fine." in told
    decided = run("decide", "tone", "new", "--reason", "as good")
    assert "put what 'new' does into santral.toml, at the routes ask" in decided
    log = run("log", "tone")
    assert "decided" in log.splitlines()[1]
    assert "The sample ratio is fine." in log
    assert "tone\tdefault\tstopped\tuser\tplain, new\t1\t" in run("list")


def test_what_cannot_be_read_is_told_with_its_place(folder: Path) -> None:
    (folder / "bad.toml").write_text("[experiments.other]\n")
    result = CliRunner().invoke(full_app(), ["experiments", "create", "tone", "-f", "bad.toml"])
    assert "has no table [experiments.tone]; it has other" in str(result.exception)
    result = CliRunner().invoke(full_app(), ["experiments", "create", "tone", "--set", "unit"])
    assert "write SETTING=VALUE" in str(result.exception)
