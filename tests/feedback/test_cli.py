"""``santral feedback show`` over the file of a stopped installation."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.traces.conftest import build_record
from typer.testing import CliRunner

from santral.feedback.cli import feedback_app
from santral.traces.question import Progress
from santral.traces.scores.score import ScoreRecord
from santral.traces.store import TraceStore, epoch_us


async def fill(path: Path) -> None:
    store = TraceStore(path)
    now = epoch_us()
    records = [
        build_record(
            n, tenant_id="acme", trace_id=f"{n:032x}", route="support", prompt="p",
            prompt_version=str(n % 2), started_at_us=now - 60_000_000,
        )
        for n in range(10)
    ]  # fmt: skip
    await store.insert(records, Progress(segment=""))
    score = ScoreRecord(
        id="1" * 32, tenant_id="acme", trace_id=f"{1:032x}", name="thumbs", source="user",
        at_us=now, value=1.0,
    )  # fmt: skip
    await store.insert_scores([score])
    await store.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "santral.toml").write_text('[data]\nfolder = "."\n[control]\nport = 1\n')
    monkeypatch.setenv("SANTRAL_CONFIG", str(tmp_path / "santral.toml"))
    asyncio.run(fill(tmp_path / "telemetry.duckdb"))
    return tmp_path


def test_rates_are_printed_with_those_that_nobody_scored(folder: Path) -> None:
    result = CliRunner().invoke(feedback_app, ["show", "--since", "1h"])
    assert result.exit_code == 0, result.output
    assert "100% (21% to 100%)" in result.output
    assert "20.0%" in result.output
    assert "p@0: 5 answers, none scored" in result.output


def test_nothing_scored_says_of_how_many(folder: Path) -> None:
    result = CliRunner().invoke(feedback_app, ["show", "--since", "1h", "--name", "rating"])
    assert "None of 10 answers since 1h was scored." in result.output


def test_an_unknown_part_is_refused(folder: Path) -> None:
    result = CliRunner().invoke(feedback_app, ["show", "--by", "model"])
    assert result.exit_code == 2
    assert "route, prompt or variant" in result.output
