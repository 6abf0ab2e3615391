"""Asks a worker in OpenAI's Responses protocol; every stream is checked."""

from __future__ import annotations

import json
from typing import Any

from tests.gateway.worker import KEY, Answer, Worker
from tests.stream_checker_responses import check_response, check_responses_stream

PATH = "/v1/responses"


def create(
    worker: Worker, said: Any = "Hello", /, *, key: str = KEY.plaintext, **fields: Any
) -> Answer:
    """Send a request whose input is ``said``."""
    body = {"model": "plain", "input": said, **fields}
    answer = worker.post(json.dumps(body).encode(), key=key, path=PATH)
    if answer.status == 200:
        response_of(answer)
    return answer


def response_of(answer: Answer) -> dict[str, Any]:
    """The response object of an answer, whole or the last one of a stream."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        return check_responses_stream(answer.body)[-1]["response"]
    check_response(answer.json)
    return answer.json


def get(worker: Worker, path: str, *, key: str = KEY.plaintext, method: str = "GET") -> Answer:
    """Ask for something under /v1/responses."""
    return worker.post(b"", key=key, path=f"{PATH}/{path}", method=method)


def asked(worker: Worker, position: int = -1) -> list[dict[str, Any]]:
    """The messages that the provider got."""
    return worker.provider.asked[position].fields["messages"]
