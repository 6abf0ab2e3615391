"""Models that end are named, with the routes that lean on them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from santral.__main__ import full_app
from santral.config.load import load
from santral.config.schema import Config
from santral.providers.catalogue.catalogue import (
    Entry,
    encode_catalogue,
    load_catalogue,
    refreshed,
)
from santral.providers.catalogue.retirement import retirements

TODAY = date(2026, 11, 23)
TOML = """
[providers.openai]
kind = "openai"
api_key = "env:KEY"
[deployments.dated]
provider = "openai"
model = "gpt-x-2026-01-01"
[deployments.floating]
provider = "openai"
model = "gpt-x"
[deployments.trial]
provider = "openai"
model = "gpt-y"
[routes.support]
ladder = [{ deployments = { dated = 1 }, canary = { trial = 5 } }, { deployments = { floating = 1 } }]
"""


def catalogue_file(path: Path, soon: date) -> Path:
    models = [
        Entry(
            kind="openai",
            model="gpt-x",
            aliases=["gpt-x-2026-01-01"],
            ends={"gpt-x-2026-01-01": soon},
        ),
        Entry(kind="openai", model="gpt-y", ends={"gpt-y": soon + timedelta(days=200)}),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_catalogue("test", ["test"], "MIT", models))
    return path


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("KEY", "sk-1")
    (tmp_path / "santral.toml").write_text(TOML)
    monkeypatch.setenv("SANTRAL_CONFIG", str(tmp_path / "santral.toml"))
    return load(tmp_path / "santral.toml", {"KEY": "sk-1"}).config


def test_a_snapshot_that_ends_is_named_with_its_routes_and_what_floats_is_not(
    config: Config, tmp_path: Path
) -> None:
    catalogue = load_catalogue(catalogue_file(tmp_path / "c.jsonl", date(2027, 1, 15)))
    (one,) = retirements(config, catalogue, TODAY)
    assert (one.deployment, one.ends_on, one.routes) == ("dated", date(2027, 1, 15), ("support",))
    assert "in 53 days" in one.said(TODAY)
    assert retirements(config, catalogue, TODAY, 30) == []
    both = retirements(config, catalogue, TODAY, 365)
    assert [(r.deployment, r.routes) for r in both] == [
        ("dated", ("support",)),
        ("trial", ("support",)),
    ]
    assert "was to end on 2027-01-15" in one.said(date(2027, 2, 1))


def test_commands_warn_and_strict_is_an_exit_status(config: Config) -> None:
    today = datetime.now(UTC).date()
    catalogue_file(refreshed(config.data.folder), today + timedelta(days=20))
    run = CliRunner()
    checked = run.invoke(full_app(), ["config", "check"])
    assert checked.exit_code == 0
    assert "warning: deployments.dated, which support use: its model" in checked.stderr
    listed = run.invoke(full_app(), ["providers", "retirements"])
    assert (listed.exit_code, "gpt-x-2026-01-01\tsupport" in listed.stdout) == (0, True)
    assert run.invoke(full_app(), ["providers", "retirements", "--strict"]).exit_code == 1
    strict = run.invoke(full_app(), ["providers", "retirements", "--strict", "--days", "5"])
    assert strict.exit_code == 0


def test_the_shipped_catalogue_knows_ends_of_snapshots() -> None:
    known = load_catalogue()
    assert known.ends_on("openai", "gpt-4o-2024-05-13") == date(2026, 10, 23)
    assert known.ends_on("openai", "gpt-4o") is None
