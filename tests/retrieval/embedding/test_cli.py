"""``santral models``: what it prints, what it refuses, and what it notes."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.retrieval.embedding import tiny_model
from tests.retrieval.embedding.hub import Hub
from typer.testing import CliRunner

from santral.audit import store as audit
from santral.db.engine import connect, reading, sqlite_url
from santral.errors import Conflict, NotFound
from santral.retrieval.embedding.cli import models_app


@pytest.fixture
def folder(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SANTRAL_CONFIG", str(tmp_path / "santral.toml"))
    monkeypatch.chdir(tmp_path)
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    (tmp_path / "santral.toml").write_text('[data]\nfolder = "."\n')
    return tmp_path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub({"acme/tiny": tiny_model.files()}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def run(*arguments: str) -> str:
    result = CliRunner().invoke(models_app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def acts(folder: Path) -> list[tuple[str, str]]:
    async def read() -> list[tuple[str, str]]:
        engine = connect(sqlite_url(folder))
        try:
            async with reading(engine) as conn:
                rows = await audit.entries_after(conn, 0, 100)
            return [(row.action, row.object) for row in rows if row.origin == "cli"]
        finally:
            await engine.dispose()

    return asyncio.run(read())


def test_a_model_is_pulled_listed_shown_and_removed(folder: Path, hub: Hub) -> None:
    assert "Pulled tiny: 32 dimensions" in run("pull", "acme/tiny")
    assert "tiny\tembedding\t32\ten" in run("list")
    assert "digest\t" in run("show", "tiny")
    assert "Removed tiny" in run("remove", "tiny")
    assert "tiny" not in run("list")
    assert acts(folder) == [("models.pull", "model:tiny"), ("models.remove", "model:tiny")]


def test_a_model_that_speaks_one_language_says_so(folder: Path, hub: Hub) -> None:
    assert "It knows en only" in run("pull", "acme/tiny")
    hub.card = {"license": "mit", "language": ["en", "tr"]}
    assert "only" not in run("pull", "acme/tiny", "--as", "both")


def test_a_model_in_use_is_not_removed(folder: Path, hub: Hub) -> None:
    run("pull", "acme/tiny")
    with (folder / "santral.toml").open("a") as file:
        file.write('[collections.docs]\nembedding = "tiny"\n')
    with pytest.raises(Conflict, match="makes the vectors of docs"):
        run("remove", "tiny")
    assert "Removed" in run("remove", "tiny", "--force")


def test_what_was_never_pulled_is_named(folder: Path) -> None:
    with pytest.raises(NotFound, match=r"no embedding model 'tiny'.*models pull tiny"):
        run("show", "tiny")
    assert acts(folder) == []
