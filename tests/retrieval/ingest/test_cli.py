"""``santral ingest`` and ``santral documents`` as a person types them."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from tests.retrieval.ingest.place import NOW
from typer.testing import CliRunner

from santral.__main__ import full_app
from santral.db.engine import connect, sqlite_url
from santral.errors import NotFound, StoreError
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant


@pytest.fixture
def folder(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "santral-data").mkdir()
    shutil.copy(sqlite_template, tmp_path / "santral-data" / "santral.db")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "leave.md").write_text(
        "# Leave\n\nAnnual leave is [bold]14[/bold] days.\n"
    )
    (tmp_path / "docs" / "empty.md").write_text("")
    monkeypatch.chdir(tmp_path)

    async def create() -> None:
        engine = connect(sqlite_url(tmp_path / "santral-data"))
        await create_tenant(engine, "default", None, NOW, by=local_operator())
        await engine.dispose()

    asyncio.run(create())
    return tmp_path


def run(*words: str) -> str:
    result = CliRunner().invoke(full_app(), list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_an_unknown_tenant_is_an_error_that_says_what_to_do(folder: Path) -> None:
    with pytest.raises(NotFound, match="no tenant 'nobody'"):
        run("ingest", "docs", "--tenant", "nobody")


def test_a_path_that_is_not_there_fails_the_job_with_its_name(folder: Path) -> None:
    with pytest.raises(StoreError, match=r"There is no file or folder .*/typo"):
        run("ingest", "typo")


def test_files_are_ingested_listed_shown_deleted_and_tried_again(folder: Path) -> None:
    output = run("ingest", "docs", "--collection", "handbook")
    assert (
        "default/handbook: 1 files read, 0 unchanged, 0 removed, 0 moved, 1 quarantined" in output
    )
    assert "quarantined docs/empty.md: it is empty" in output
    assert "The index is published: 1 chunks of 1 documents" in output
    assert "was up to date" in run("ingest", "docs", "--collection", "handbook", "--now")
    listed = CliRunner().invoke(full_app(), ["documents", "list", "handbook"]).stdout.splitlines()
    assert [line.split("\t")[1:4] for line in listed[1:]] == [
        ["docs/empty.md", "", "quarantined"],
        ["docs/leave.md", "markdown", "indexed"],
    ]
    bad, good = (line.split("\t")[0] for line in listed[1:])
    assert "Annual leave is [bold]14[/bold] days." in run("documents", "show", "handbook", good)
    (folder / "docs" / "empty.md").write_text("# Full\n\nNow it says something.\n")
    assert "1 files read" in run("documents", "retry", "handbook")
    assert "1 chunks of 1 documents" in run("documents", "delete", "handbook", good)
    assert "1 files read" in run("ingest", "docs", "--collection", "handbook")
    assert "2 chunks of 2 documents" in run("collections", "purge", "handbook")
    assert "was up to date" in run("collections", "update", "handbook")
    assert bad != good


def test_names_cannot_steer_the_terminal(folder: Path) -> None:
    (folder / "docs" / "evil\x1b[2J.md").write_text("")
    listed = CliRunner().invoke(full_app(), ["ingest", "docs"], catch_exceptions=False).output
    assert "quarantined docs/evil<1b>[2J.md: it is empty\n" in listed
    assert "\x1b" not in listed


def test_an_ingest_that_could_read_nothing_fails(folder: Path) -> None:
    assert CliRunner().invoke(full_app(), ["ingest", "docs/empty.md"]).exit_code == 1
