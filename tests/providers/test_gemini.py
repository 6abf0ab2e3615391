"""Gemini over a real socket: addresses, keys, streams, refusals, counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.providers.asking import HELLO, ask, call_of, perform, said
from tests.replay import Recording, Replay, recording

from santral.errors import (
    ConfigError,
    ContentPolicyRefused,
    ContextWindowExceeded,
    ModelNotFound,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderGarbled,
    ProviderRefusedKey,
    ProviderRefusedRequest,
    ProviderUnreachable,
)
from santral.wire.usage import Usage

KEY = "AIzaSyCanary0123456789abcdefghijklmnopqr"
MODEL = "gemini-3.7-flash"
WHOLE = f"/models/{MODEL}:generateContent"
STREAM = f"/models/{MODEL}:streamGenerateContent"
GEMINI: dict[str, Any] = {"kind": "gemini", "api_key": "env:TEST_GEMINI_KEY"}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_GEMINI_KEY", KEY)


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    with Replay() as running:
        yield running


@pytest.fixture
def replay(server: Replay) -> Replay:
    server.reset()
    return server


@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])
def test_an_answer_comes_and_the_key_is_in_a_header_alone(
    replay: Replay, is_streaming: bool
) -> None:
    replay.will(WHOLE, recording("gemini/text.json"))
    replay.will(STREAM, recording("gemini/text.sse", piece=7))
    deltas = ask(
        replay, call_of(MODEL, is_streaming=is_streaming, traceparent="00-a-b-01"), **GEMINI
    )
    assert said(deltas).text == "İstanbul is the largest city of Türkiye."
    assert deltas[-1].usage == Usage(input_uncached=9, output_text=8, reasoning=94)
    (asked,) = replay.asked
    assert asked.headers["x-goog-api-key"] == KEY
    assert asked.headers["traceparent"] == "00-a-b-01"
    assert "authorization" not in asked.headers
    assert KEY not in asked.path + asked.query
    assert asked.query == ("alt=sse" if is_streaming else "")


def test_a_model_may_be_given_with_its_folder(replay: Replay) -> None:
    replay.will("/tunedModels/mine-1:generateContent", recording("gemini/text.json"))
    assert ask(replay, call_of("tunedModels/mine-1"), **GEMINI)


def test_an_answer_without_usage_is_estimated_and_says_so(replay: Replay) -> None:
    body = b'{"candidates":[{"content":{"parts":[{"text":"Merhaba"}]},"finishReason":"STOP"}]}'
    replay.will(WHOLE, Recording(body))
    usage = ask(replay, call_of(MODEL), **GEMINI)[-1].usage
    assert usage is not None
    assert usage.is_estimated
    assert usage.output_text > 0


@pytest.mark.parametrize(
    ("name", "status", "kind", "words"),
    [
        ("busy.json", 429, ProviderBusy, "exceeded your current quota"),
        ("wrong-key.json", 400, ProviderRefusedKey, "API key not valid"),
        ("too-long.json", 400, ContextWindowExceeded, "token count"),
        ("no-model.json", 404, ModelNotFound, "not found"),
        ("overloaded.json", 503, ProviderBusy, "overloaded"),
        ("argument.json", 400, ProviderRefusedRequest, "Thinking level"),
    ],
)
def test_a_refusal_has_its_class(
    replay: Replay, name: str, status: int, kind: type[ProviderError], words: str
) -> None:
    replay.will(WHOLE, recording(f"gemini/{name}", status=status))
    with pytest.raises(ProviderError, match=words) as caught:
        ask(replay, call_of(MODEL), **GEMINI)
    assert type(caught.value) is kind
    assert caught.value.upstream_status == status


@pytest.mark.parametrize(
    ("status", "word", "verb"),
    [(500, "INTERNAL", "failed"), (503, "UNAVAILABLE", "failed"), (400, "OUT_OF_RANGE", "refused")],
)
def test_a_message_says_whether_it_failed_or_refused(
    replay: Replay, status: int, word: str, verb: str
) -> None:
    body = {"error": {"code": status, "message": "Sorry.", "status": word}}
    replay.will(WHOLE, Recording(json.dumps(body).encode(), status=status))
    with pytest.raises(ProviderError, match=f"^The provider {verb}: Sorry"):
        ask(replay, call_of(MODEL), **GEMINI)


def test_the_wait_is_read_from_the_details(replay: Replay) -> None:
    replay.will(STREAM, recording("gemini/busy.json", status=429))
    with pytest.raises(ProviderBusy) as caught:
        ask(replay, call_of(MODEL, is_streaming=True), **GEMINI)
    assert caught.value.retry_after_s == pytest.approx(34.4)


def test_a_refusal_in_an_array_is_read_too(replay: Replay) -> None:
    body = recording("gemini/busy.json").body
    replay.will(WHOLE, Recording(b"[" + body + b"]", status=429))
    with pytest.raises(ProviderBusy, match="quota") as caught:
        ask(replay, call_of(MODEL), **GEMINI)
    assert caught.value.retry_after_s == pytest.approx(34.4)


def test_a_key_that_the_provider_quotes_is_cut_out(replay: Replay) -> None:
    body = (
        f'{{"error":{{"code":403,"message":"Key {KEY} is leaked","status":"PERMISSION_DENIED"}}}}'
    )
    replay.will(WHOLE, Recording(body.encode(), status=403))
    with pytest.raises(ProviderRefusedKey) as caught:
        ask(replay, call_of(MODEL), **GEMINI)
    assert KEY not in caught.value.message


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("blocked.sse", ContentPolicyRefused),
        ("error-inside.sse", ProviderFailed),
        ("cut.sse", ProviderUnreachable),
    ],
)
def test_a_stream_that_fails_says_how(replay: Replay, name: str, kind: type[ProviderError]) -> None:
    replay.will(STREAM, recording(f"gemini/{name}"))
    with pytest.raises(kind):
        ask(replay, call_of(MODEL, is_streaming=True), **GEMINI)


def test_a_stream_cut_after_its_end_is_whole(replay: Replay) -> None:
    replay.will(STREAM, recording("gemini/text.sse", is_cut=True))
    assert said(ask(replay, call_of(MODEL, is_streaming=True), **GEMINI)).finish_reason == "stop"


def test_html_is_garbled(replay: Replay) -> None:
    replay.will(WHOLE, Recording(b"<html>maintenance</html>"))
    with pytest.raises(ProviderGarbled):
        ask(replay, call_of(MODEL), **GEMINI)


def test_tokens_are_counted_with_tools_and_instructions(replay: Replay) -> None:
    replay.will(f"/models/{MODEL}:countTokens", recording("gemini/count.json"))
    fields = HELLO | {"tools": [{"type": "function", "function": {"name": "look"}}]}
    answer = perform(replay, MODEL, "count_tokens", fields=fields, **GEMINI)
    assert answer.body == b'{"input_tokens":10}'
    request = replay.asked[-1].json["generateContentRequest"]
    assert request["model"] == f"models/{MODEL}"
    assert request["tools"][0]["functionDeclarations"][0]["name"] == "look"


def test_another_key_is_asked_when_one_is_throttled(
    replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_GEMINI_OTHER", "AIzaSyOther")
    replay.will(WHOLE, recording("gemini/busy.json", status=429), recording("gemini/text.json"))
    ask(replay, call_of(MODEL), **GEMINI, api_keys=["env:TEST_GEMINI_OTHER"])
    assert [asked.headers["x-goog-api-key"] for asked in replay.asked] == [KEY, "AIzaSyOther"]


def test_without_a_key_the_configuration_is_refused(replay: Replay) -> None:
    with pytest.raises(ConfigError, match="needs a key"):
        ask(replay, call_of(MODEL), kind="gemini")
