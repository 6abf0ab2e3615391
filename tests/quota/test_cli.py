"""``santral limits``."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from santral.errors import BadRequest, NotFound
from santral.quota.cli import limits_app
from santral.tenants.cli import keys_app, tenants_app

run = CliRunner()


@pytest.fixture(autouse=True)
def _data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SANTRAL_CONFIG", raising=False)
    assert run.invoke(tenants_app, ["create", "acme"]).exit_code == 0


def shown(*arguments: str) -> list[list[str]]:
    return [line.split("\t") for line in run.invoke(limits_app, arguments).stdout.splitlines()]


def test_limits_in_force_are_shown_with_those_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "santral.toml").write_text("[limits]\ntokens_per_day = 5000\n")
    assert shown("set", "acme", "--requests-per-second", "2.5")[1][2:] == [
        "2.5",
        "2.5",
        "unlimited",
    ]
    assert shown("show", "acme")[1] == ["acme", "", "2.5", "2.5", "5000"]


def test_a_key_is_limited_by_its_prefix() -> None:
    key = run.invoke(keys_app, ["create", "-t", "acme", "--name", "shop"]).stdout.strip()
    shown("set", "acme", "--key", f"{key[:17]}…", "--tokens-per-day", "100")
    tenant, own = shown("show", "acme")[1:]
    assert tenant == ["acme", "", "unlimited", "unlimited", "unlimited"]
    assert own[1].startswith("shop (key_")
    assert own[4] == "100"


def test_mistakes_are_raised_as_sentences() -> None:
    set_ = ["set", "acme"]
    assert run.invoke(limits_app, set_).exit_code == 2
    assert isinstance(run.invoke(limits_app, [*set_, "--burst", "5"]).exception, BadRequest)
    unknown = run.invoke(limits_app, ["set", "acne", "--burst", "5"]).exception
    assert isinstance(unknown, NotFound)
