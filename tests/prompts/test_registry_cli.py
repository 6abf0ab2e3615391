"""The registry from the command line: push, label, log, diff, roll back, pull."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from santral.db.engine import Engine
from santral.db.session import with_database
from santral.errors import BadRequest, Conflict, NotFound
from santral.prompts.cli import prompts_app
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant

runner = CliRunner()
FIRST = "+++\nchangelog = 'First.'\n+++\n## user\nHello\n"
SECOND = "+++\nchangelog = 'Warmer.'\n+++\n## user\nHello, friend\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with its own folder of prompts, and another folder to push from."""
    (tmp_path / "santral.toml").write_text(
        '[data]\nfolder = "data"\n[prompts]\nfolder = "declared"\n'
    )
    monkeypatch.setenv("SANTRAL_CONFIG", str(tmp_path / "santral.toml"))
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "declared", "fixed", "1.0.0", FIRST)
    write(tmp_path, "prompts", "greet", "1.0.0", FIRST)
    write(tmp_path, "prompts", "greet", "2.0.0", SECOND)
    with_database(os.environ, make_tenant)
    return tmp_path


def write(folder: Path, place: str, name: str, version: str, text: str) -> Path:
    path = folder / place / name / f"{version}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


async def make_tenant(engine: Engine) -> None:
    await create_tenant(engine, "default", None, datetime.now(UTC), by=local_operator())


def prompts(*line: str) -> str:
    result = runner.invoke(prompts_app, [*line])
    assert result.exit_code == 0, (line, result.output, result.exception)
    return result.output


def test_the_way_of_a_prompt_from_a_file_to_a_rollback(folder: Path) -> None:
    pushed = prompts("push", "--label", "production")
    assert "default/greet@1.0.0: pushed" in pushed
    assert "default/greet@production is 2.0.0." in pushed
    assert "there already" in prompts("push")
    assert "production=2.0.0" in prompts("list", "--tenant", "default")
    assert "Hello, friend" in prompts("render", "greet", "--tenant", "default")
    prompts("label", "greet", "production", "1.0.0", "--reason", "too warm")
    log = prompts("log", "greet")
    assert "too warm" in log
    assert "Warmer." in log
    back = prompts("rollback", "greet", "production", "--reason", "not that bad")
    assert "default/greet@production is 2.0.0 (before: 1.0.0)." in back
    assert "rolled back" in prompts("log", "greet")


def test_another_text_under_a_known_version_is_refused_with_both_hashes(folder: Path) -> None:
    prompts("push")
    write(folder, "prompts", "greet", "1.0.0", SECOND)
    error = runner.invoke(prompts_app, ["push"]).exception
    assert isinstance(error, Conflict)
    assert error.message.count("sha256") == 1
    assert "and this one is" in error.message


def test_names_of_the_configured_folder_are_read_only(folder: Path) -> None:
    error = runner.invoke(prompts_app, ["push", "--folder", "declared"]).exception
    assert isinstance(error, Conflict)
    assert "declared/fixed/1.0.0.md" in error.message
    assert "git log" in prompts("log", "fixed")


def test_what_is_pulled_is_what_was_pushed_and_never_over_another_text(folder: Path) -> None:
    prompts("push", "--label", "staging")
    prompts("pull", "--folder", "copy")
    assert (folder / "copy" / "greet" / "2.0.0.md").read_text() == SECOND
    assert (folder / "copy" / "greet" / "labels.toml").read_text() == '"staging" = "2.0.0"\n'
    assert "there already" in prompts("pull", "--folder", "copy")
    write(folder, "copy", "greet", "1.0.0", "mine")
    assert isinstance(runner.invoke(prompts_app, ["pull", "--folder", "copy"]).exception, Conflict)
    assert (folder / "copy" / "greet" / "1.0.0.md").read_text() == "mine"
    prompts("pull", "greet", "--folder", "copy", "--force")
    assert (folder / "copy" / "greet" / "1.0.0.md").read_text() == FIRST
    error = runner.invoke(prompts_app, ["pull", "gret"]).exception
    assert isinstance(error, NotFound)
    assert "Did you mean 'greet'?" in error.message


def test_differences_are_told_as_text_and_as_json(folder: Path) -> None:
    told = prompts("diff", "greet@1.0.0", "greet@2.0.0", "--folder", "prompts")
    assert "message user: changed" in told
    assert "-Hello" in told
    prompts("push")
    line = ["diff", "greet@1.0.0", "greet@2.0.0", "--tenant", "default", "--json"]
    assert json.loads(prompts(*line))[0]["lines"] == ["-Hello", "+Hello, friend"]
    assert "Nothing differs" in prompts("diff", "greet", "greet@2.0.0", "--folder", "prompts")


def test_tests_that_do_not_hold_are_named_and_not_pushed(folder: Path) -> None:
    text = "+++\n[[tests]]\nname = 'polite'\ncontains = ['please']\n+++\n## user\nHello\n"
    write(folder, "prompts", "greet", "3.0.0", text)
    result = runner.invoke(prompts_app, ["test", "greet", "--folder", "prompts"])
    assert result.exit_code == 1
    assert "greet@3.0.0: polite: the messages do not contain 'please'" in result.output
    error = runner.invoke(prompts_app, ["push"]).exception
    assert isinstance(error, BadRequest)
    assert error.detail_code == "prompt_tests_failed"
    prompts("test", "--folder", "declared")
