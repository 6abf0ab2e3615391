"""What a provider says when it refuses: our error, its sentence, and never a key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import (
    ContentPolicyRefused,
    ContextWindowExceeded,
    ModelNotFound,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderRefusedKey,
    ProviderRefusedRequest,
    ProviderTimeout,
)
from santral.providers.openai.error import MAX_MESSAGE, error_inside, refusal
from santral.providers.openai.hints import read_duration, retry_after

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


def flat(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


#: vendor, status, body, what it is, how long it asks to wait. Sentences as the vendors write them.
SAID: tuple[tuple[str, int, bytes, type[ProviderError], float | None], ...] = (
    ("openai", 400, body_of({"message": "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.", "code": "context_length_exceeded"}), ContextWindowExceeded, None),
    ("vllm", 400, flat(object="error", message="This model's maximum context length is 4096 tokens. However, you requested 5000 tokens", type="BadRequestError", code=400), ContextWindowExceeded, None),
    ("vllm", 400, body_of({"message": "You passed 5000 input tokens and requested 100 output tokens. However, the model's context length is only 4096 tokens, resulting in a maximum input length of 3996 tokens.", "code": 400}), ContextWindowExceeded, None),
    ("vllm", 400, body_of({"message": "The decoder prompt (length 5000) is longer than the maximum model length of 4096."}), ContextWindowExceeded, None),
    ("sglang", 400, flat(object="error", message="The input (5000 tokens) is longer than the model's context length (4096 tokens)."), ContextWindowExceeded, None),
    ("sglang", 400, flat(object="error", message="Requested token count exceeds the model's maximum context length of 8192 tokens."), ContextWindowExceeded, None),
    ("tgi", 422, flat(error="Input validation error: `inputs` must have less than 4095 tokens. Given: 5000", error_type="validation"), ContextWindowExceeded, None),
    ("tgi", 422, flat(error="Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096.", error_type="validation"), ContextWindowExceeded, None),
    ("llamacpp", 400, body_of({"code": 400, "message": "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it", "type": "exceed_context_size_error", "n_ctx": 4096}), ContextWindowExceeded, None),
    ("groq", 400, body_of({"message": "Please reduce the length of the messages or completion.", "type": "invalid_request_error", "code": "context_length_exceeded"}), ContextWindowExceeded, None),
    ("groq", 413, body_of({"message": "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 8000", "type": "tokens", "code": "rate_limit_exceeded"}), ContextWindowExceeded, None),
    ("mistral", 400, flat(object="error", message="Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length", type="invalid_request_prompt_too_long", code="3051"), ContextWindowExceeded, None),
    ("fireworks", 400, body_of({"message": "The prompt is too long: 200000, model maximum context length: 131071", "code": "invalid_request_error"}), ContextWindowExceeded, None),
    ("xai", 400, flat(code="Client specified an invalid argument", error="This model's maximum prompt length is 131072 but the request contains 537812 tokens."), ContextWindowExceeded, None),
    ("cohere", 400, flat(message="too many tokens: size limit exceeded by 11326 tokens."), ContextWindowExceeded, None),
    ("lmstudio", 400, flat(error="The number of tokens to keep from the initial prompt is greater than the context length."), ContextWindowExceeded, None),
    ("tensorrt-llm", 400, flat(object="error", message="Prompt length (5000.0) exceeds maximum input length (4096)."), ContextWindowExceeded, None),
    ("tensorrt-llm", 400, flat(object="error", message="The sum of prompt length (5000.0) should not exceed max_num_tokens (4096)"), ContextWindowExceeded, None),
    ("ollama", 400, flat(error="the input length exceeds the context length"), ContextWindowExceeded, None),
    ("azure", 400, body_of({"code": "content_filter", "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", "param": "prompt"}), ContentPolicyRefused, None),
    ("openai", 400, body_of({"code": "invalid_prompt", "message": "Invalid prompt: your prompt was flagged as potentially violating our usage policy."}), ContentPolicyRefused, None),
    ("deepseek", 400, body_of({"message": "Content Exists Risk", "type": "invalid_request_error"}), ContentPolicyRefused, None),
    ("xai", 403, flat(code="The caller does not have permission to execute the specified operation", error="Content violates usage guidelines."), ContentPolicyRefused, None),
    ("openrouter", 403, body_of({"code": 403, "message": "openai/gpt-4o requires moderation on OpenAI. Your input was flagged for \"violence\".", "metadata": {"reasons": ["violence"]}}), ContentPolicyRefused, None),
    ("cohere", 498, flat(message="blocked by a deny-listed token"), ContentPolicyRefused, None),
    ("openai", 404, body_of({"message": "The model `gpt-9` does not exist", "code": "model_not_found"}), ModelNotFound, None),
    ("azure", 404, body_of({"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}), ModelNotFound, None),
    ("azure", 404, body_of({"code": "404", "message": "Resource not found"}), ModelNotFound, None),
    ("groq", 400, body_of({"message": "The model `x` has been decommissioned and is no longer supported.", "code": "model_decommissioned"}), ModelNotFound, None),
    ("openrouter", 400, body_of({"message": "foo/bar is not a valid model ID", "code": 400}), ModelNotFound, None),
    ("deepseek", 400, body_of({"message": "Model Not Exist"}), ModelNotFound, None),
    ("nvidia", 404, flat(status=404, title="Not Found", detail="Function 'x': Not found for account 'y'"), ModelNotFound, None),
    ("nvidia", 410, flat(status=410, title="Gone", detail="The model has reached its end of life"), ModelNotFound, None),
    ("xai", 400, flat(code="Client specified an invalid argument", error="Incorrect API key provided: xa***xx."), ProviderRefusedKey, None),
    ("google-openai", 400, body_of({"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}), ProviderRefusedKey, None),
    ("deepseek", 402, body_of({"message": "Insufficient Balance"}), ProviderRefusedKey, None),
    ("openai", 429, body_of({"message": "You exceeded your current quota", "code": "insufficient_quota"}), ProviderRefusedKey, None),
    ("openai", 429, body_of({"message": "Rate limit reached for gpt-4o. Please try again in 6m0s.", "code": "rate_limit_exceeded"}), ProviderBusy, 360.0),
    ("groq", 429, body_of({"message": "Rate limit reached. Please try again in 1m2.5s. Need more tokens?", "type": "tokens"}), ProviderBusy, 62.5),
    ("azure", 429, body_of({"code": "429", "message": "exceeded token rate limit. Please retry after 26 seconds."}), ProviderBusy, 26.0),
    ("google-openai", 429, body_of({"code": 429, "message": "Quota exceeded. Please retry in 13.5s.", "status": "RESOURCE_EXHAUSTED"}), ProviderBusy, 13.5),
    ("openai", 429, body_of({"message": "Please try again in 120ms."}), ProviderBusy, 0.12),
    ("tgi", 429, flat(error="Model is overloaded", error_type="overloaded"), ProviderBusy, None),
    ("tgi", 424, flat(error="Request failed during generation", error_type="generation"), ProviderFailed, None),
    ("llamacpp", 503, body_of({"code": 503, "message": "Loading model", "type": "unavailable_error"}), ProviderFailed, None),
    ("mistral", 422, flat(object="error", message={"detail": [{"type": "extra_forbidden", "loc": ["body", "x"]}]}), ProviderRefusedRequest, None),
    ("openai", 400, body_of({"message": "Invalid 'messages[0].content': expected a string.", "param": "messages"}), ProviderRefusedRequest, None),
    ("openai", 400, body_of({"message": "Unsupported parameter: 'max_tokens' is not supported with this model."}), ProviderRefusedRequest, None),
    ("openai", 400, body_of({"message": "The image was not found at its address."}), ProviderRefusedRequest, None),
)  # fmt: skip


@pytest.mark.parametrize(
    ("vendor", "status", "body", "kind", "wait_s"),
    SAID,
    ids=[f"{vendor}-{status}-{kind.__name__}" for vendor, status, _, kind, _ in SAID],
)
def test_every_vendors_refusal_is_understood(
    vendor: str, status: int, body: bytes, kind: type[ProviderError], wait_s: float | None
) -> None:
    error = refused(status, body)
    assert type(error) is kind, vendor
    assert error.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, 1.0),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s",
          "x-ratelimit-remaining-tokens": "0", "x-ratelimit-remaining-requests": "9"}, 360.0),
        ({"x-ratelimit-reset-tokens": "7.66s", "x-ratelimit-remaining-tokens": "0"}, 7.66),
        ({"x-ratelimit-reset-requests": "2m59.56s", "x-ratelimit-remaining-requests": "0"}, 179.56),
        ({"x-ratelimit-reset-tokens": "12ms"}, 0.012),
        ({"x-ratelimit-reset": "30"}, 30.0),
        ({"x-ratelimit-reset": str(int(NOW + 5))}, 5.0),
        ({"x-ratelimit-reset": str(int((NOW + 5) * 1000))}, 5.0),
        ({"x-ratelimit-reset": str(int(NOW - 5))}, 0.0),
        ({"x-ratelimit-reset-requests": "soon"}, None),
        ({"retry-after": "3", "x-ratelimit-reset": "30"}, 3.0),
        ({"retry-after-ms": "1500", "retry-after": "3"}, 1.5),
    ],
)  # fmt: skip
def test_a_busy_providers_headers_say_when_to_come_back(
    headers: dict[str, str], wait_s: float | None
) -> None:
    error = refusal(429, headers, b'{"error":{"message":"busy"}}', now=NOW)
    assert isinstance(error, ProviderBusy)
    assert error.retry_after_s == (None if wait_s is None else pytest.approx(wait_s))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360), ("1h2m3.5s", 3723.5), ("120ms", 0.12), ("26 seconds", 26), ("2 minutes", 120),
        ("1d", 86400), ("7", 7), ("", None), ("soon", None), ("-1s", None), ("6m and more", None),
    ],
)  # fmt: skip
def test_durations_are_read_as_people_and_programs_write_them(
    text: str, seconds: float | None
) -> None:
    assert read_duration(text) == (None if seconds is None else pytest.approx(seconds))


@given(st.text(max_size=60))
def test_any_text_is_a_duration_or_none(text: str) -> None:
    seconds = read_duration(text)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("error", "kind", "wait_s"),
    [
        ({"code": "429", "message": "Please retry after 26 seconds."}, ProviderBusy, 26.0),
        ({"object": "error", "message": "boom", "type": "InternalServerError", "code": 500},
         ProviderFailed, None),
        ({"message": "CUDA out of memory", "http_status_code": 424}, ProviderFailed, None),
        ("model requires more system memory", ProviderFailed, None),
        ({"message": "maximum context length is 4096"}, ContextWindowExceeded, None),
        ({"code": "content_filter"}, ContentPolicyRefused, None),
        ({"code": "model_not_found"}, ModelNotFound, None),
    ],
)  # fmt: skip
def test_an_error_inside_an_answer_is_understood_as_well(
    error: Any, kind: type[ProviderError], wait_s: float | None
) -> None:
    made = error_inside(error)
    assert type(made) is kind
    assert made.retry_after_s == wait_s


def test_llama_cpp_says_how_long_its_context_is() -> None:
    body = body_of(
        {
            "code": 400,
            "message": "the request exceeds it",
            "type": "exceed_context_size_error",
            "n_ctx": 4096,
        }
    )
    assert "its context holds 4096 tokens" in refused(400, body).message


def test_only_the_beginning_of_a_message_says_what_it_is_about() -> None:
    quoted = "Bad field. You sent: " + "x" * 5000 + " maximum context length"
    assert type(refused(400, body_of({"message": quoted}))) is ProviderRefusedRequest
