from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

from santral.errors import BadRequest, NotFound
from santral.prompts.cli import prompts_app

Write = Callable[..., Path]
runner = CliRunner()


def test_lint_passes_good_prompts_and_fails_bad_ones_with_their_place(write: Write) -> None:
    folder = write()
    good = runner.invoke(prompts_app, ["lint", str(folder)])
    assert good.exit_code == 0
    assert "1 prompts, 1 versions, 0 faults" in good.output
    write("nothing", name="bad")
    bad = runner.invoke(prompts_app, ["lint", str(folder)])
    assert bad.exit_code == 1
    assert "bad/1.0.0.md:1:" in bad.output


def test_lint_of_a_missing_folder_fails(tmp_path: Path) -> None:
    result = runner.invoke(prompts_app, ["lint", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "no such folder" in result.output


def test_render_prints_the_messages_as_json(write: Write) -> None:
    args = ["render", "greet@1.0.0", "--var", "name=Ada=1", "--var", "count=2", "--json"]
    result = runner.invoke(prompts_app, [*args, "-f", str(write())])
    assert json.loads(result.output)[0]["content"] == "Greet Ada=1 2 times."


def test_render_refuses_a_value_of_another_type(write: Write) -> None:
    args = ["render", "greet", "--var", "name=Ada", "--var", "count=many", "-f", str(write())]
    error = runner.invoke(prompts_app, args).exception
    assert isinstance(error, BadRequest)
    assert "'count' must be an integer" in error.message


def test_list_and_show_name_versions_and_variables(write: Write) -> None:
    folder = write()
    assert "greet" in runner.invoke(prompts_app, ["list", "-f", str(folder)]).output
    shown = runner.invoke(prompts_app, ["show", "greet", "-f", str(folder)]).output
    assert "name: string, required" in shown
    assert "count: integer, default 3" in shown
    assert "Greet {{ name }}" in shown


def test_the_folder_is_the_configured_one(write: Write, tmp_path: Path) -> None:
    write()
    config = tmp_path / "santral.toml"
    config.write_text('[prompts]\nfolder = "prompts"\n')
    result = runner.invoke(prompts_app, ["list", "--config", str(config)])
    assert result.exit_code == 0, result.output
    assert "greet" in result.output


def test_an_unknown_variable_names_the_nearest_in_one_sentence(write: Write) -> None:
    args = ["render", "greet", "--var", "nane=Ada", "-f", str(write())]
    error = runner.invoke(prompts_app, args).exception
    assert isinstance(error, BadRequest)
    assert error.message.endswith("Did you mean 'name'?")


def test_a_prompt_that_the_folder_lacks_may_be_registered(write: Write) -> None:
    error = runner.invoke(prompts_app, ["show", "other", "-f", str(write())]).exception
    assert isinstance(error, NotFound)
    assert "for registered ones give --tenant default" in error.message
