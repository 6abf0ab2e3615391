"""What a provider says when it refuses: our error, its sentence, and never a key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import (
    ContextWindowExceeded,
    ModelNotFound,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderRefusedKey,
    ProviderRefusedRequest,
    ProviderTimeout,
)
from santral.providers.openai_error import MAX_MESSAGE, error_inside, refusal, retry_after

NOW = 1_700_000_000.0


def refused(status: int, body: bytes = b"", secret: str = "") -> ProviderError:
    return refusal(status, {}, body, now=NOW, secret=secret)


def body_of(error: Any) -> bytes:
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ProviderRefusedRequest),
        (404, ModelNotFound),
        (409, ProviderRefusedRequest),
        (413, ProviderRefusedRequest),
        (422, ProviderRefusedRequest),
        (401, ProviderRefusedKey),
        (402, ProviderRefusedKey),
        (403, ProviderRefusedKey),
        (408, ProviderTimeout),
        (504, ProviderTimeout),
        (429, ProviderBusy),
        (500, ProviderFailed),
        (503, ProviderFailed),
        (529, ProviderFailed),
        (302, ProviderFailed),
        (204, ProviderFailed),
    ],
)
def test_the_status_decides(status: int, kind: type[ProviderError]) -> None:
    error = refused(status)
    assert type(error) is kind
    assert error.upstream_status == status
    assert str(status) in error.message


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4097 tokens.",
        "the request exceeds the available context size, try increasing it",
        "Input is too long for requested model: prompt is too long: 9000 tokens > 8192 maximum",
        "Requested token count exceeds the model's maximum context length of 8192 tokens.",
        "Prompt contains 9000 tokens ... too large for model with 8192 maximum context length",
    ],
)
def test_a_context_window_is_recognised_in_the_words_of_each_engine(message: str) -> None:
    error = refused(400, body_of({"message": message, "type": "BadRequestError", "code": 400}))
    assert isinstance(error, ContextWindowExceeded)
    assert error.detail_code == "context_window_exceeded"
    assert error.retryable, "a deployment with a longer window may take it"


def test_an_ordinary_refusal_is_not_a_context_window() -> None:
    error = refused(400, body_of({"message": "Unknown parameter: 'x'.", "param": "x"}))
    assert type(error) is ProviderRefusedRequest
    assert error.param == "x"
    assert not error.retryable


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b"\xff\xfe",
        b"[]",
        b'{"error":null}',
        b'{"error":["x"]}',
        b'{"error":{"message":{"nested":true}}}',
        b"[" * 50_000,
    ],
)
def test_a_body_of_any_shape_is_survived(body: bytes) -> None:
    assert isinstance(refused(500, body), ProviderFailed)


@pytest.mark.parametrize(
    "body",
    [
        body_of("it broke"),
        body_of({"message": "it broke"}),
        b'{"message":"it broke"}',
        b'{"detail":"it broke"}',
    ],
)
def test_the_providers_sentence_is_found_where_vendors_put_it(body: bytes) -> None:
    assert "it broke" in refused(500, body).message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "overloaded_error"}, ProviderBusy),
        ({"type": "requests"}, ProviderBusy),
        ({"code": "rate_limit_exceeded"}, ProviderBusy),
        ({"code": 429}, ProviderBusy),
        ({"code": 502}, ProviderFailed),
        ({"code": 504}, ProviderTimeout),
        ({"code": 401}, ProviderRefusedKey),
        ({"type": "invalid_request_error"}, ProviderRefusedRequest),
        ({"code": "context_length_exceeded"}, ContextWindowExceeded),
        ({"code": "insufficient_quota"}, ProviderRefusedKey),
        ({"type": "server_error"}, ProviderFailed),
        ("something", ProviderFailed),
        (True, ProviderFailed),
    ],
)
def test_an_error_inside_a_200_is_sorted_by_its_words(
    error: Any, kind: type[ProviderError]
) -> None:
    assert type(error_inside(error)) is kind


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30),
        ({"retry-after": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "tomorrow"}, None),
    ],
)
def test_hints_to_wait(headers: dict[str, str], wait_s: float | None) -> None:
    assert retry_after(headers, NOW) == wait_s


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-abcdefgh12345678",
        "sk-abc***************wxyz",
        "gsk_abcdefgh12345678",
        "xai-abcdefgh12345678",
        "nvapi-abcdefgh12345678",
        "AIzaSyA1234567890abcdef",
        "Bearer abcdefgh12345678",
    ],
)
def test_a_key_in_any_vendors_form_is_cut_out(key: str) -> None:
    message = refused(401, body_of({"message": f"Incorrect key: {key} given"})).message
    assert key.removeprefix("Bearer ") not in message
    assert "[key]" in message


@given(st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=8), st.text())
def test_the_key_in_use_never_comes_through(secret: str, around: str) -> None:
    body = body_of({"message": f"{around} {secret} {around}"})
    assert (
        secret not in refused(401, body, secret).message or secret in "The provider refused: [key]"
    )


def test_a_page_is_cut_to_a_sentence() -> None:
    message = refused(500, body_of({"message": "line\n" * 10_000})).message
    assert len(message) < MAX_MESSAGE + 50
    assert "\n" not in message
