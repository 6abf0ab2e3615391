"""``santral secrets``: what it prints, and what it never prints."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from santral.audit.note import Actor
from santral.errors import BadRequest, ConfigError, NotFound
from santral.secrets.cli import secrets_commands
from santral.tenants.table import print_table

TOML = """
[secrets]
master_key = "env:MASTER_KEY"
[providers.main]
kind = "openai"
api_key = "secret:main"
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SANTRAL_CONFIG", raising=False)
    monkeypatch.setenv("MASTER_KEY", secrets.token_bytes(32).hex())
    (tmp_path / "santral.toml").write_text(TOML)


def call(*arguments: str, say: str = "") -> Result:
    app = secrets_commands(print_table, lambda: Actor("cli:ada", "cli"))
    return CliRunner().invoke(app, arguments, input=say)


def test_a_secret_is_set_listed_with_its_users_and_removed() -> None:
    assert call("set", "main", say="sk-very-secret\n").exit_code == 0
    listed = call("list").stdout
    assert "main\t" in listed
    assert "providers.main.api_key" in listed
    assert "very-secret" not in listed
    refused = call("remove", "main").exception
    assert isinstance(refused, BadRequest)
    assert "providers.main.api_key is secret:main" in refused.message
    assert call("remove", "main", "--force").exit_code == 0
    assert isinstance(call("remove", "main", "--force").exception, NotFound)


def test_a_value_comes_from_a_file_or_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("sk-1\n")
    monkeypatch.setenv("KEY", "sk-2")
    assert call("set", "a", "--from-file", "key").exit_code == 0
    assert call("set", "b", "--from-env", "KEY").exit_code == 0
    for wrong in (
        ("set", "a", "--from-file", "nowhere"),
        ("set", "a", "--from-env", "NOT_SET"),
        ("set", "a", "--from-env", "KEY", "--from-file", "key"),
        ("set", "a b"),
        ("set", "a"),  # nothing on standard input
    ):
        assert isinstance(call(*wrong).exception, BadRequest), wrong


def test_rotation_and_a_new_master_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call("set", "main", say="sk-1")
    assert "Sealed 1 secrets under the data key dk_" in call("rotate").stdout
    assert "seals for 'acme' from now on" in call("rotate", "--tenant", "acme").stdout
    monkeypatch.setenv("NEW_KEY", secrets.token_bytes(32).hex())
    (tmp_path / "santral.toml").write_text(
        '[secrets]\nmaster_key = "env:NEW_KEY"\nprevious_master_keys = ["env:MASTER_KEY"]\n'
    )
    assert "wraps 2 more data keys" in call("rewrap").stdout
    assert "wraps 0 more data keys" in call("rewrap").stdout
    (tmp_path / "santral.toml").write_text('[secrets]\nmaster_key = "env:NEW_KEY"\n')
    assert call("rotate").exit_code == 0


def test_destroying_a_tenants_data_keys_asks_first() -> None:
    assert isinstance(call("destroy", "acme", "--force").exception, NotFound)
    call("rotate", "--tenant", "acme")
    refused = call("destroy", "acme").exception
    assert isinstance(refused, BadRequest)
    assert "1 data key:" in refused.message
    assert call("destroy", "acme", "--force").exit_code == 0
    assert isinstance(call("destroy", "acme", "--force").exception, NotFound)
    assert isinstance(call("destroy", "*", "--force").exception, BadRequest)


def test_without_a_master_key_nothing_is_sealed(tmp_path: Path) -> None:
    (tmp_path / "santral.toml").write_text("")
    refused = call("set", "main", say="sk-1").exception
    assert isinstance(refused, ConfigError)
    assert "openssl rand -base64 32" in refused.message
    assert not list(tmp_path.glob("santral-data/*.db"))
