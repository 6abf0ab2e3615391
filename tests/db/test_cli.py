"""``santral db``: what it prints and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from santral.db.cli import db_app
from santral.errors import StoreError

run = CliRunner()


@pytest.fixture(autouse=True)
def _data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SANTRAL_CONFIG", raising=False)


def test_status_fails_until_migrate_has_run(tmp_path: Path) -> None:
    before = run.invoke(db_app, ["status"])
    assert before.exit_code == 1
    assert "0001_first_tables" in before.output
    assert run.invoke(db_app, ["migrate"]).output.startswith("Applied 0001_first_tables")
    assert run.invoke(db_app, ["migrate"]).output.startswith("Nothing to do")
    after = run.invoke(db_app, ["status"])
    assert (after.exit_code, after.output) == (0, "Current, at change 0.\n")
    assert (tmp_path / "santral-data" / "santral.db").is_file()


def test_a_database_elsewhere_is_named_by_reference(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_DATABASE", database)
    monkeypatch.setenv("SANTRAL_DATABASE__URL", "env:MY_DATABASE")
    assert run.invoke(db_app, ["status"]).output == "Current, at change 0.\n"


def test_a_broken_database_raises_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "santral-data").mkdir()
    (tmp_path / "santral-data" / "santral.db").write_bytes(b"Dear diary, " * 200)
    result = run.invoke(db_app, ["migrate"])
    assert isinstance(result.exception, StoreError)
