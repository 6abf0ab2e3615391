"""Refusals of rerank requests, as OpenAI's clients and Cohere's read them."""

from __future__ import annotations

import json

import pytest
from tests.gateway.worker import Worker


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_coheres_clients_find_the_message_where_cohere_puts_it(worker: Worker, path: str) -> None:
    """The AI SDK says "Not Found" alone where the body has no ``message`` of its own."""
    body = {"model": "rankk", "query": "q", "documents": ["a"]}
    answer = worker.post(json.dumps(body).encode(), path=path)
    assert answer.status == 404
    assert answer.json["message"] == answer.json["error"]["message"]
    assert "rankk" in answer.json["message"]


def test_other_tasks_keep_openais_body(worker: Worker) -> None:
    answer = worker.post(b'{"model": "nope", "input": "x"}', path="/v1/embeddings")
    assert answer.json.keys() == {"error"}
