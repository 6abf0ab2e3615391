"""``santral providers test`` asks for real, says what it found and what to do, and tells no key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.replay import Recording, Replay, recording
from typer.testing import CliRunner, Result

from santral.errors import ConfigError
from santral.providers.cli import operations_of_kind, providers_app
from santral.providers.registry import VENDORS

KEYS = ("sk-canary-0123456789abcdef", "sk-second-0123456789abcdef")
CHAT = "/v1/chat/completions"
MODELS = Recording(b'{"object":"list","data":[{"id":"first"},{"id":"second"}]}')
REFUSED = Recording(b'{"error":{"message":"Incorrect API key provided: sk-canary-0123"}}', 401)
NO_MODEL = Recording(b'{"error":{"message":"no such model","code":"model_not_found"}}', 404)
BUSY = Recording(b'{"error":{"message":"slow down"}}', 429, headers={"retry-after": "20"})
BROKEN = Recording(b'{"error":{"message":"oops"}}', 500)


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with Replay() as running:
        yield running


@pytest.fixture(autouse=True)
def _setting(monkeypatch: pytest.MonkeyPatch, replay: Replay) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for number, key in enumerate(KEYS, 1):
        monkeypatch.setenv(f"TEST_PROBE_KEY_{number}", key)
    replay.reset()


TOML = """
[providers.main]
kind = "openai"
base_url = "{url}/v1"
api_key = "env:TEST_PROBE_KEY_1"
{more}

[providers.gone]
kind = "vllm"
base_url = "http://127.0.0.1:9/v1"

[deployments.mini]
provider = "main"
model = "gpt-mini"

[deployments.large]
provider = "main"
model = "gpt-large"

[deployments.lost]
provider = "gone"
model = "qwen"

[routes.chat]
ladder = [{{ deployments = {{ mini = 1 }} }}]
"""


def run(tmp_path: Path, replay: Replay, *arguments: str, more: str = "") -> Result:
    file = tmp_path / "santral.toml"
    file.write_text(TOML.format(url=replay.base_url, more=more))
    result = CliRunner().invoke(providers_app, ["test", *arguments, "--config", str(file)])
    said = result.output + result.stderr
    assert not any(key in said for key in KEYS)
    return result


def row(result: Result, line: int = 1) -> dict[str, str]:
    lines = result.stdout.splitlines()
    return dict(zip(lines[0].split("\t"), lines[line].split("\t"), strict=True))


def answers(replay: Replay) -> None:
    replay.will("/v1/models", MODELS)
    replay.will(
        CHAT,
        recording("openai/whole.json"),
        recording("openai/stream.sse"),
        recording("openai/custom_tool.json"),
        recording("openai/whole.json"),
    )


def test_a_good_provider_answers_every_question(tmp_path: Path, replay: Replay) -> None:
    answers(replay)
    result = run(tmp_path, replay, "main")
    assert result.exit_code == 0, result.output
    found = row(result)
    assert found.pop("first token").endswith(" ms")
    assert found == {
        "provider": "main",
        "model": "gpt-mini",
        "reachable": "yes",
        "key": "yes",
        "model known": "yes",
        "streams": "yes",
        "usage": "yes",
        "tools": "yes",
    }
    asked = [one for one in replay.asked if one.path == CHAT]
    assert [bool(one.json.get("stream")) for one in asked] == [False, True, False]
    assert all(one.json["max_completion_tokens"] <= 64 for one in asked), "a few tokens only"
    assert all(one.headers["authorization"] == f"Bearer {KEYS[0]}" for one in replay.asked)


@pytest.mark.parametrize(
    ("arguments", "model"),
    [
        (["--deployment", "large"], "gpt-large"),
        (["--model", "other"], "other"),
        ([], "gpt-mini"),
    ],
)
def test_the_model_asked_is_the_one_named(
    tmp_path: Path, replay: Replay, arguments: list[str], model: str
) -> None:
    answers(replay)
    assert row(run(tmp_path, replay, "main", *arguments))["model"] == model


@pytest.mark.parametrize(
    ("answer", "cells", "remedy"),
    [
        (REFUSED, {"reachable": "yes", "key": "no"}, "Give a key that the provider accepts"),
        (NO_MODEL, {"key": "yes", "model known": "no"}, "'gpt-mini' is no model there"),
        (BUSY, {"key": "yes", "streams": "unknown"}, "test again in 20 s"),
        (BROKEN, {"reachable": "yes"}, "is that its kind?"),
        (Recording(b"<html>"), {"reachable": "yes"}, "is that its kind?"),
    ],
    ids=["key", "model", "busy", "broken", "garbled"],
)
def test_what_failed_comes_with_its_remedy(
    tmp_path: Path, replay: Replay, answer: Recording, cells: dict[str, str], remedy: str
) -> None:
    replay.will(CHAT, answer)
    result = run(tmp_path, replay, "main")
    assert result.exit_code == 1
    assert cells.items() <= row(result).items()
    assert remedy in result.stderr


def test_a_provider_that_is_not_there_is_told_from_the_others(
    tmp_path: Path, replay: Replay
) -> None:
    answers(replay)
    result = run(tmp_path, replay, "--all")
    assert result.exit_code == 1
    assert row(result, 1)["reachable"] == "yes"
    assert row(result, 2)["reachable"] == "no"
    assert "providers.gone.base_url" in result.stderr
    assert "main:" not in result.stderr


def test_each_of_several_keys_is_asked_alone(tmp_path: Path, replay: Replay) -> None:
    replay.will("/v1/models", MODELS)
    replay.will(CHAT, recording("openai/whole.json"))
    second = 'api_keys = ["env:TEST_PROBE_KEY_2"]'
    assert run(tmp_path, replay, "main", more=second).exit_code == 0
    keys = [one.headers["authorization"].removeprefix("Bearer ") for one in replay.asked]
    assert keys[-2:] in (list(KEYS), list(reversed(KEYS)))


def test_one_bad_key_among_good_ones_is_named_by_its_number(tmp_path: Path, replay: Replay) -> None:
    replay.will(CHAT, *[recording("openai/whole.json")] * 4, REFUSED)
    result = run(tmp_path, replay, "main", more='api_keys = ["env:TEST_PROBE_KEY_2"]')
    assert "of 2" in result.stderr
    assert "refuses key" in result.stderr
    assert result.exit_code == 1, "it is a fault, if not one that a caller sees"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Name a provider, or --all."),
        (["mian"], "There is no provider 'mian' to test. Did you mean 'main'?"),
        (["local"], "There is no provider 'local' to test."),
        (["main", "--deployment", "lage"], "Did you mean 'large'?"),
        (["main", "--deployment", "lost"], "'lost' is a deployment of 'gone'."),
    ],
)
def test_what_cannot_be_asked_is_said(
    tmp_path: Path, replay: Replay, arguments: list[str], words: str
) -> None:
    result = run(tmp_path, replay, *arguments)
    assert isinstance(result.exception, ConfigError)
    assert words in result.exception.message


def test_the_list_says_what_each_kind_can_do() -> None:
    result = CliRunner().invoke(providers_app, ["list"])
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    rows = {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines[1:]}
    assert rows.keys() == VENDORS.keys()
    assert rows["groq"]["dialect"] == "openai"
    assert "logit_bias is left out: Groq answers 400 to it" in rows["groq"]["quirks"]
    assert "embed" in rows["openai"]["operations"]
    assert "chat" in rows["cohere"]["operations"]
    assert operations_of_kind(VENDORS["jina"]) == ["embed", "rerank"]
