"""What an OpenAI-like provider says when it refuses, as our errors.

Vendors agree on ``{"error": {"message", "type", "code", "param"}}`` and on nothing else: the code
may be a number, a word or null, the error a plain string, its fields beside it (vLLM, TGI, Mistral,
Cohere), the body HTML. A context window, a filter and an unknown model are looked for first, in
``type``, ``code`` and the sentences that vendors use; then the status decides, then the words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

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
from santral.providers.openai.hints import retry_after, wait_in, wait_of

#: A provider's message beyond this is a page, not a sentence. Chosen.
MAX_MESSAGE = 500

#: So much of a message is looked at: a provider may quote the whole prompt after its reason. Chosen.
MAX_READ = 4000


class _Error(Struct):
    message: Any = None
    type: Any = None
    code: Any = None
    param: Any = None
    n_ctx: Any = None  # llama.cpp: how long the context is


class _Body(Struct):
    """The fields may be in ``error``, or beside it."""

    error: Any = None
    detail: Any = None
    message: Any = None
    type: Any = None
    code: Any = None
    param: Any = None
    error_type: Any = None  # TGI's name for type


_body_decoder = msgspec.json.Decoder(_Body)


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float, secret: str = ""
) -> ProviderError:
    """Return the error for an answer with a status other than 200.

    ``now`` is seconds since the Unix epoch, for a ``retry-after`` that is a date; ``secret`` is the
    key in use, which some providers quote in their message.
    """
    error = _read(body)
    text = scrubbed(error.message, secret) or f"status {status}"
    if isinstance(error.n_ctx, int):
        text += f" (its context holds {error.n_ctx} tokens)"
    kind = _kind_of(status, error)
    wait_s = wait_of(headers, text, now) if kind is ProviderBusy else retry_after(headers, now)
    return built(kind, f"The provider {verb_of(kind)}: {text}", status, wait_s, error.param)


def error_inside(value: Any, *, secret: str = "") -> ProviderError:
    """Return the error for an ``error`` that came inside a 200: in the body or in a stream event."""
    error = _as_error(value)
    status = _status(error.code) or _STATUS_OF.get(_word(error.type), 200)
    kind = _kind_of(status, error)
    text = scrubbed(error.message, secret) or "no reason given"
    wait_s = wait_in(text) if kind is ProviderBusy else None
    text = f"The provider failed inside its answer: {text}"
    return built(kind, text, 200, wait_s, error.param)


def scrubbed(message: Any, secret: str) -> str:
    """Return a provider's message on one line, bounded, and without anything like a key."""
    if message is None:
        return ""
    text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    if secret:
        text = text.replace(secret, "[key]")
    text = _KEY.sub("[key]", " ".join(text[: 4 * MAX_MESSAGE].split()))
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def verb_of(kind: type[ProviderError]) -> str:
    """Return what a provider did whose answer was an error."""
    return "failed" if issubclass(kind, ProviderFailed | ProviderTimeout) else "refused"


def built(
    kind: type[ProviderError],
    text: str,
    status: int,
    wait_s: float | None = None,
    param: Any = None,
) -> ProviderError:
    """Return the error; ``param`` is whatever a provider gave as the name of a parameter."""
    if issubclass(kind, ProviderTimeout):
        timeout = ProviderTimeout(text, phase="provider")
        timeout.upstream_status = status
        return timeout
    named = param if isinstance(param, str) else None
    return kind(text, upstream_status=status, retry_after_s=wait_s, param=named)


def kind_of_status(status: int) -> type[ProviderError] | None:
    """Return what an HTTP status alone says, or None where it says no more than that it failed."""
    refused = ProviderRefusedRequest if 400 <= status < 500 else None
    return _KIND_OF_STATUS.get(status, refused)


def says_too_long(message: str) -> bool:
    """Whether a provider's message says that the request is longer than its model takes."""
    return _CONTEXT_WINDOW.search(message) is not None


def _status(code: Any) -> int | None:
    """Return an HTTP status that is given as the code, a number or its digits (Azure)."""
    if isinstance(code, str) and code.isdecimal() and len(code) == 3:
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _read(body: bytes) -> _Error:
    try:
        read = _body_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Error()  # HTML or nothing: the status says enough
    return _from_body(read)


def _from_body(read: _Body) -> _Error:
    error = _as_error(read.error)
    if error.message is None:
        error.message = read.message if read.message is not None else read.detail
    error.type = error.type or read.type or read.error_type
    error.code = error.code or read.code
    error.param = error.param or read.param
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
    by_meaning = _kind_of_meaning(status, words, error.message)
    if by_meaning is not None:
        return by_meaning
    if status == 429 and "insufficient_quota" in words:
        return ProviderRefusedKey  # no money: waiting does not help, an operator does
    by_status = kind_of_status(status)
    if by_status is not None:
        return by_status
    return next((kind for mark, kind in _KIND_OF_WORD if mark in words), ProviderFailed)


