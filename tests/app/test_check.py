"""``santral config check`` refuses what a gateway would refuse, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from santral.app.check import check_servable
from santral.config.cli import config_commands
from santral.errors import ConfigError

GOOD = """
[providers.up]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
[deployments.primary]
provider = "up"
model = "m"
[routes.ask]
ladder = [{ deployments = { primary = 1 } }, { deployments = { extractive = 1 } }]
"""


def check(folder: Path, text: str) -> str:
    """Return what the command prints, or raise what it raises."""
    (folder / "santral.toml").write_text(text, encoding="utf-8")
    asked = ["check", "--config", str(folder / "santral.toml")]
    result = CliRunner().invoke(config_commands(check_servable), asked)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_what_can_be_served_is_good_and_counted(tmp_path: Path) -> None:
    assert "good. 1 route, 2 deployments" in check(tmp_path, GOOD)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('[providers.p]\nkind = "opnai"', "providers.p.kind: unknown kind 'opnai'"),
        ('[providers.p]\nkind = "openai-compatible"', "providers.p.base_url"),
        ('[providers.p]\nkind = "openai"\napi_key = "env:NOT_SET_ANYWHERE"', "NOT_SET_ANYWHERE"),
        ('[policies.default]\ninput = [{ check = "pi" }]', "Did you mean 'pii'"),
        ('prompt = "nope@production"', "routes.ask.prompt"),
        ('output_schema = "nope.json"', "routes.ask.output_schema"),
        ('[prices]\nfile = "nope.toml"', "nope.toml"),
        ("[rout.ask]", "Did you mean 'routes'"),
    ],
)
def test_what_a_gateway_would_refuse_is_refused_here(tmp_path: Path, more: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check(tmp_path, GOOD + more)
