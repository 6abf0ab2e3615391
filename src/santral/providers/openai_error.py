"""What an OpenAI-like provider says when it refuses, as our errors.

Vendors agree on ``{"error": {"message", "type", "code", "param"}}`` and on nothing else: the code
may be a number, a word or null, the error a plain string, the body HTML. The status decides first,
then the words of ``type`` and ``code``; only a context window is read from the message too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from msgspec import Struct

from santral.errors import (
    ContextWindowExceeded,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderRefusedKey,
    ProviderRefusedRequest,
    ProviderTimeout,
)

#: A provider's message beyond this is a page, not a sentence. Chosen.
MAX_MESSAGE = 500


class _Error(Struct):
    message: Any = None
    type: Any = None
    code: Any = None
    param: Any = None


class _Body(Struct):
    error: Any = None
    detail: Any = None
    message: Any = None


_body_decoder = msgspec.json.Decoder(_Body)


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float, secret: str = ""
) -> ProviderError:
    """Return the error for an answer with a status other than 200.

    ``now`` is seconds since the Unix epoch, for a ``retry-after`` that is a date; ``secret`` is the
    key in use, which some providers quote in their message.
    """
    error = _read(body)
    text = _sentence(error.message, secret) or f"status {status}"
    kind = _kind_of(status, error)
    wait_s = retry_after(headers, now)
    verb = "failed" if issubclass(kind, ProviderFailed | ProviderTimeout) else "refused"
    return _build(kind, f"The provider {verb}: {text}", status, wait_s, error)


def error_inside(value: Any, *, secret: str = "") -> ProviderError:
    """Return the error for an ``error`` that came inside a 200: in the body or in a stream event."""
    error = _as_error(value)
    status = error.code if isinstance(error.code, int) else _STATUS_OF.get(_word(error.type), 200)
    kind = _kind_of(status, error)
    text = _sentence(error.message, secret) or "no reason given"
    return _build(kind, f"The provider failed inside its answer: {text}", 200, None, error)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return how many seconds the provider asks to wait, or None.

    Reads ``retry-after-ms``, then ``retry-after`` as seconds, fractions or an HTTP date.
    Source: RFC 9110 section 10.2.3; the milliseconds are OpenAI's and Azure's.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def scrubbed(message: Any, secret: str) -> str:
    """Return a provider's message on one line, bounded, and without anything like a key."""
    return _sentence(message, secret)


def says_too_long(message: str) -> bool:
    """Whether a provider's message says that the request is longer than its model takes."""
    return _CONTEXT_WINDOW.search(message) is not None


def _number(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < 1e9 else None  # nan compares false


def _read(body: bytes) -> _Error:
    try:
        read = _body_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Error()  # HTML or nothing: the status says enough
    error = _as_error(read.error)
    if error.message is None:
        error.message = read.message if read.message is not None else read.detail
    return error


def _as_error(value: Any) -> _Error:
    if isinstance(value, str):
        return _Error(message=value)
    try:
        return msgspec.convert(value, _Error)
    except msgspec.ValidationError:
        return _Error()


def _kind_of(status: int, error: _Error) -> type[ProviderError]:
    words = f"{_word(error.type)} {_word(error.code)}"
    if _is_context_window(status, words, error.message):
        return ContextWindowExceeded
    if status == 429:
        # OpenAI answers 429 when the account has no money: waiting does not help, an operator does.
        return ProviderRefusedKey if "insufficient_quota" in words else ProviderBusy
    by_status = _KIND_OF_STATUS.get(status)
    if by_status is not None:
        return by_status
    if 400 <= status < 500:
        return ProviderRefusedRequest
    return next((kind for mark, kind in _KIND_OF_WORD if mark in words), ProviderFailed)


def _is_context_window(status: int, words: str, message: Any) -> bool:
    if status not in (200, 400, 413, 422):
        return False
    if "context_length_exceeded" in words or "context_window" in words:
        return True
    return isinstance(message, str) and _CONTEXT_WINDOW.search(message) is not None


def _build(
    kind: type[ProviderError], text: str, status: int, wait_s: float | None, error: _Error
) -> ProviderError:
    if issubclass(kind, ProviderTimeout):
        timeout = ProviderTimeout(text, phase="provider")
        timeout.upstream_status = status
        return timeout
    param = error.param if isinstance(error.param, str) else None
    return kind(text, upstream_status=status, retry_after_s=wait_s, param=param)


def _word(value: Any) -> str:
    return value.lower() if isinstance(value, str) else ""


def _sentence(message: Any, secret: str) -> str:
    """Return the provider's message on one line, bounded, and without anything like a key."""
    if message is None:
        return ""
    text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    if secret:
        text = text.replace(secret, "[key]")
    text = _KEY.sub("[key]", " ".join(text[: 4 * MAX_MESSAGE].split()))
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


_KIND_OF_STATUS: dict[int, type[ProviderError]] = {
    401: ProviderRefusedKey,
    402: ProviderRefusedKey,
    403: ProviderRefusedKey,
    408: ProviderTimeout,
    504: ProviderTimeout,
}

#: Looked for in ``type`` and ``code``, in this order, where the status decides nothing.
_KIND_OF_WORD: tuple[tuple[str, type[ProviderError]], ...] = (
    ("rate_limit", ProviderBusy),
    ("too_many_requests", ProviderBusy),
    ("overloaded", ProviderBusy),
    ("throttl", ProviderBusy),
    ("resource_exhausted", ProviderBusy),
    ("insufficient_quota", ProviderRefusedKey),
    ("authentication", ProviderRefusedKey),
    ("invalid_api_key", ProviderRefusedKey),
    ("permission", ProviderRefusedKey),
    ("billing", ProviderRefusedKey),
    ("timeout", ProviderTimeout),
    ("invalid_request", ProviderRefusedRequest),
    ("badrequest", ProviderRefusedRequest),
    ("content_filter", ProviderRefusedRequest),
    ("content_policy", ProviderRefusedRequest),
)

_STATUS_OF: dict[str, int] = {"requests": 429, "tokens": 429}  # OpenAI's types of a rate limit

#: vLLM, llama.cpp, SGLang, Mistral, Groq and OpenAI have no common code for it, but these words.
_CONTEXT_WINDOW = re.compile(
    r"maximum context length|context[ _](?:length|window|size).{0,40}exceed"
    r"|exceed.{0,60}context[ _](?:length|window|size)"
    r"|too (?:many tokens|large for model with \d+ maximum context)"
    r"|(?:prompt|input) is too long|longer than the model's context",
    re.IGNORECASE,
)

#: Keys as vendors write them, also masked ones (``sk-abc***xyz``) and header values.
_KEY = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|pplx|nvapi|hf|fw|key|tgp)[-_][\w*.\-]{4,}|AIza[\w*\-]{10,}"
    r"|\bBearer\s+[\w*.\-~+/=]{6,}",
    re.IGNORECASE,
)
