"""Settings of the caches are checked where they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from santral.config.load import load
from santral.errors import ConfigError

ROUTE = "[routes.r]\nladder = [{ deployments = { extractive = 1 } }]\n[routes.r.cache]\n"


def config_of(folder: Path, text: str) -> object:
    file = folder / "santral.toml"
    file.write_text(text)
    return load(file, {}).config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ROUTE + 'semantic = { embedding = "extractiv" }', "Did you mean 'extractive'?"),
        (ROUTE + "semantic = { threshold = 0.2 }", "threshold"),
        (ROUTE + 'semantic = { mode = "on" }', "mode"),
        ('[cache]\nurl = "redis://:secret@host"', "by reference"),
        ('[cache]\nnamespace = "a b"', "namespace"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(tmp_path, text)
    assert said in caught.value.message
    assert "secret@" not in caught.value.message


def test_caches_are_off_unless_asked_for(tmp_path: Path) -> None:
    config = load(None, {}).config
    assert config.cache.url is None
    (tmp_path / "santral.toml").write_text(ROUTE)
    route = load(tmp_path / "santral.toml", {}).config.routes["r"]
    assert not route.cache.enabled
    assert route.cache.semantic.mode == "off"
