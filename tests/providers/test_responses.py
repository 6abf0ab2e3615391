"""The Responses protocol over a real socket: address, keys, streams, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.providers.asking import ask, call_of, said
from tests.replay import Recording, Replay, recording

from santral.errors import (
    ModelNotFound,
    ProviderBusy,
    ProviderError,
    ProviderRefusedKey,
    ProviderUnreachable,
)
from santral.wire.usage import Usage

KEY = "sk-canary-0123456789abcdef"
PATH = "/responses"
OPENAI: dict[str, Any] = {"kind": "openai-responses", "api_key": "env:TEST_RESPONSES_KEY"}
BOTH = pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_RESPONSES_KEY", KEY)


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    with Replay() as running:
        yield running


@pytest.fixture
def replay(server: Replay) -> Replay:
    server.reset()
    return server


def answer(name: str, **changes: Any) -> Recording:
    return recording(f"openai-responses/{name}", **changes)


@BOTH
@pytest.mark.parametrize("name", ["text.json", "text.sse"])
def test_an_answer_is_read_in_whichever_form_it_comes(
    replay: Replay, name: str, is_streaming: bool
) -> None:
    replay.will(PATH, answer(name, piece=11))
    deltas = ask(
        replay, call_of("gpt", is_streaming=is_streaming, traceparent="00-a-b-01"), **OPENAI
    )
    assert said(deltas).text == "Merhaba, dünya 👋."
    assert deltas[-1].usage == Usage(input_uncached=36, output_text=87)
    (asked,) = replay.asked
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["traceparent"] == "00-a-b-01"
    assert asked.json.get("stream", False) is is_streaming


def test_azure_takes_the_key_in_a_header_of_its_own(replay: Replay) -> None:
    replay.will(PATH, answer("text.json"))
    ask(replay, call_of("gpt"), kind="azure-responses", api_key="env:TEST_RESPONSES_KEY")
    (asked,) = replay.asked
    assert asked.headers["api-key"] == KEY
    assert "authorization" not in asked.headers


def test_an_answer_without_usage_is_estimated_and_says_so(replay: Replay) -> None:
    replay.will(PATH, answer("done_only.sse"))
    usage = ask(replay, call_of("local", is_streaming=True), **OPENAI)[-1].usage
    assert usage is not None
    assert usage.is_estimated
    assert usage.output_text > 1


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (answer("unknown_model.json", status=404), ModelNotFound),
        (Recording(b'{"error":{"message":"Slow down","code":"rate_limit"}}', 429), ProviderBusy),
        (answer("error.sse"), ProviderRefusedKey),
        (answer("failed.sse"), ProviderBusy),
        (answer("cut.sse"), ProviderUnreachable),
        (answer("text.sse", is_cut=True).but(body=b"event: x\ndata: {"), ProviderUnreachable),
    ],
)
def test_each_failure_is_its_own_error(
    replay: Replay, made: Recording, kind: type[ProviderError]
) -> None:
    replay.will(PATH, made)
    with pytest.raises(kind) as caught:
        ask(replay, call_of("gpt", is_streaming=True), **OPENAI)
    assert KEY not in caught.value.message


def test_a_key_in_the_providers_words_is_cut_out(replay: Replay) -> None:
    said_back = f'{{"error":{{"message":"Incorrect API key: {KEY}"}}}}'.encode()
    replay.will(PATH, Recording(said_back, 401))
    with pytest.raises(ProviderRefusedKey) as caught:
        ask(replay, call_of("gpt"), **OPENAI)
    assert KEY not in caught.value.message
