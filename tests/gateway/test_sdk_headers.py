"""Headers by which the vendors' SDKs steer: whose request it was, and whether to ask again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.gateway.worker import Answer, Worker, saying

from santral.errors import ModelNotFound, ProviderError, ProviderFailed, ProviderRefusedKey
from santral.gateway.batches.inner import InnerAnswer
from santral.gateway.batches.progress import is_worth_waiting
from santral.wire.delta import ChoiceDelta

PATHS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}


def ask(worker: Worker, dialect: str, **fields: Any) -> Answer:
    asked = {"role": "user", "content": "Hello"}
    said = {"input": "Hello"} if dialect == "responses" else {"messages": [asked]}
    body = {"model": "plain", **said, **fields}
    if dialect == "messages":
        body["max_tokens"] = 100
    return worker.post(json.dumps(body).encode(), path=PATHS[dialect])


def ids(answer: Answer) -> set[str]:
    return {answer.headers.get("request-id", ""), answer.headers["x-request-id"]}


@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])
def test_anthropics_sdks_learn_the_id_of_an_answer(worker: Worker, is_streaming: bool) -> None:
    """They read ``request-id`` alone, as ``message._request_id``."""
    worker.provider.will(saying(ChoiceDelta(text="Hi")))
    answer = ask(worker, "messages", stream=is_streaming)
    assert answer.status == 200
    assert ids(answer) == {answer.headers["x-request-id"]}


def test_anthropics_sdks_learn_the_id_of_an_error_once(worker: Worker) -> None:
    worker.provider.will([ProviderFailed("no")])
    answer = ask(worker, "messages")
    assert answer.status == 502
    assert ids(answer) == {answer.json["request_id"]}


def test_the_id_is_told_where_no_request_began(worker: Worker) -> None:
    answer = worker.post(b"", path="/v1/messages/nowhere")
    assert answer.status == 404
    assert ids(answer) == {answer.json["request_id"]}


def test_other_dialects_have_one_id_alone(worker: Worker) -> None:
    worker.provider.will(saying(ChoiceDelta(text="Hi")))
    assert "request-id" not in ask(worker, "chat").headers


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("error", [ProviderRefusedKey("no"), ModelNotFound("no")])
def test_nobody_asks_again_for_what_only_an_operator_mends(
    worker: Worker, dialect: str, error: ProviderError
) -> None:
    """The SDKs of OpenAI and Anthropic try a 502 two more times, unless they are told not to."""
    worker.provider.will([error])
    answer = ask(worker, dialect)
    assert (answer.status, answer.headers.get("x-should-retry")) == (502, "false")


@pytest.mark.parametrize("dialect", PATHS)
def test_a_failure_that_may_pass_is_tried_again(worker: Worker, dialect: str) -> None:
    worker.provider.will([ProviderFailed("no")])
    answer = ask(worker, dialect)
    assert answer.status == 502
    assert "x-should-retry" not in answer.headers


@pytest.mark.parametrize(
    ("code", "is_waiting"),
    [
        ("provider_credentials_refused", True),
        ("provider_model_not_found", True),
        ("output_refused", False),
        (None, False),
    ],
)
def test_a_batch_waits_for_the_operator_all_the_same(code: str | None, is_waiting: bool) -> None:
    body = json.dumps({"error": {"message": "no", "code": code}}).encode()
    answer = InnerAnswer(502, {"x-should-retry": "false"}, body)
    assert is_worth_waiting(answer) is is_waiting
    assert is_worth_waiting(InnerAnswer(502, {}, b"<html>"))
