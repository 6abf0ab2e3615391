"""An explanation says what a worker would do, and why, without one; the commands print it."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from santral.config.load import load
from santral.errors import NotFound
from santral.routing.cli import lines_of, routes_app
from santral.routing.complexity import Classifier
from santral.routing.explain import explain, find, routes_of
from santral.wire.chat import parse_chat

CONFIGURATION = """
[providers.openai]
api_key = "env:A_KEY_THAT_IS_NOT_SET"
[prices]
file = "prices.toml"
[deployments.mini]
provider = "openai"
model = "mini"
quality = 0.5
[deployments.big]
provider = "openai"
model = "big"
quality = 0.9
[deployments.old]
provider = "openai"
model = "old"
capabilities = { tools = false }
region = "us-east-1"
[routes.chat]
ladder = [
  { name = "small", deployments = { mini = 3, old = 1 } },
  { name = "large", deployments = { big = 1 }, canary = { old = 100 } },
]
complexity = { tiers = ["small", "large"] }
sticky = true
shadow = { deployments = ["old"], share = 0.25 }
[routes.cheap]
ladder = [{ deployments = { mini = 1, big = 1, old = 1 } }]
strategy = "cheapest"
min_quality = 0.8
[routes.far]
ladder = [{ deployments = { old = 1 } }]
allowed_regions = ["eu"]
[routes.plain]
ladder = [{ deployments = { mini = 1, big = 1 } }]
"""
PRICES = """
version = "t"
currency = "USD"
[[price]]
kind = "openai"
model = "mini"
from = 2020-01-01
input = "1"
output = "2"
[[price]]
kind = "openai"
model = "big"
from = 2020-01-01
input = "10"
output = "20"
"""
TOOLS = [{"type": "function", "function": {"name": "f"}}]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "santral.toml").write_text(CONFIGURATION)
    (tmp_path / "prices.toml").write_text(PRICES)
    monkeypatch.setenv("SANTRAL_CONFIG", str(tmp_path / "santral.toml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explained(folder: Path, route: str, text: str = "Hello", **fields: object) -> list[str]:
    routes = routes_of(load(folder / "santral.toml", {}).config, lambda: 1.8e9)
    body = {"model": route, "messages": [{"role": "user", "content": text}], **fields}
    call = parse_chat(json.dumps(body).encode())
    return [*lines_of(explain(find(routes, route), call, Random(0)))]


def test_tier_features_order_and_reasons_are_said(folder: Path) -> None:
    lines = explained(folder, "chat", "Prove the theorem and implement the algorithm.", tools=TOOLS)
    said = "\n".join(lines)
    assert lines[1].startswith("tier        large (score 0.")
    assert "rules       none fired" in said
    assert "reasoning_words 1" in said
    assert "needs       tools" in said
    assert lines.index(" 1. big  rung large: the only one that can") < lines.index(
        " 2. mini  rung small: the only one that can"
    )
    assert lines.count("  - old  cannot do tools") == 1, "of its rung and as canary, said once"


def test_a_rule_that_fired_and_a_canary_are_said(folder: Path) -> None:
    lines = explained(folder, "chat", reasoning_effort="high")
    assert "rules       reasoning_effort is high" in lines
    assert " 1. old  rung large: on trial" in lines


def test_prices_and_quality_are_said(folder: Path) -> None:
    lines = explained(folder, "cheap")
    assert lines[1] == "input       some 2 tokens"
    assert lines[2].startswith(" 1. big  rung 1: cheapest, some 0.010020 USD")
    assert lines[3].endswith("quality 0.5 is below 0.8")
    assert lines[4] == " 3. old  rung 1: cheapest, price unknown, quality not measured is below 0.8"


def test_a_refusal_is_said_and_fails_the_command(folder: Path) -> None:
    lines = explained(folder, "far")
    assert lines[-1].startswith("refused     No deployment of the route 'far' can")
    (folder / "r.json").write_text('{"model": "far", "messages": []}')
    result = CliRunner().invoke(routes_app, ["explain", "r.json"])
    assert result.exit_code == 1
    assert "old runs in us-east-1, allowed: eu" in result.output


def test_a_plain_route_shares_by_weight(folder: Path) -> None:
    said = explained(folder, "plain")
    assert sorted(line[4:] for line in said[-2:]) == [
        "big  rung 1: 50% by weight",
        "mini  rung 1: 50% by weight",
    ]


def test_an_unknown_route_names_the_nearest(folder: Path) -> None:
    routes = routes_of(load(folder / "santral.toml", {}).config, lambda: 1.8e9)
    with pytest.raises(NotFound, match="Did you mean 'chat'"):
        find(routes, "chta")


def test_the_list_shows_every_route(folder: Path) -> None:
    result = CliRunner().invoke(routes_app, ["list"])
    assert result.exit_code == 0, result.output
    rows = [line.split("\t") for line in result.output.splitlines()]
    assert rows[1] == [
        "chat", "small", "weighted", "mini 3, old 1",
        "complexity (small < large); session; ability (tools); shadow old 25%",
    ]  # fmt: skip
    assert rows[2][3] == "big 1, old 100 % on trial"
    assert [row[0] for row in rows if row[0]] == ["route", "chat", "cheap", "far", "plain"]
    assert rows[-1][4] == "-"


def test_a_classifier_is_trained_from_the_command_line_and_used(folder: Path) -> None:
    rows = [{"text": f"hello number {n}", "tier": "small"} for n in range(60)]
    rows += [{"text": f"prove theorem {n} step by step", "tier": "large"} for n in range(60)]
    (folder / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = ["train", "--from", "own.jsonl", "--out", "own.toml", "--tiers", "small,large"]
    result = CliRunner().invoke(routes_app, asked)
    assert result.exit_code == 0, result.output
    assert "held out    24 examples" in result.output
    assert Classifier.load(folder / "own.toml").version == "own.jsonl"
    text = CONFIGURATION.replace('["small", "large"] }', '["small", "large"], model = "own.toml" }')
    (folder / "santral.toml").write_text(text)
    assert "tier        large" in explained(folder, "chat", "prove the theorem")[1]


def test_a_request_that_is_none_is_named(folder: Path) -> None:
    (folder / "r.json").write_text("{")
    result = CliRunner().invoke(routes_app, ["explain", "r.json"])
    assert "r.json: The body is not valid JSON" in str(result.exception)
