"""``santral audit``: what it prints and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.audit.test_verify import do, fill
from typer.testing import CliRunner, Result

from santral.audit.cli import audit_commands, moment
from santral.audit.note import Actor
from santral.audit.witness import Witness
from santral.db.engine import Engine, connect, sqlite_url
from santral.db.migrate import migrate
from santral.errors import BadRequest, NotFound
from santral.tenants.table import print_table


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SANTRAL_CONFIG", raising=False)
    data = tmp_path / "santral-data"
    data.mkdir()
    with_engine(data, migrate, fill)
    return data


def with_engine(data: Path, *works: object) -> None:
    async def run() -> None:
        engine = connect(sqlite_url(data))
        for work in works:
            await work(engine)  # pyright: ignore[reportGeneralTypeIssues, reportCallIssue]
        await engine.dispose()

    asyncio.run(run())


def call(*arguments: str) -> Result:
    app = audit_commands(print_table, lambda: Actor("cli:ada", "cli"))
    return CliRunner().invoke(app, arguments)


def rows(result: Result) -> Sequence[list[str]]:
    return [line.split("\t") for line in result.stdout.splitlines()][1:]


def test_a_log_that_holds_ends_with_status_0(folder: Path) -> None:
    result = call("verify")
    assert result.exit_code == 0
    assert "The chain holds: 30 rows, 1 to 30." in result.stdout
    assert "nothing shows whether rows were cut off its end" in result.stdout
    with_engine(folder, Witness(folder).look)
    assert "cut off its end" not in call("verify").stdout


def test_a_broken_log_ends_with_status_1_and_the_first_bad_number(folder: Path) -> None:
    async def attack(engine: Engine) -> None:
        await do(engine, "UPDATE audit_log SET actor = 'user:usr_eve' WHERE number = 12")

    with_engine(folder, attack)
    result = call("verify")
    assert result.exit_code == 1
    assert "broken at row 12: row 12 was changed" in result.stderr


def test_a_cut_tail_ends_with_status_1(folder: Path) -> None:
    async def attack(engine: Engine) -> None:
        await do(engine, "DELETE FROM audit_log WHERE number > 20")

    with_engine(folder, Witness(folder).look, attack)
    result = call("verify")
    assert result.exit_code == 1
    assert "broken at row 21: the log ends at row 20, and row 30 was seen" in result.stderr


def test_rows_are_listed_and_shown(folder: Path) -> None:
    assert [row[0] for row in rows(call("list", "--limit", "2"))] == ["30", "29"]
    assert [row[0] for row in rows(call("list", "--before", "3"))] == ["2", "1"]
    assert len(rows(call("list", "--action", "keys."))) == 30
    assert rows(call("list", "--action", "keys")) == []
    assert rows(call("list", "--tenant", "other")) == []
    assert len(rows(call("list", "--tenant", "acme", "--actor", "user:usr_ada"))) == 30
    assert [row[4] for row in rows(call("list", "--object", "key:key_3"))] == ["key:key_3"]
    assert len(rows(call("list", "--since", "2026-11-22T12:00:20Z"))) == 10
    assert len(rows(call("list", "--until", "2026-11-22T12:00:20+00:00"))) == 20
    assert '"state": "revoked"' in call("show", "7").stdout
    assert isinstance(call("show", "99").exception, NotFound)


def test_an_export_is_noted_and_verifies(folder: Path, tmp_path: Path) -> None:
    result = call("export", "log.csv")
    assert result.exit_code == 0
    assert "Wrote 30 rows, 1 to 30, to log.csv." in result.stdout
    assert rows(call("list", "--limit", "1"))[0][2:5] == ["cli:ada", "audit.export", "audit:1-30"]
    assert "30 rows" in call("verify", "--file", "log.csv").stdout
    assert call("verify", "--against", "log.csv.manifest.json").exit_code == 0

    async def attack(engine: Engine) -> None:
        await do(engine, "DELETE FROM audit_log WHERE number > 20")

    with_engine(folder, attack)
    (folder / "audit" / "seen.jsonl").unlink()
    assert call("verify").exit_code == 0
    assert call("verify", "--against", "log.csv.manifest.json").exit_code == 1
    (tmp_path / "log.csv").write_bytes((tmp_path / "log.csv").read_bytes().replace(b"ada", b"eve"))
    assert call("verify", "--file", "log.csv").exit_code == 1


def test_bad_options_are_named(folder: Path) -> None:
    assert isinstance(call("export", "log.txt").exception, BadRequest)
    with pytest.raises(BadRequest, match="--since"):
        moment("yesterday", "--since")
