"""Settings of single sign-on: what they must say, and where a mistake is."""

from __future__ import annotations

from pathlib import Path

import pytest

from santral.config.load import load
from santral.errors import ConfigError

GOOD = '[sso]\nissuer = "https://id.test/realm"\nclient_id = "santral"\nclient_secret = "env:S"\n'


def settings(tmp_path: Path, text: str) -> None:
    file = tmp_path / "santral.toml"
    file.write_text(text)
    load(file, {})


def test_an_issuer_on_this_machine_may_speak_http(tmp_path: Path) -> None:
    settings(tmp_path, GOOD)
    settings(tmp_path, GOOD.replace("https://id.test/realm", "http://127.0.0.1:9000"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("https://id.test/realm", "http://id.test"), "sso.issuer: give an https address"),
        (("https://id.test/realm", "https://id.test/?a=1"), "sso.issuer: give an https address"),
        (('"env:S"', '"clear text"'), "sso.client_secret"),
        (('client_id = "santral"\n', ""), "sso.client_id: this setting is required"),
        (("issuer", "isuer"), "unknown setting. Did you mean 'issuer'?"),
    ],
)
def test_a_mistake_is_named_by_its_place(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        settings(tmp_path, GOOD.replace(*change))
    assert says in refused.value.message
    assert "clear text" not in refused.value.message


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('email_domains = ["@example.com"]', "sso.email_domains"),
        ('[[sso.roles]]\ngroup = "a"\nrole = "boss"', "sso.roles.0.role"),
        ('[[sso.roles]]\ngroup = "a"\nrole = "admin"\ntenant = "Not An Id"', "sso.roles.0.tenant"),
        ('[sso.newcomers]\nrule = "viewer"', "Did you mean 'role'?"),
        ("leeway_s = 100000", "sso.leeway_s"),
        ("timeout_s = 0", "sso.timeout_s"),
    ],
)
def test_a_wrong_value_is_refused(tmp_path: Path, more: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        settings(tmp_path, f"{GOOD}{more}\n")
    assert says in refused.value.message
