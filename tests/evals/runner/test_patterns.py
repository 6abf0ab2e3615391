"""Our own prompts are gated by our own runner: every pattern's recorded answers hold what they must."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from santral.__main__ import full_app

PATTERNS = Path(str(resources.files("santral.prompts") / "patterns"))
SUITES = sorted(PATTERNS.glob("*/suite.toml"))


def measured(suite: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """Run a suite as a person would, with nothing beside its files; return its measures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SANTRAL_CONFIG", raising=False)
    done = CliRunner().invoke(
        full_app(), ["eval", "run", str(suite), "--no-store", "--out", "out", "--json"]
    )
    assert done.exit_code == 0, done.output
    (run,) = json.loads(done.stdout)["runs"]
    assert run["failures"] == {}
    measures: list[dict[str, Any]] = run["measures"]
    return measures


def test_every_pattern_has_a_suite() -> None:
    assert len(SUITES) == len([one for one in PATTERNS.iterdir() if (one / "1.0.0.md").exists()])
    assert len(SUITES) >= 14


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.parent.name)
def test_recorded_answers_hold_what_they_must(
    suite: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for measure in measured(suite, monkeypatch, tmp_path):
        assert measure["errors"] == {}, measure
        assert measure["value"] == 1, measure


def test_an_answer_that_lost_something_is_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "rag-answer"
    shutil.copytree(PATTERNS / "rag-answer", place)
    cases = place / "cases.jsonl"
    cases.write_text(cases.read_text().replace("I don't know: the", "The"))

    values = [one["value"] for one in measured(place / "suite.toml", monkeypatch, tmp_path)]

    assert min(values) < 1
