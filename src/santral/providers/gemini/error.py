"""What Google says when it refuses, as our errors.

``{"error": {code, message, status, details}}``, in a list where a stream was asked for as an array.
``status`` is a canonical code of gRPC and decides; the wait is in ``RetryInfo``. Sources:
https://cloud.google.com/apis/design/errors, https://ai.google.dev/gemini-api/docs/troubleshooting
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

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
from santral.providers.openai.error import (
    built,
    kind_of_status,
    says_too_long,
    scrubbed,
    verb_of,
)
from santral.providers.openai.hints import retry_after


class _Detail(Struct, rename={"type": "@type", "retry_delay": "retryDelay"}):
    type: str = ""
    reason: str = ""
    retry_delay: str = ""


class _Error(Struct):
    code: int = 0
    message: str = ""
    status: str = ""
    details: list[_Detail] = []


class _Body(Struct):
    error: Any = None


_body: msgspec.json.Decoder[_Body | list[_Body]] = msgspec.json.Decoder(_Body | list[_Body])


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float, secret: str = ""
) -> ProviderError:
    """Return the error for an answer with a status other than 200; see ``openai.error.refusal``."""
    error = _read(body)
    text = scrubbed(error.message, secret) or f"status {status}"
    kind = _kind_of(status, error)
    return _build(error, f"The provider {verb_of(kind)}: {text}", status, retry_after(headers, now))


def error_inside(value: Any, *, secret: str = "") -> ProviderError:
    """Return the error for an ``error`` that came inside a 200."""
    error = _as_error(value)
    text = scrubbed(error.message, secret) or "no reason given"
    return _build(error, f"The provider failed inside its answer: {text}", 200, None)


def _read(body: bytes) -> _Error:
    try:
        read = _body.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Error()
    if isinstance(read, list):
        read = read[0] if read else _Body()
    return _as_error(read.error)


def _as_error(value: Any) -> _Error:
    if isinstance(value, str):
        return _Error(message=value)
    try:
        return msgspec.convert(value, _Error)
    except msgspec.ValidationError:
        return _Error()


def _build(error: _Error, text: str, status: int, wait_s: float | None) -> ProviderError:
    code = status if status != 200 else error.code
    kind = _kind_of(code, error)
    return built(kind, text, status, _wait_s(error) if wait_s is None else wait_s)


def _kind_of(code: int, error: _Error) -> type[ProviderError]:
    if error.status in ("", "INVALID_ARGUMENT") and code in (0, 400, 413):
        return _kind_of_argument(error)
    kind = _KIND_OF_STATUS.get(error.status) or kind_of_status(code) or ProviderFailed
    is_busy = kind is ProviderFailed and "overloaded" in error.message.lower()
    return ProviderBusy if is_busy else kind


def _kind_of_argument(error: _Error) -> type[ProviderError]:
    """A 400 says with its words alone that a key is wrong or a prompt too long."""
    if any(detail.reason == "API_KEY_INVALID" for detail in error.details):
        return ProviderRefusedKey
    if _TOO_LONG.search(error.message) or says_too_long(error.message):
        return ContextWindowExceeded
    if _POLICY.search(error.message):
        return ContentPolicyRefused
    return ProviderRefusedRequest if error.message or error.code else ProviderFailed


def _wait_s(error: _Error) -> float | None:
    """Return ``RetryInfo.retryDelay`` ("13s", "34.4s"), which JSON spells as google.protobuf.Duration."""
    for detail in error.details:
        found = _DURATION.fullmatch(detail.retry_delay)
        if detail.type.endswith("google.rpc.RetryInfo") and found is not None:
            return float(found[1])
    return None


_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")

#: "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
_TOO_LONG = re.compile(r"token count.{0,60}exceeds the maximum number of tokens", re.IGNORECASE)
_POLICY = re.compile(
    r"blocked by.{0,40}(?:safety|policy)|responsible AI|Model Armor", re.IGNORECASE
)

#: Source: https://cloud.google.com/apis/design/errors#handling_errors. FAILED_PRECONDITION is a
#: region without the API or a project without billing: an operator must act.
_KIND_OF_STATUS: dict[str, type[ProviderError]] = {
    "RESOURCE_EXHAUSTED": ProviderBusy,
    "UNAUTHENTICATED": ProviderRefusedKey,
    "PERMISSION_DENIED": ProviderRefusedKey,
    "FAILED_PRECONDITION": ProviderRefusedKey,
    "NOT_FOUND": ModelNotFound,
    "DEADLINE_EXCEEDED": ProviderTimeout,
    "UNAVAILABLE": ProviderFailed,
    "INTERNAL": ProviderFailed,
    "UNKNOWN": ProviderFailed,
}
