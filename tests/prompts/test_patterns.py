"""The pattern catalogue: whole in both languages, tested, and measured by recorded answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from santral.errors import Conflict
from santral.prompts.cli import prompts_app
from santral.prompts.compose import compose
from santral.prompts.file import INCLUDE
from santral.prompts.library import load_prompts
from santral.prompts.patterns.catalogue import FOLDER, cases_of, patterns
from santral.prompts.trial import run_tests

runner = CliRunner()
NAMES = [prompt.name for prompt in patterns()]
ENGLISH = [name for name in NAMES if not name.endswith("-tr")]
WANTED = {
    "log-analysis",
    "runbook-draft",
    "executive-incident-summary",
    "code-review",
    "postmortem-draft",
    "kubernetes-manifest",
    "rag-answer",
}


def cases(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cases_of(name).read_text(encoding="utf-8").splitlines()]


def test_every_pattern_is_there_in_both_languages() -> None:
    assert set(ENGLISH) == WANTED
    assert set(NAMES) == WANTED | {f"{name}-tr" for name in WANTED}


@pytest.mark.parametrize("name", NAMES)
def test_a_pattern_says_who_what_and_how_it_is_tested(name: str) -> None:
    version = patterns().find(name)
    assert version.description
    assert version.changelog
    assert version.owner
    assert version.tests
    assert all(variable.description for variable in version.variables.values())
    assert run_tests(version) == []


@pytest.mark.parametrize("name", ENGLISH)
def test_both_languages_take_the_same_and_promise_the_same(name: str) -> None:
    english, turkish = patterns().find(name), patterns().find(f"{name}-tr")
    assert list(english.variables) == list(turkish.variables)
    assert english.output_schema == turkish.output_schema
    assert english.settings == turkish.settings
    assert [m.role for m in english.messages] == [m.role for m in turkish.messages]


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_from_outside_is_marked_as_data(name: str) -> None:
    version = patterns().find(name)
    outside = {"log", "notes", "facts", "diff", "timeline", "requirements", "intent"}
    for variable in version.variables.values():
        assert variable.is_untrusted == (variable.name in outside)


@pytest.mark.parametrize("name", NAMES)
def test_every_case_can_be_composed_and_its_facts_stand_in_the_answer(name: str) -> None:
    version = patterns().find(name)
    found = cases(name)
    assert found
    assert len({case["id"] for case in found}) == len(found)
    for case in found:
        compose(version, case["variables"])
        assert all(fact.lower() in case["answer"].lower() for fact in case["references"])
    assert (FOLDER / name / "suite.toml").is_file()


def test_a_pattern_is_copied_once_and_never_over_another_text(tmp_path: Path) -> None:
    args = ["patterns", "copy", "log-analysis", "--to", str(tmp_path / "prompts")]
    assert runner.invoke(prompts_app, args).exit_code == 0
    copied = load_prompts(tmp_path / "prompts").find("log-analysis")
    assert copied.content_hash == patterns().find("log-analysis").content_hash
    assert "there already" in runner.invoke(prompts_app, args).output
    path = tmp_path / "prompts" / "log-analysis" / "1.0.0.md"
    path.write_text(path.read_text().replace("on-call", "off-call"))
    assert isinstance(runner.invoke(prompts_app, args).exception, Conflict)
    assert "off-call" in path.read_text()
    assert runner.invoke(prompts_app, [*args, "--force"]).exit_code == 0
    assert "off-call" not in path.read_text()


def test_patterns_are_listed_and_shown() -> None:
    assert "log-analysis-tr" in runner.invoke(prompts_app, ["patterns", "list"]).output
    shown = runner.invoke(prompts_app, ["patterns", "show", "rag-answer"]).output
    assert shown.startswith("+++")
    assert not INCLUDE.search(shown)
    unknown = runner.invoke(prompts_app, ["patterns", "copy", "log-analisis"]).exception
    assert "Did you mean 'log-analysis'?" in str(unknown)
