"""What Anthropic says when it refuses, as our errors: the type decides, then the status.

Source: https://platform.claude.com/docs/en/api/errors and /api/rate-limits there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

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
from santral.providers.openai.error import built, kind_of_status, scrubbed, verb_of
from santral.providers.openai.hints import retry_after


class _Error(Struct):
    type: Any = None
    message: Any = None


class _Body(Struct):
    error: Any = None


_decoder = msgspec.json.Decoder(_Body)


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float, secret: str = ""
) -> ProviderError:
    """Return the error for an answer with a status other than 200; see ``openai.error.refusal``."""
    try:
        error = _as_error(_decoder.decode(body).error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = _Error()  # HTML or nothing: the status says enough
    kind = _kind_of(error) or kind_of_status(status) or ProviderFailed
    text = scrubbed(error.message, secret) or f"status {status}"
    wait_s = _wait_s(headers, now) if kind in (ProviderBusy, ProviderFailed) else None
    return built(kind, f"The provider {verb_of(kind)}: {text}", status, wait_s)


def error_inside(value: Any, *, secret: str = "") -> ProviderError:
    """Return the error for an ``event: error`` inside a stream that began with 200."""
    error = _as_error(value)
    kind = _kind_of(error) or ProviderFailed
    text = scrubbed(error.message, secret) or "no reason given"
    return built(kind, f"The provider failed inside its answer: {text}", 200)


def _as_error(value: Any) -> _Error:
    try:
        return msgspec.convert(value, _Error)
    except msgspec.ValidationError:
        return _Error(message=value if isinstance(value, str) else None)


def _kind_of(error: _Error) -> type[ProviderError] | None:
    word = error.type if isinstance(error.type, str) else ""
    said = error.message if isinstance(error.message, str) else ""
    if word in ("invalid_request_error", "request_too_large", "") and _TOO_LONG.search(said):
        return ContextWindowExceeded
    if word == "invalid_request_error" and _NO_MONEY.search(said):
        return ProviderRefusedKey
    return _OF_TYPE.get(word)


def _wait_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return how long to wait: what is said, or when the limit that is used up opens again."""
    said = retry_after(headers, now)
    if said is not None:
        return said
    waits = [
        _until(headers.get(f"anthropic-ratelimit-{limit}-reset"), now)
        for limit in _LIMITS
        if headers.get(f"anthropic-ratelimit-{limit}-remaining") == "0"
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def _until(moment: str | None, now: float) -> float | None:
    try:
        return max(0.0, datetime.fromisoformat(moment or "").timestamp() - now)
    except ValueError:
        return None


_LIMITS = ("requests", "tokens", "input-tokens", "output-tokens")

_OF_TYPE: dict[str, type[ProviderError]] = {
    "invalid_request_error": ProviderRefusedRequest,
    "request_too_large": ProviderRefusedRequest,
    "authentication_error": ProviderRefusedKey,
    "billing_error": ProviderRefusedKey,
    "permission_error": ProviderRefusedKey,
    "not_found_error": ModelNotFound,
    "rate_limit_error": ProviderBusy,
    "timeout_error": ProviderTimeout,
    "overloaded_error": ProviderFailed,
    "api_error": ProviderFailed,
}

#: "prompt is too long: 212345 tokens > 200000 maximum", "input length and `max_tokens` exceed context
#: limit: 198456 + 8192 > 200000". Source: answers of the API, quoted in its SDKs' issues.
_TOO_LONG = re.compile(
    r"prompt is too long|exceed(?:s|ed)? (?:the )?(?:model's )?context (?:limit|window)",
    re.IGNORECASE,
)
#: "Your credit balance is too low to access the Anthropic API", with status 400.
_NO_MONEY = re.compile(r"credit balance is too low", re.IGNORECASE)
