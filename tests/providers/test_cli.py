"""The commands show rows, and say so when there is none."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from santral.providers.cli import prices_app, providers_app
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
    assert result.exit_code == 2
    assert "broken.toml" in result.output
