"""``santral tenants`` and ``santral keys``."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from santral.errors import BadRequest, NotFound
from santral.tenants.cli import keys_app, tenants_app
from santral.tenants.key import is_intact

run = CliRunner()


@pytest.fixture(autouse=True)
def _data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SANTRAL_CONFIG", raising=False)


def test_a_key_is_shown_once_and_only_by_prefix_after(tmp_path: Path) -> None:
    assert run.invoke(tenants_app, ["create", "acme", "--name", "Acme [Ltd]"]).exit_code == 0
    made = run.invoke(
        keys_app,
        ["create", "-t", "acme", "--name", "shop", "--route", "faq", "--expires-in-days", "30"],
    )
    key = made.stdout.strip()
    assert is_intact(key), "standard output is the key alone, for use in a pipe"
    listed = run.invoke(keys_app, ["list", "-t", "acme"]).stdout
    header, row = listed.splitlines()
    assert header.split("\t")[:3] == ["id", "prefix", "name"]
    assert row.split("\t")[1:4] == [f"{key[:17]}…", "shop", "faq"]
    assert key not in listed
    assert run.invoke(tenants_app, ["list"]).stdout.splitlines()[1] == "acme\tAcme [Ltd]\tactive"


def test_a_revoked_key_says_so_in_the_list() -> None:
    run.invoke(tenants_app, ["create", "acme"])
    key = run.invoke(keys_app, ["create", "-t", "acme", "--role", "viewer"]).stdout.strip()
    assert "Revoked the key 'application'" in run.invoke(keys_app, ["revoke", key[:17]]).stdout
    assert "\tviewer over acme\t\trevoked 2" in run.invoke(keys_app, ["list", "-t", "acme"]).stdout


def test_mistakes_are_raised_as_sentences() -> None:
    run.invoke(tenants_app, ["create", "acme"])
    key = run.invoke(keys_app, ["create", "-t", "acme"]).stdout.strip()
    assert isinstance(run.invoke(tenants_app, ["create", "acme"]).exception, BadRequest)
    assert isinstance(run.invoke(keys_app, ["create", "-t", "acne"]).exception, NotFound)
    assert isinstance(run.invoke(keys_app, ["revoke", key]).exception, BadRequest)