def _kind_of_meaning(status: int, words: str, message: Any) -> type[ProviderError] | None:
    """Return what a refusal is about, where its status would say something less helpful."""
    said = message[:MAX_READ] if isinstance(message, str) else ""
    for statuses, marks, sentence, kind in _MEANINGS:
        if status in statuses and (
            any(mark in words for mark in marks) or sentence.search(said) is not None
        ):
            return kind
    return None


def _word(value: Any) -> str:
    return value.lower() if isinstance(value, str) else ""


_KIND_OF_STATUS: dict[int, type[ProviderError]] = {
    401: ProviderRefusedKey,
    402: ProviderRefusedKey,
    403: ProviderRefusedKey,
    404: ModelNotFound,
    408: ProviderTimeout,
    410: ModelNotFound,  # NVIDIA, for a model at the end of its life
    424: ProviderFailed,  # TGI: its model failed while it wrote
    429: ProviderBusy,
    498: ContentPolicyRefused,  # Cohere: a deny-listed token, https://docs.cohere.com/reference/errors
    504: ProviderTimeout,
}

#: Looked for in ``type`` and ``code``, in this order, where the status decides nothing.
_KIND_OF_WORD: tuple[tuple[str, type[ProviderError]], ...] = (
    ("rate_limit", ProviderBusy),
    ("ratelimit", ProviderBusy),
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
    ("validation", ProviderRefusedRequest),  # TGI
)

_STATUS_OF: dict[str, int] = {
    "requests": 429,  # OpenAI's types of a rate limit
    "tokens": 429,
    "overloaded": 429,  # TGI's error_type: its queue is full
}

#: The words of vendors and engines where they have no common code. tests/providers/
#: test_openai_error.py has each sentence with the vendor whose it is.
_CONTEXT_WINDOW = re.compile(
    r"(?:maximum|max) (?:context|prompt|model|input) length"
    r"|context[ _](?:length|window|size).{0,40}(?:exceed|is only)"
    r"|exceed.{0,60}context[ _](?:length|window|size)"
    r"|too (?:many tokens|large for model with \d+ maximum context)"
    r"|(?:prompt|input) is too long|longer than the (?:model's context|maximum model length)"
    r"|reduce the length of the messages"
    r"|`inputs` tokens \+ `max_new_tokens` must be|`inputs` must have less than"
    r"|prompt length .{0,40}exceed|should not exceed max_(?:num_tokens|seq_len)"
    r"|greater than the context length|context the overflows"
    r"|request too large for model",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content management policy|content filter|content exists risk"
    r"|flagged (?:for|as potentially) |input was flagged|violates (?:our )?usage (?:guidelines|policies)",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model[^.]{0,80}(?:does not exist|not found|not exist|has been decommissioned)"
    r"|invalid model\b|not a valid model|no such model|unknown model"
    r"|deployment for this resource does not exist",
    re.IGNORECASE,
)
_NO_KEY = re.compile(r"(?:incorrect|invalid) api key|api key not valid", re.IGNORECASE)


class _Meaning(NamedTuple):
    """At which statuses, by which words of ``type`` and ``code``, by which sentence, it means what."""

    statuses: frozenset[int]
    marks: tuple[str, ...]
    sentence: re.Pattern[str]
    kind: type[ProviderError]


_MEANINGS = (
    _Meaning(
        frozenset({200, 400, 413, 422, 500}),  # llama.cpp and Triton once answered 500
        ("context_length_exceeded", "context_window", "exceed_context_size"),
        _CONTEXT_WINDOW,
        ContextWindowExceeded,
    ),
    _Meaning(
        frozenset({200, 400, 403, 422, 451}),  # OpenRouter and xAI answer 403
        ("content_filter", "content_policy", "responsibleaipolicy", "invalid_prompt",
         "data_inspection_failed", "moderation"),
        _FILTERED,
        ContentPolicyRefused,
    ),
    _Meaning(
        frozenset({200, 400, 403, 422}),
        ("model_not_found", "invalid_model", "model_decommissioned", "deploymentnotfound",
         "model_not_available", "notfounderror"),
        _NO_MODEL,
        ModelNotFound,
    ),
    # xAI and Google answer 400 to a key they do not know.
    _Meaning(frozenset({400}), ("invalid_api_key",), _NO_KEY, ProviderRefusedKey),
)  # fmt: skip

#: Keys as vendors write them, also masked ones (``sk-abc***xyz``) and header values.
_KEY = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|pplx|nvapi|hf|fw|key|tgp)[-_][\w*.\-]{4,}|AIza[\w*\-]{10,}"
    r"|\bBearer\s+[\w*.\-~+/=]{6,}",
    re.IGNORECASE,
)
