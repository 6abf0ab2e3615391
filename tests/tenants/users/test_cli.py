"""``santral users``."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from santral.errors import BadRequest, NotFound
from santral.tenants.cli import keys_app, tenants_app
from santral.tenants.users.cli import users_app

run = CliRunner()


@pytest.fixture(autouse=True)
def _data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SANTRAL_CONFIG", raising=False)


def users(*words: str) -> str:
    done = run.invoke(users_app, list(words))
    assert done.exit_code == 0, done.exception
    return done.stdout


def test_a_person_is_made_given_a_role_and_switched_off() -> None:
    run.invoke(tenants_app, ["create", "acme"])
    made = users(
        "create", "Ada [x]", "--email", "ada@example.org", "--role", "viewer", "--over", "acme"
    )
    assert "Holds viewer over acme." in made
    assert "admin over *, viewer over acme" in users(
        "grant", "ada@example.org", "admin", "--over", "*"
    )
    assert "Holds viewer over acme." in users("revoke", "ada@example.org", "--over", "*")
    assert "is off now" in users("disable", "ada@example.org")
    header, row = users("list").splitlines()
    assert header.split("\t") == ["id", "name", "e-mail", "kind", "roles", "state"]
    assert row.split("\t")[1:] == [
        "Ada [x]",
        "ada@example.org",
        "person",
        "viewer over acme",
        "off",
    ]
    assert "is on now" in users("enable", "ada@example.org")
    assert "signed in\tnever" in users("show", "ada@example.org")


def test_a_service_account_owns_keys_that_stop_with_it() -> None:
    run.invoke(tenants_app, ["create", "acme"])
    robot = users("create", "robot", "--service").partition("(")[2].partition(")")[0]
    key = run.invoke(keys_app, ["create", "-t", "acme", "--owner", robot]).stdout.strip()
    assert f"owner\t{robot}" in run.invoke(keys_app, ["show", key[:17]]).stdout
    users("disable", robot)
    assert "owner is off" in run.invoke(keys_app, ["list", "-t", "acme"]).stdout


def test_mistakes_are_raised_as_sentences() -> None:
    assert isinstance(run.invoke(users_app, ["create", "x"]).exception, BadRequest)
    wrong = run.invoke(users_app, ["create", "x", "--service", "--role", "amdin"]).exception
    assert isinstance(wrong, BadRequest)
    assert "Did you mean 'admin'" in wrong.message
    assert isinstance(run.invoke(users_app, ["show", "usr_nope"]).exception, NotFound)
