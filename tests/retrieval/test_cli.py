"""``santral ingest`` and ``santral search`` as a person types them."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
import typer
from tests.retrieval.conftest import NOW
from typer.testing import CliRunner

from santral.db.engine import connect, sqlite_url
from santral.errors import BadRequest, NotFound
from santral.retrieval.cli import ingest, search
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant

app = typer.Typer()
app.command("ingest")(ingest)
app.command("search")(search)


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
    return tmp_path


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0
    return " ".join(result.output.split())


def test_an_unknown_tenant_is_an_error_that_says_what_to_do(folder: Path) -> None:
    with pytest.raises(NotFound, match="santral tenants create"):
        run("ingest", "docs", "--tenant", "nobody")


def test_a_bad_filter_says_how_to_write_one(folder: Path) -> None:
    with pytest.raises(BadRequest, match="Write FIELD=VALUE"):
        run("search", "leave", "--filter", "source:docs")


def test_files_are_ingested_and_found_with_every_score(folder: Path) -> None:
    run_create_tenant(folder)
    output = run("ingest", "docs", "--collection", "handbook")
    assert "default/handbook: 1 files read, 0 unchanged, 0 removed, 1 quarantined" in output
    assert "quarantined docs/empty.md: it is empty" in output
    assert "The index is published: 1 chunks of 1 documents" in output
    assert "was up to date" in run("ingest", "docs", "--collection", "handbook")
    found = run("search", "annual leave", "--collection", "handbook")
    assert "Annual leave is [bold]14[/bold] days." in found
    assert "1.00" in found
    assert "Nothing in" in run("search", "xyzzy", "--collection", "handbook", "-f", "kind=pdf")


def test_names_and_passages_cannot_steer_the_terminal(folder: Path) -> None:
    run_create_tenant(folder)
    (folder / "docs" / "evil\x1b[2J.md").write_text("")
    (folder / "docs" / "steer.md").write_text("A komut \x9b31m\u202egnp.exe here.\n")
    listed = CliRunner().invoke(app, ["ingest", "docs"], catch_exceptions=False).output
    found = CliRunner().invoke(app, ["search", "komut"], catch_exceptions=False).output
    assert "quarantined docs/evil<1b>[2J.md: it is empty\n" in listed
    assert "komut <9b>31m<202e>gnp.exe" in " ".join(found.replace("│", " ").split())
    assert not {"\x1b", "\x9b", "\u202e"} & set(listed + found)


def test_lines_of_a_report_are_whole_in_a_pipe(folder: Path) -> None:
    run_create_tenant(folder)
    lines = CliRunner().invoke(app, ["ingest", "docs"]).stdout.splitlines()
    assert any(line.endswith("ignored (neither text nor HTML nor PDF).") for line in lines)


def test_what_is_found_is_whole_in_a_pipe(folder: Path) -> None:
    run_create_tenant(folder)
    run("ingest", "docs")
    header, row = CliRunner().invoke(app, ["search", "leave"]).stdout.splitlines()
    assert header.split("\t") == ["score", "bm25", "4-grams", "dense", "source", "text"]
    assert row.split("\t")[4:] == [
        "docs/leave.md > Leave",
        "Annual leave is [bold]14[/bold] days.",
    ]


def test_an_ingest_that_could_read_nothing_fails(folder: Path) -> None:
    run_create_tenant(folder)
    assert CliRunner().invoke(app, ["ingest", "docs/empty.md"]).exit_code == 1


def run_create_tenant(folder: Path) -> None:
    async def create() -> None:
        engine = connect(sqlite_url(folder / "santral-data"))
        await create_tenant(engine, "default", None, NOW, by=local_operator())
        await engine.dispose()

    asyncio.run(create())
