"""``santral tenants`` and ``santral keys``."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from santral.errors import BadRequest, Conflict, NotFound
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


def ok(app: object, *words: str) -> str:
    done = run.invoke(app, list(words))  # type: ignore[arg-type]
    assert done.exit_code == 0, done.exception
    return done.stdout


def test_tenants_stand_in_a_tree_and_are_deleted_by_force_only() -> None:
    ok(tenants_app, "create", "org")
    ok(tenants_app, "create", "team", "--parent", "org")
    ok(keys_app, "create", "-t", "team")
    assert ok(tenants_app, "list").splitlines()[1:] == ["org\torg\tactive", "  team\tteam\tactive"]
    ok(tenants_app, "off", "org")
    assert ok(tenants_app, "show", "org").splitlines()[1:] == [
        "org\torg\toff",
        "  team\tteam\toff above",
    ]
    ok(tenants_app, "on", "org")
    assert "is called The team now" in ok(tenants_app, "rename", "team", "The team")
    assert "on its own now" in ok(tenants_app, "move", "team")
    assert "a part of 'org' now" in ok(tenants_app, "move", "team", "--parent", "org")
    refused = run.invoke(tenants_app, ["delete", "org"]).exception
    assert isinstance(refused, Conflict)
    assert "1 tenant beneath it (team), ends 1 key" in refused.message
    assert "this deletes 1 tenant" in ok(tenants_app, "delete", "org", "--force")
    assert ok(tenants_app, "list").splitlines()[1:] == []


def test_a_key_is_bound_changed_and_freed() -> None:
    ok(tenants_app, "create", "acme")
    key = ok(
        keys_app,
        "create",
        "-t",
        "acme",
        "--scope",
        "models",
        "--network",
        "10.0.0.0/8",
        "--model",
        "gpt",
    ).strip()
    shown = ok(keys_app, "show", key[:17])
    for line in ("scopes\tmodels", "networks\t10.0.0.0/8", "models\tgpt", "role\tnone"):
        assert line in shown
    changed = ok(
        keys_app, "update", key[:17], "--unset", "networks", "--role", "viewer", "--name", "n"
    )
    for line in ("networks\tany", "role\tviewer over acme", "name\tn", "scopes\tmodels"):
        assert line in changed
    for words in (["--unset", "network"], ["--unset", "role", "--role", "viewer"]):
        assert isinstance(run.invoke(keys_app, ["update", key[:17], *words]).exception, BadRequest)


def test_a_rotated_key_prints_its_new_text_alone() -> None:
    ok(tenants_app, "create", "acme")
    first = ok(keys_app, "create", "-t", "acme").strip()
    turned = run.invoke(keys_app, ["rotate", first[:17], "--overlap", "24h"])
    second = turned.stdout.strip()
    assert is_intact(second)
    assert second != first
    assert "works until" in turned.stderr
    assert f"former text\t{first[:17]}… until" in ok(keys_app, "show", second[:17])
    assert isinstance(
        run.invoke(keys_app, ["rotate", second[:17], "--overlap", "1h"]).exception, Conflict
    )
    third = run.invoke(keys_app, ["rotate", second[:17]])
    assert "former text ended" in third.stderr
    for wrong in ("tomorrow", "-1h", "1w", "99999d"):
        assert isinstance(
            run.invoke(keys_app, ["rotate", third.stdout[:17], f"--overlap={wrong}"]).exception,
            BadRequest,
        )
