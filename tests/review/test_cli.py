"""The commands, one after the other, as somebody types them."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.db.databases import sqlite_template
from tests.review.test_looking import record
from typer.testing import CliRunner

from santral.__main__ import full_app
from santral.evals.answer import Answer
from santral.evals.example import Example
from santral.evals.run import Run, RunHead, Sample, encode_run
from santral.traces.question import Progress
from santral.traces.record import TraceRecord
from santral.traces.store import TraceStore

__all__ = ["sqlite_template"]


@pytest.fixture
def folder(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SANTRAL_CONFIG", str(tmp_path / "santral.toml"))
    monkeypatch.chdir(tmp_path)
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    (tmp_path / "santral.toml").write_text('[data]\nfolder = "."\n')
    return tmp_path


def run(*line: str, fails: bool = False) -> str:
    result = CliRunner().invoke(full_app(), [*line, "--tenant", "acme"])
    assert (result.exit_code != 0) is fails, (line, result.output, result.exception)
    return str(result.exception.message if fails else result.output)  # type: ignore[union-attr]


def keep(folder: Path, *records: TraceRecord) -> None:
    async def insert() -> None:
        store = TraceStore(folder / "telemetry.duckdb")
        await store.insert(records, Progress(segment=""))
        await store.close()

    asyncio.run(insert())


def test_from_a_trace_to_an_example(folder: Path) -> None:
    CliRunner().invoke(full_app(), ["tenants", "create", "acme"])
    (folder / "queue.json").write_text(
        json.dumps(
            {
                "labels": [
                    {"name": "correct", "help": "Is it so?"},
                    {"name": "correction", "kind": "text", "is_required": False},
                ],
                "rules": [{"kind": "random"}],
            }
        )
    )
    run("review", "queues", "create", "daily", "--from", "queue.json")
    assert "Invalid enum value" in run(
        "review", "queues", "update", "daily", "--set", "access=some", fails=True
    )
    now_us = int(datetime.now(UTC).timestamp() * 1e6) + 10**6
    keep(folder, record(1, started_at_us=now_us), record(2, started_at_us=now_us))
    assert "taken 2" in run("review", "queues", "look", "daily")
    shown = run("review", "next", "daily")
    assert "[user]\nWhat?" in shown
    assert "Is it so?" in shown
    item = shown.partition(",")[0]
    assert "missing" in run("review", "submit", "daily", item, fails=True)
    run("review", "submit", "daily", item, "correct=false", "correction=This.")
    other = run("review", "next", "daily").partition(",")[0]
    run("review", "skip", "daily", other, "not mine")
    assert "Nothing waits" in run("review", "next", "daily")
    listed = run("review", "items", "daily", "--state", "done")
    assert item in listed
    assert other not in listed
    report = run("review", "report", "daily")
    assert "2 requests were looked at, 2 taken" in report
    assert "Rates are of all traffic" in report
    assert "Fewer than 6" in run("review", "agreement", "daily")
    assert json.loads(run("review", "report", "daily", "--json"))["states"] == {
        "done": 1,
        "open": 1,
    }
    run("review", "export", "daily", "--out", "examples.jsonl")
    (line,) = (folder / "examples.jsonl").read_text().splitlines()
    assert json.loads(line)["expected"] == "This."
    assert "is gold" in run("review", "gold", "daily", item)
    assert "holds 2 items" in run("review", "queues", "delete", "daily", fails=True)
    run("review", "queues", "delete", "daily", "--force")
    assert "daily" not in run("review", "queues", "list")


def test_two_runs_are_compared(folder: Path) -> None:
    CliRunner().invoke(full_app(), ["tenants", "create", "acme"])
    run(
        "review", "queues", "create", "pairs", "--set", "mode=pairwise",
        "--set", 'labels=[{"name": "better", "kind": "preference"}]',
    )  # fmt: skip
    for name, texts in (("base", ("yes", "same")), ("head", ("no", "same"))):
        made = Run(
            head=RunHead(id=name, suite="s", target=name, route="docs"),
            samples=[
                Sample(example_id=str(n), example_hash="", repeat=0, answer=Answer(text=text))
                for n, text in enumerate(texts)
            ],
            examples={str(n): Example(id=str(n), input="Is it?") for n in range(2)},
        )
        (folder / f"{name}.json").write_bytes(encode_run(made))
    assert "1 of 1 pairs" in run("review", "compare", "pairs", "base.json", "head.json")
    assert "0 of 1 pairs" in run("review", "compare", "pairs", "base.json", "head.json")
    shown = run("review", "next", "pairs")
    assert "[first]" in shown
    assert "head" not in shown
    assert "base" not in shown
