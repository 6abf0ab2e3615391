"""The commands show rows, and say so when there is none."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from santral.errors import ConfigError
from santral.providers.catalogue.cli import prices_app
from santral.providers.cli import providers_app
from santral.providers.registry import VENDORS


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_every_provider_kind_is_listed() -> None:
    result = CliRunner().invoke(providers_app, ["list"])
    assert result.exit_code == 0
    for vendor in VENDORS.values():
        assert vendor.kind in result.output
        assert vendor.base_url in result.output


def test_prices_are_shown_by_part_of_a_name() -> None:
    result = CliRunner().invoke(prices_app, ["show", "gpt-4o-MINI"])
    assert result.exit_code == 0
    assert "0.15" in result.output
    assert "gpt-5" not in result.output


def test_a_model_without_a_price_is_unknown_and_not_free() -> None:
    result = CliRunner().invoke(prices_app, ["show", "unheard-of"])
    assert result.exit_code == 1
    assert "unknown, not zero" in result.output


def test_a_broken_price_file_is_a_sentence_and_an_exit_code(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("version = ")
    result = CliRunner().invoke(prices_app, ["show", "--file", str(path)])
    assert isinstance(result.exception, ConfigError)
    assert "broken.toml" in result.exception.message


def test_at_the_width_of_a_pipe_no_model_and_no_date_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = CliRunner().invoke(prices_app, ["show", "gpt-5-mini"]).stdout.splitlines()
    assert lines[0].split("\t")[:3] == ["kind", "model", "from"]
    assert lines[1].split("\t")[:2] == ["openai", "gpt-5-mini"]
