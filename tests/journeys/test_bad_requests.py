"""Malformed requests get OpenAI's error shape, a code and a remedy, and never reach a provider."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.journeys.conftest import Santral
from tests.upstream import Upstream

pytestmark = pytest.mark.journey

USER = {"role": "user", "content": "Hi"}

CASES: list[tuple[str, Any, int, str, str | None]] = [
    ("no JSON", b"{", 400, "invalid_json", None),
    ("invalid UTF-8", b'{"model":"\xff","messages":[]}', 400, "invalid_json", None),
    ("a list", b"[]", 400, "invalid_request", None),
    (
        "nested without end",
        b'{"model":"ok","messages":[],"x":' + b"[" * 100_000,
        400,
        "invalid_json",
        None,
    ),
    ("no model", {"messages": [USER]}, 400, "invalid_request", None),
    ("model of a wrong type", {"model": 1, "messages": [USER]}, 400, "invalid_request", "model"),
    ("no messages", {"model": "ok"}, 400, "invalid_request", None),
    ("empty messages", {"model": "ok", "messages": []}, 400, "bad_request", "messages"),
    (
        "unknown role",
        {"model": "ok", "messages": [{"role": "bot", "content": ""}]},
        400,
        "invalid_request",
        "messages[0].role",
    ),
    (
        "content of a wrong type",
        {"model": "ok", "messages": [{"role": "user", "content": 7}]},
        400,
        "invalid_request",
        "messages[0].content",
    ),
    ("unknown route", {"model": "nope", "messages": [USER]}, 404, "model_not_found", "model"),
    (
        "unknown extra",
        {"model": "ok", "messages": [USER], "santral": {"sesion": "1"}},
        400,
        "unknown_extra",
        "santral.sesion",
    ),
    (
        "unknown prompt",
        {"model": "ok", "messages": [USER], "santral": {"prompt": {"name": "nope"}}},
        404,
        "prompt_not_found",
        "santral.prompt.name",
    ),
    (
        "a schema that is none",
        {"model": "ok", "messages": [USER], "santral": {"output_schema": {"type": "strange"}}},
        400,
        "invalid_json_schema",
        None,
    ),
    (
        "unknown collection",
        {"model": "ok", "messages": [USER], "santral": {"retrieval": {"collection": "nope"}}},
        404,
        "collection_not_found",
        "santral.retrieval.collection",
    ),
]


@pytest.mark.parametrize(
    ("name", "body", "status", "code", "param"),
    CASES,
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_malformed_request_is_refused_by_name(
    santral: Santral,
    upstream: Upstream,
    name: str,
    body: Any,
    status: int,
    code: str,
    param: str | None,
) -> None:
    asked = len(upstream.seen)
    got, headers, answer = santral.post(body)
    error = json.loads(answer)["error"]
    assert (got, error["code"]) == (status, code), answer
    assert set(error) == {"message", "type", "param", "code"}
    if param is not None:
        assert error["param"] == param
    assert headers["x-request-id"].startswith("req_")
    assert len(upstream.seen) == asked


def test_a_refused_request_leaves_a_trace_that_says_why(santral: Santral) -> None:
    _, headers, _ = santral.post({"model": "nope", "messages": [USER]})
    trace = santral.trace(headers["x-santral-trace-id"])
    assert trace["status"] == 404
    assert trace["error"] == "model_not_found"
    assert trace["requested_model"] == "nope"


def test_a_body_over_the_limit_is_refused_before_it_is_read(santral: Santral) -> None:
    address = urlsplit(santral.gateway)
    with socket.create_connection((address.hostname, address.port), timeout=5) as sock:
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n"
            + f"authorization: Bearer {santral.key}\r\n\r\n".encode()
        )
        answer = b""
        while b"request_too_large" not in answer and (more := sock.recv(65536)):
            answer += more  # head and body may come apart
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"request_too_large" in answer


def test_an_upload_that_breaks_off_disturbs_nobody(santral: Santral, upstream: Upstream) -> None:
    asked = len(upstream.seen)
    address = urlsplit(santral.gateway)
    for _ in range(5):
        with socket.create_connection((address.hostname, address.port), timeout=5) as sock:
            sock.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n"
                + f"authorization: Bearer {santral.key}\r\n\r\n".encode()
                + b'{"model":"ok"'
            )
    assert santral.post(santral.chat("ok"))[0] == 200
    assert len(upstream.seen) == asked + 1


def test_compressed_bodies_are_refused_by_name(santral: Santral) -> None:
    status, _, answer = santral.post(santral.chat("ok"), headers={"content-encoding": "gzip"})
    assert status == 400
    assert json.loads(answer)["error"]["code"] == "unsupported_encoding"


def test_unknown_endpoints_and_methods_are_named(santral: Santral) -> None:
    status, _, answer = santral.get(f"{santral.gateway}/v1/chat/completion")
    assert status == 404
    assert "Did you mean '/v1/chat/completions'" in json.loads(answer)["error"]["message"]
    status, _, answer = santral.get(f"{santral.gateway}/v1/chat/completions")
    assert status == 405
    assert "takes POST, not GET" in json.loads(answer)["error"]["message"]
