"""Which key wraps, by the section ``[secrets]``."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

import pytest

from santral.config.load import load
from santral.config.safekeeping import SecretsConfig
from santral.errors import ConfigError, SealBroken
from santral.secrets.master import MasterKey
from santral.secrets.wrappers import wrappers_from

PLACE = b"here"
OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)
TRANSIT = {"url": "http://127.0.0.1:9", "key": "santral", "token": "env:VAULT_TOKEN"}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLD_KEY", base64.b64encode(OLD).decode())
    monkeypatch.setenv("NEW_KEY", NEW.hex())
    monkeypatch.setenv("VAULT_TOKEN", "hvs.x")


def config(**settings: object) -> SecretsConfig:
    return SecretsConfig.model_validate(settings)


def test_the_previous_key_still_unwraps() -> None:
    wrapped = MasterKey(OLD).wrap(b"k", PLACE)
    both = wrappers_from(config(master_key="env:NEW_KEY", previous_master_keys=["env:OLD_KEY"]))
    assert both.current.id == MasterKey(NEW).id
    assert both.unwrap(MasterKey(OLD).id, wrapped, PLACE) == b"k"
    alone = wrappers_from(config(master_key="env:NEW_KEY"))
    with pytest.raises(ConfigError, match="previous_master_keys"):
        alone.unwrap(MasterKey(OLD).id, wrapped, PLACE)
    with pytest.raises(SealBroken):
        both.unwrap(MasterKey(NEW).id, wrapped, PLACE)


def test_a_transit_engine_wraps_before_a_master_key_unless_told() -> None:
    both = wrappers_from(config(master_key="env:NEW_KEY", transit=TRANSIT))
    assert both.current.id == "transit:transit/santral"
    assert both.unwrap(MasterKey(NEW).id, MasterKey(NEW).wrap(b"k", PLACE), PLACE) == b"k"
    back = wrappers_from(config(master_key="env:NEW_KEY", transit=TRANSIT, wrap_with="master_key"))
    assert back.current.id == MasterKey(NEW).id


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "secrets.master_key is not set"),
        ({"master_key": "env:NOT_SET"}, "NOT_SET: the environment variable is not set"),
        ({"master_key": "env:SHORT"}, r"secrets.master_key \(env:SHORT\) is not a key of 32 bytes"),
        ({"master_key": "file:/nowhere/key"}, "No such file"),
        ({"wrap_with": "transit", "master_key": "env:NEW_KEY"}, "secrets.transit is not set"),
        (
            {"master_key": "env:NEW_KEY", "previous_master_keys": ["env:SHORT"]},
            r"secrets.previous_master_keys.0 \(env:SHORT\)",
        ),
    ],
)
def test_a_missing_key_is_a_sentence(
    settings: dict[str, object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHORT", base64.b64encode(b"short").decode())
    with pytest.raises(ConfigError, match=said) as caught:
        wrappers_from(config(**settings))
    assert base64.b64encode(b"short").decode() not in caught.value.message


def test_a_master_key_is_never_printed() -> None:
    key = MasterKey(NEW)
    assert NEW.hex() not in repr(key) + key.id + str(vars(key))


@pytest.mark.parametrize(
    "line",
    ['master_key = "secret:x"', 'master_key = "c2VjcmV0"', 'previous_master_keys = ["secret:x"]'],
)
def test_a_master_key_comes_from_outside(tmp_path: Path, line: str) -> None:
    path = tmp_path / "santral.toml"
    path.write_text(f"[secrets]\n{line}\n")
    with pytest.raises(ConfigError, match=r"santral.toml:2: secrets\.") as caught:
        load(path, {})
    assert "c2VjcmV0" not in caught.value.message


def test_the_database_is_no_sealed_secret(tmp_path: Path) -> None:
    path = tmp_path / "santral.toml"
    path.write_text('[database]\nurl = "secret:x"\n')
    with pytest.raises(ConfigError, match=r"database\.url.*cannot be one itself"):
        load(path, {})
