"""Legacy completions through the one path: what is read, counted, checked, kept and written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.completion_checker import check_completion_stream
from tests.gateway.worker import Answer, Worker, part, saying, usage, whole

from santral.errors import ProviderFailed
from santral.gateway.dialects.completions import MAX_PROMPTS, legacy_logprobs
from santral.providers.tasks.complete import chat_logprobs
from santral.quota.limits import Limits
from santral.wire.delta import ChoiceDelta
from santral.wire.usage import Usage


def complete(worker: Worker, route: str = "plain", **fields: Any) -> Answer:
    body = {"model": route, "prompt": "Say hello", **fields}
    return worker.post(json.dumps(body).encode(), path="/v1/completions")


def test_an_answer_has_the_legacy_form(worker: Worker) -> None:
    answer = complete(worker, max_tokens=5, user="u1")
    assert answer.json["object"] == "text_completion"
    assert answer.json["choices"] == [
        {"text": "Hello there.", "index": 0, "logprobs": None, "finish_reason": "stop"}
    ]
    assert answer.json["usage"]["total_tokens"] == 120
    assert worker.record.dialect == "completions"
    assert worker.record.user == "u1"
    sent = worker.provider.asked[0].fields
    assert sent["messages"][0]["content"] == "Say hello"
    assert sent["max_tokens"] == 5
    assert not {"prompt", "suffix", "echo", "best_of"} & set(sent)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"prompt": 7}, "invalid_request", "prompt"),
        ({"prompt": []}, "invalid_request", "prompt"),
        ({"prompt": ["a", {}]}, "invalid_request", "prompt"),
        ({"prompt": [1, 2]}, "tokens_not_readable", "prompt"),
        ({"prompt": [[1], [2]]}, "tokens_not_readable", "prompt"),
        ({"prompt": ["a"] * (MAX_PROMPTS + 1)}, "invalid_request", "prompt"),
        ({"n": "two"}, "invalid_request", "n"),
        ({"n": 1000}, "invalid_request", "n"),
        ({"logprobs": True}, "invalid_request", "logprobs"),
        ({"santral": {"sesion": "x"}}, "unknown_extra", "santral.sesion"),
    ],
)
def test_a_malformed_request_names_the_place(
    worker: Worker, fields: dict[str, Any], code: str, param: str
) -> None:
    answer = complete(worker, **fields)
    assert (answer.status, answer.error["code"]) == (400, code)
    assert answer.error["param"] == param
    assert not worker.provider.asked
    assert worker.record.error == code


def test_every_answer_of_every_prompt_is_reserved(worker: Worker) -> None:
    """Four prompts of two answers of 100 tokens do not fit where one does."""
    worker.limit(Limits(tokens_per_day=500))
    assert complete(worker, max_tokens=100).status == 200
    worker.limit(Limits(tokens_per_day=500))
    refused = complete(worker, prompt=["a", "b", "c", "d"], n=2, max_tokens=100)
    assert refused.status == 429


def test_echo_says_the_prompt_first_and_once(worker: Worker) -> None:
    worker.provider.will(saying(ChoiceDelta(0, " one two three"), ChoiceDelta(1, " four")))
    answer = complete(worker, echo=True, n=2)
    assert [c["text"] for c in answer.json["choices"]] == [
        "Say hello one two three",
        "Say hello four",
    ]
    streamed = complete(worker, echo=True, n=2, stream=True)
    texts: dict[int, str] = {0: "", 1: ""}
    for event in check_completion_stream(streamed.body):
        for choice in event["choices"]:
            texts[choice["index"]] += choice["text"]
    assert texts == {0: "Say hello one two three", 1: "Say hello four"}


def test_a_masked_prompt_is_echoed_masked(worker: Worker) -> None:
    answer = complete(worker, "in-mask", prompt="Mail ayse@example.com", echo=True)
    assert "ayse" not in json.dumps(answer.json)
    assert "ayse" not in worker.provider.asked[0].text
    assert answer.json["choices"][0]["text"].startswith("Mail ")


def test_usage_comes_last_for_who_asked(worker: Worker) -> None:
    asked = complete(worker, stream=True, stream_options={"include_usage": True})
    *_, last = check_completion_stream(asked.body)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 20
    plain = complete(worker, stream=True)
    assert all("usage" not in event for event in check_completion_stream(plain.body))


def test_an_answer_without_words_is_still_a_stream(worker: Worker) -> None:
    worker.provider.will([usage(Usage(input_uncached=1))])
    events = check_completion_stream(complete(worker, stream=True).body)
    assert [c["finish_reason"] for e in events for c in e["choices"]] == ["stop"]


def test_a_failure_after_the_beginning_is_an_event(worker: Worker) -> None:
    worker.provider.will([part(ChoiceDelta(0, "Hel"), role=True), ProviderFailed("gone")])
    answer = complete(worker, stream=True)
    assert answer.status == 200
    events = [json.loads(e[6:]) for e in answer.body.decode().split("\n\n") if e]
    assert events[0]["choices"][0]["text"] == "Hel"
    assert events[-1]["error"]["code"] == "provider_failed"


def test_an_equal_completion_comes_from_the_cache_in_either_form(worker: Worker) -> None:
    first = complete(worker, "cached", echo=True)
    again = complete(worker, "cached", echo=True)
    streamed = complete(worker, "cached", echo=True, stream=True)
    other = complete(worker, "cached", echo=False)
    assert [a.headers["x-santral-cache"] for a in (first, again, streamed, other)] == [
        "miss", "hit", "hit", "miss",
    ]  # fmt: skip
    assert first.json["choices"] == again.json["choices"]
    check_completion_stream(streamed.body)


def test_log_probabilities_come_in_the_legacy_form(worker: Worker) -> None:
    legacy = {
        "tokens": ["He", "y"], "token_logprobs": [-0.1, -0.2],
        "top_logprobs": [{"He": -0.1, "Hi": -2.0}, {"y": -0.2}], "text_offset": [0, 2],
    }  # fmt: skip
    said = ChoiceDelta(0, "Hey", logprobs=json.dumps(chat_logprobs(legacy)).encode())
    worker.provider.will([whole(said, is_raw=False)])
    answer = complete(worker, logprobs=2)
    assert answer.json["choices"][0]["logprobs"] == legacy
    sent = worker.provider.asked[0].fields
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 2)
    assert legacy_logprobs(b"", 0) is None


def test_a_call_of_a_tool_ends_a_text(worker: Worker) -> None:
    worker.provider.will([whole(ChoiceDelta(0, "x", finish_reason="tool_calls"))])
    assert complete(worker).json["choices"][0]["finish_reason"] == "stop"
