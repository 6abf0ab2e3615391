"""``santral datasets``, as it is typed: files, real documents, and a gateway that really answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from santral.__main__ import full_app
from santral.errors import SantralError

TOML = """
[data]
folder = "."
[collections.help]
dimensions = 16
"""
TABLE = """question,answer,topic
How many disposable cards can I make in a day?,Five of them.,cards
How many disposable cards can I make in a single day?,Five of them.,cards
Ayşe'nin siparişi 14 gün içinde iade edilir mi?,Evet; ayse@example.com,iade
"""


@pytest.fixture
def folder(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    (tmp_path / "santral.toml").write_text(TOML)
    (tmp_path / "faq.csv").write_text(TABLE)
    monkeypatch.setenv("SANTRAL_CONFIG", str(tmp_path / "santral.toml"))
    monkeypatch.chdir(tmp_path)
    run("tenants", "create", "default")
    run("datasets", "create", "faq")
    return tmp_path


def run(*line: str, status: int = 0) -> str:
    result: Result = CliRunner().invoke(full_app(), list(line))
    assert result.exit_code == status, (line, result.output, result.exception)
    return result.output


def refused(*line: str) -> str:
    result = CliRunner().invoke(full_app(), list(line))
    assert isinstance(result.exception, SantralError)
    return result.exception.message


def filled(*further: str) -> str:
    mapping = ("--map", "input=question", "--map", "expected=answer")
    return run("datasets", "import", "faq", "faq.csv", *mapping, "--rest", "metadata", *further)


def test_a_table_goes_in_is_committed_and_comes_out(folder: Path) -> None:
    assert "3 new" in filled()
    assert "3 as they were" in filled()
    assert "Made faq@1: 3 examples" in run("datasets", "commit", "faq", "-m", "first")
    assert "Nothing has changed since faq@1" in run("datasets", "commit", "faq")
    assert "Wrote 3 examples" in run("datasets", "export", "faq", "out.jsonl")
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert {line["metadata"]["topic"] for line in lines} == {"cards", "iade"}
    assert "first" in run("datasets", "show", "faq")
    assert json.loads(run("datasets", "card", "faq", "--json"))["examples"] == 3


def test_a_wrong_row_stops_an_import_or_is_counted(folder: Path) -> None:
    (folder / "bad.jsonl").write_text('{"input": "a"}\n{"expected": "b"}\n')
    assert "bad.jsonl, line 2" in refused("datasets", "import", "faq", "bad.jsonl")
    out = run("datasets", "import", "faq", "bad.jsonl", "--skip-bad")
    assert "1 new" in out
    assert "1 rows were left out" in out


def test_doubts_are_told_and_personal_data_is_masked(folder: Path) -> None:
    filled()
    (folder / "prompts").mkdir()
    (folder / "prompts" / "card.md").write_text("## assistant\nFive of them.\n")
    out = run("datasets", "check", "faq", "--prompts", "prompts", status=1)
    assert "1 nearly the same as another" in out
    assert "2 given away by a prompt" in out
    assert "EMAIL 1" in out
    assert "1 changed" in run("datasets", "check", "faq", "--mask")
    assert "0 with personal data" in run("datasets", "check", "faq", status=1)


def test_examples_are_split_augmented_labelled_and_compared(folder: Path) -> None:
    filled()
    run("datasets", "commit", "faq")
    run("datasets", "split", "faq", "train=0.5,test=0.5", "--stratify", "topic")
    run("datasets", "augment", "faq", "swap:names", "noise:diacritics")
    (folder / "rules.py").write_text(
        'def cards(example):\n    return "cards" if "card" in example.question else None\n'
    )
    assert "of 5 examples have a label" in run(
        "datasets", "label", "faq", "intent", "rules.py:cards"
    )
    found = json.loads(run("datasets", "diff", "faq", "1", "--json"))
    assert len(found["added"]) == 2
    assert len(found["changed"]) == 3
    parent = found["added"][0].partition("~")[0]
    assert "patch" in run("datasets", "history", "faq", parent)
    run("datasets", "remove", "faq", parent)
    assert parent in json.loads(run("datasets", "diff", "faq", "1", "--json"))["removed"]


def test_documents_become_examples_by_rules(folder: Path) -> None:
    page = "# Permits\n\nA permit is a paper that the office gives to whoever lives here.\n"
    (folder / "permits.md").write_text(page)
    run("ingest", "permits.md", "--collection", "help")
    run("datasets", "generate", "faq", "--collection", "help", "-n", "3")
    run("datasets", "export", "faq", "out.jsonl", "--version", "0")
    made = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert all(one["relevant"] and one["contexts"] and one["expected"] for one in made)
    assert "collections list" in refused("datasets", "generate", "faq", "--collection", "none")


def test_a_paraphrase_is_asked_of_a_real_route(folder: Path) -> None:
    """The embedded answerer quotes and never rewords: what it says is left out, and counted."""
    filled()
    out = run("datasets", "augment", "faq", "paraphrase", "--route", "extractive", "--max-usd", "1")
    assert "0 new" in out
    assert "left out" in out
    assert "none" in refused("datasets", "augment", "faq", "paraphrase", "--route", "none")
