"""Anthropic's dialect over real sockets: headers, answers, errors, cut streams, counting."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.replay import Recording, Replay, recording

from santral.config.secret import SecretRef
from santral.config.upstreams import ProviderConfig, TimeoutsConfig
from santral.errors import (
    ContextWindowExceeded,
    ModelNotFound,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderGarbled,
    ProviderRefusedKey,
    ProviderRefusedRequest,
    ProviderTimeout,
    ProviderUnreachable,
)
from santral.providers.aiohttp_client import AiohttpClient
from santral.providers.connection import connect_to
from santral.providers.provider import Provider, ProviderCall, TaskAnswer, TaskCall
from santral.providers.registry import DIALECTS, VENDORS
from santral.wire.delta import Delta
from santral.wire.render import fold

KEY = "sk-ant-canary-0123456789"
PATH = "/v1/messages"
PATIENT = TimeoutsConfig(connect_s=2, first_delta_s=5, between_deltas_s=5, total_s=10)


@pytest.fixture(scope="module")
def running() -> Any:
    with Replay() as replay:
        yield replay


@pytest.fixture
def replay(running: Replay) -> Replay:
    running.reset()
    return running


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_CANARY", KEY)


def provider_at(replay: Replay, client: AiohttpClient) -> Provider:
    config = ProviderConfig(
        kind="anthropic",
        base_url=f"{replay.base_url}/v1",
        api_key=SecretRef("env:ANTHROPIC_CANARY"),
    )
    return DIALECTS["anthropic"](connect_to("up", config, VENDORS["anthropic"], client))


def ask(replay: Replay, *, is_streaming: bool = True, **more: Any) -> list[Delta]:
    fields = {"messages": [{"role": "user", "content": "Merhaba"}], **more.pop("fields", {})}
    call = ProviderCall(
        model="claude-opus-4-8",
        fields=fields,
        is_streaming=is_streaming,
        timeouts=PATIENT,
        **more,
    )

    async def collect() -> list[Delta]:
        client = AiohttpClient()
        try:
            async with aclosing(provider_at(replay, client).stream(call)) as deltas:
                return [delta async for delta in deltas]
        finally:
            await client.close()

    return asyncio.run(collect())


def failure(replay: Replay, *answers: Recording, is_streaming: bool = True) -> ProviderError:
    replay.will(PATH, *answers)
    with pytest.raises(ProviderError) as caught:
        ask(replay, is_streaming=is_streaming)
    assert KEY not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("piece", [0, 1, 7])
def test_a_stream_and_a_whole_answer_say_the_same(replay: Replay, piece: int) -> None:
    replay.will(PATH, recording("anthropic/text.sse", piece=piece))
    streamed = fold(ask(replay))
    replay.will(PATH, recording("anthropic/text.json", piece=piece))
    whole = fold(ask(replay, is_streaming=False))
    assert streamed.choices == whole.choices
    assert streamed.usage == whole.usage
    assert streamed.choices[0].text == "Merhaba, dünya 🙂!"


def test_the_call_carries_version_key_flags_and_trace(replay: Replay) -> None:
    replay.will(PATH, recording("anthropic/text.sse"))
    ask(
        replay,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        caller_headers={"anthropic-beta": "context-1m-2025-08-07,unknown-2020-01-01"},
    )
    headers = replay.asked[0].headers
    assert headers["x-api-key"] == KEY
    assert "authorization" not in headers
    assert headers["anthropic-version"] == "2023-06-01"
    assert headers["anthropic-beta"] == "context-1m-2025-08-07"
    assert headers["traceparent"].startswith("00-0af7651916cd43dd")
    assert replay.asked[0].json["stream"] is True
    assert "stream" not in json.loads(_asked_whole(replay))


def _asked_whole(replay: Replay) -> bytes:
    replay.will(PATH, recording("anthropic/text.json"))
    ask(replay, is_streaming=False)
    return replay.asked[-1].body


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("invalid_request_error", 400, ProviderRefusedRequest),
        ("authentication_error", 401, ProviderRefusedKey),
        ("not_found_error", 404, ModelNotFound),
        ("rate_limit_error", 429, ProviderBusy),
        ("api_error", 500, ProviderFailed),
        ("overloaded_error", 529, ProviderFailed),
    ],
)
def test_errors_are_told_by_their_type(
    replay: Replay, name: str, status: int, kind: type[ProviderError]
) -> None:
    error = failure(replay, recording(f"anthropic/error_{name}.json", status=status))
    assert type(error) is kind
    assert error.upstream_status == status


@pytest.mark.parametrize(
    ("message", "status", "kind"),
    [
        ("prompt is too long: 212345 tokens > 200000 maximum", 400, ContextWindowExceeded),
        (
            "input length and `max_tokens` exceed context limit: 5 + 5 > 9",
            400,
            ContextWindowExceeded,
        ),
        ("Your credit balance is too low to access the Anthropic API.", 400, ProviderRefusedKey),
        (f"bad x-api-key {KEY}", 400, ProviderRefusedRequest),
    ],
)
def test_some_refusals_are_told_by_their_words(
    replay: Replay, message: str, status: int, kind: type[ProviderError]
) -> None:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    error = failure(replay, Recording(json.dumps(body).encode(), status=status))
    assert type(error) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, ProviderRefusedKey), (413, ProviderRefusedRequest), (502, ProviderFailed), (504, ProviderTimeout)],
)  # fmt: skip
def test_a_page_that_is_no_json_is_told_by_its_status(
    replay: Replay, status: int, kind: type[ProviderError]
) -> None:
    page = Recording(b"<html>nginx</html>", status=status, content_type="text/html")
    assert type(failure(replay, page)) is kind


def test_the_wait_is_read_from_the_headers(replay: Replay) -> None:
    limited = recording("anthropic/error_rate_limit_error.json", status=429)
    error = failure(replay, limited.but(headers={"retry-after": "7"}))
    assert error.retry_after_s == 7
    reset = datetime.fromtimestamp(datetime.now(UTC).timestamp() + 60, UTC)
    headers = {
        "anthropic-ratelimit-requests-remaining": "12",
        "anthropic-ratelimit-requests-reset": "2099-01-01T00:00:00Z",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": reset.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    error = failure(replay, limited.but(headers=headers))
    assert error.retry_after_s is not None
    assert 50 < error.retry_after_s <= 60


def test_errors_inside_a_200_are_errors(replay: Replay) -> None:
    overloaded = failure(replay, recording("anthropic/overloaded.sse"))
    assert isinstance(overloaded, ProviderFailed)
    assert overloaded.retryable
    assert isinstance(failure(replay, recording("anthropic/limited.sse")), ProviderBusy)
    body = recording("anthropic/error_overloaded_error.json")
    assert isinstance(failure(replay, body, is_streaming=False), ProviderFailed)


def test_a_cut_stream_is_unreachable_and_garbage_garbled(replay: Replay) -> None:
    whole = recording("anthropic/text.sse")
    half = whole.but(body=whole.body[: len(whole.body) // 2])
    assert isinstance(failure(replay, half), ProviderUnreachable)
    assert isinstance(failure(replay, half.but(is_cut=True)), ProviderUnreachable)
    assert isinstance(failure(replay, whole.but(body=b"data: {oops\n\n")), ProviderGarbled)
    assert isinstance(failure(replay, Recording(b"<html>"), is_streaming=False), ProviderGarbled)


def test_a_cut_after_the_last_word_loses_nothing(replay: Replay) -> None:
    whole = recording("anthropic/text.sse")
    start = whole.body[: whole.body.index(b"event: message_stop")]
    replay.will(PATH, whole.but(body=start, is_cut=True))
    assert fold(ask(replay)).choices[0].finish_reason == "stop"


def test_an_answer_that_came_in_another_way_than_asked_is_read(replay: Replay) -> None:
    replay.will(PATH, recording("anthropic/text.json"))
    assert fold(ask(replay)).choices[0].text == "Merhaba, dünya 🙂!"
    replay.will(PATH, recording("anthropic/text.sse"))
    assert fold(ask(replay, is_streaming=False)).choices[0].text == "Merhaba, dünya 🙂!"


def test_tools_that_stand_in_for_what_it_lacks(replay: Replay) -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    shape = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    replay.will(PATH, recording("anthropic/answer_tool.sse"))
    (choice,) = fold(ask(replay, fields={"response_format": shape})).choices
    assert (choice.text, choice.finish_reason) == ('{"age": 42}', "stop")
    replay.will(PATH, recording("anthropic/custom_tool.sse"))
    custom = {"type": "custom", "custom": {"name": "note"}}
    (choice,) = fold(ask(replay, fields={"tools": [custom]})).choices
    assert choice.tool_calls[0].arguments == 'plain "text"'


def test_tokens_are_counted(replay: Replay) -> None:
    replay.will(f"{PATH}/count_tokens", recording("anthropic/count_tokens.json"))
    call = TaskCall(
        operation="count_tokens",
        model="claude-opus-4-8",
        fields={"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5},
        timeouts=PATIENT,
    )

    async def count() -> TaskAnswer:
        client = AiohttpClient()
        try:
            return await provider_at(replay, client).perform(call)
        finally:
            await client.close()

    assert json.loads(asyncio.run(count()).body) == {"input_tokens": 2095}
    assert "max_tokens" not in replay.asked[0].json
    replay.will(f"{PATH}/count_tokens", Recording(b"[]"))
    with pytest.raises(ProviderGarbled):
        asyncio.run(count())
