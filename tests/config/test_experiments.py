"""Experiments that stand in santral.toml: what is refused at the start, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from santral.config.load import load
from santral.errors import ConfigError

BASE = """
[providers.stub]
kind = "local"
[deployments.mini]
provider = "stub"
model = "extract"
[routes.ask]
ladder = [{ deployments = { mini = 1 } }]
experiment = "one"
"""
ONE = """
[experiments.one]
salt = "s"
variants.a = { weight = 1 }
variants.b = { weight = 1, settings = { temperature = 0 } }
"""


def refused(folder: Path, text: str) -> str:
    (folder / "santral.toml").write_text(BASE + text)
    with pytest.raises(ConfigError) as error:
        load(folder / "santral.toml", {})
    return error.value.message


def test_names_that_mean_nothing_are_told_with_their_place(tmp_path: Path) -> None:
    text = ONE + 'variants.c = { weight = 1, route = "aks", shadow = ["mimi"] }\nroutes = ["aks"]\n'
    message = refused(tmp_path, text)
    assert "experiments.one" in message or "santral.toml, line" in message
    assert "there is no route 'aks'. Did you mean 'ask'?" in message
    assert "variants.c: there is no deployment 'mimi'" in message


def test_what_would_change_it_while_it_runs_is_for_experiments_that_are_made(
    tmp_path: Path,
) -> None:
    message = refused(tmp_path, ONE + "ramp = [{ share = 0.5 }]\n")
    assert "santral experiments create --file" in message


def test_two_that_change_the_same_need_a_layer(tmp_path: Path) -> None:
    other = ONE.replace("experiments.one", "experiments.two") + 'routes = ["ask"]\n'
    message = refused(tmp_path, ONE + other)
    assert "'one' and 'two' both change settings of the route 'ask'" in message
    layered = [
        table + f'layer = "all"\nsegment = {segment}\n'
        for table, segment in ((ONE, "[0.0, 0.5]"), (other, "[0.5, 1.0]"))
    ]
    (tmp_path / "santral.toml").write_text(
        BASE + "".join(layered) + "[layers.all]\nholdout = 0.1\n"
    )
    config = load(tmp_path / "santral.toml", {}).config
    assert config.layers["all"].holdout == 0.1
    assert config.experiments["two"].segment == (0.5, 1.0)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("segment = [0.5, 0.5]", "from a lower to a higher share"),
        ('control = "c"', "control names 'c'"),
        (
            "bandit = { metric = 'cost_usd', floor = 0.5 }\nvariants.c = { weight = 1 }",
            "more than 1",
        ),
        ("ramp = [{ share = 0.5 }, { share = 0.1 }]", "must not fall"),
        ("guards = [{ metric = 'cost_usd' }]", "either margin or bound"),
        ("guards = [{ metric = 'latency_p95_ms', margin = 0.1 }]", "a bound in milliseconds"),
        ("variants.c = { weight = -1 }", "greater than or equal to 0"),
        ("variants.c = { weight = 1, settings = { n = 4 } }", "an arm cannot set n"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, setting: str, told: str) -> None:
    assert told in refused(tmp_path, ONE + setting + "\n")
