"""The official client through real sockets: what an application sees."""

from __future__ import annotations

import json

import openai
import pytest
from tests.journeys.conftest import Santral
from tests.stream_checker import check_chat_stream, text_of, usage_in
from tests.upstream import Upstream

pytestmark = pytest.mark.journey


def test_a_whole_answer_with_headers(santral: Santral) -> None:
    raw = santral.client().chat.completions.with_raw_response.create(
        model="ok", messages=[{"role": "user", "content": "What is a route?"}]
    )
    answer = raw.parse()
    assert answer.choices[0].message.content == "You asked: What is a route?"
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0
    assert raw.headers["x-request-id"].startswith("req_")
    assert len(raw.headers["x-santral-trace-id"]) == 32
    assert raw.headers["x-santral-deployment"] == "d-ok"
    assert raw.headers["x-santral-cache"] == "off"


def test_a_stream_without_usage_for_a_client_that_did_not_ask(santral: Santral) -> None:
    events = list(
        santral.client().chat.completions.create(
            model="ok", messages=[{"role": "user", "content": "Hello"}], stream=True
        )
    )
    text = "".join(event.choices[0].delta.content or "" for event in events)
    assert text == "You asked: Hello"
    assert all(event.usage is None for event in events)


def test_a_stream_with_usage_for_one_that_did(santral: Santral) -> None:
    *_, last = santral.client().chat.completions.create(
        model="ok",
        messages=[{"role": "user", "content": "Hello"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens > 0


def test_tool_calls_arrive_whole_and_streamed(santral: Santral) -> None:
    for is_streaming in (False, True):
        body = santral.chat("tools", "What is the weather?", stream=is_streaming)
        status, _, answer = santral.post(body)
        assert status == 200
        if is_streaming:
            calls = [
                call
                for event in check_chat_stream(answer)
                for choice in event["choices"]
                for call in choice["delta"].get("tool_calls", [])
            ]
            arguments = "".join(
                c["function"].get("arguments", "") for c in calls if c["index"] == 0
            )
        else:
            call = json.loads(answer)["choices"][0]["message"]["tool_calls"][0]
            arguments = call["function"]["arguments"]
        assert isinstance(json.loads(arguments), dict)


def test_unknown_fields_ride_through_byte_for_byte(santral: Santral, upstream: Upstream) -> None:
    body = (
        b'{"model":"ok","messages":[{"role":"user","content":"Hi","x_mine":[1.10,1e3]}],'
        b'"x_number":1.10,"logit_bias":{"50256":-100},"seed":12345678901234567890}'
    )
    assert santral.post(body)[0] == 200
    sent = upstream.asked("ok")[-1].raw
    for piece in (b'"x_mine":[1.10,1e3]', b'"x_number":1.10', b'"seed":12345678901234567890'):
        assert piece in sent
    assert b"santral" not in sent


def test_models_lists_routes_and_deployments(santral: Santral) -> None:
    names = {model.id for model in santral.client().models.list()}
    assert {"ok", "d-ok", "extractive", "failed-or-ok"} <= names


BEHAVIOURS_THAT_ANSWER = (
    "ok", "slow-100", "paced", "no-usage", "usage-every", "tools", "azure", "no-done", "sloppy",
    "empty", "refusal", "big", "pii", "pii-strict", "ok-strict", "tools-strict", "sloppy-strict",
)  # fmt: skip


@pytest.mark.parametrize("route", BEHAVIOURS_THAT_ANSWER)
def test_every_stream_is_well_formed_and_reports_usage(santral: Santral, route: str) -> None:
    body = santral.chat(route, stream=True, stream_options={"include_usage": True})
    status, headers, answer = santral.post(body)
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    usage = usage_in(check_chat_stream(answer))
    assert usage is not None
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize("route", ["ok", "paced", "no-usage", "big", "pii", "pii-strict"])
def test_a_stream_says_what_the_whole_answer_says(santral: Santral, route: str) -> None:
    whole = json.loads(santral.post(santral.chat(route))[2])
    streamed = check_chat_stream(santral.post(santral.chat(route, stream=True))[2])
    assert text_of(streamed) == whole["choices"][0]["message"]["content"]


def test_the_sdk_raises_its_own_errors(santral: Santral) -> None:
    def ask(model: str, key: str | None = None) -> None:
        santral.client(key).chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Hi"}]
        )

    with pytest.raises(openai.NotFoundError, match="Did you mean 'ok'"):
        ask("okk")
    with pytest.raises(openai.AuthenticationError, match="mistyped or cut"):
        ask("ok", santral.key[:-1] + "!")
    with pytest.raises(openai.RateLimitError):
        ask("busy")
    with pytest.raises(openai.BadRequestError):
        ask("refused")
    with pytest.raises(openai.InternalServerError) as upstream_key:
        ask("unauthorized")
    assert upstream_key.value.code == "provider_credentials_refused"
    assert upstream_key.value.status_code == 502
