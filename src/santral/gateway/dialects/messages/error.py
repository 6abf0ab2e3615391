"""Errors and rate limits as clients of Anthropic's protocol expect them.

Source: https://platform.claude.com/docs/en/api/errors and /api/rate-limits there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from santral.errors import SantralError
from santral.web.errors import ErrorAnswer, openai_error

#: What the protocol calls an error of each status. A status that is not here is an ``api_error``.
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "invalid_request_error",
    413: "request_too_large",
    422: "invalid_request_error",
    423: "invalid_request_error",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
#: Statuses that this protocol has another one for.
_STATUSES = {503: 529}

_LIMIT = re.compile(r"x-ratelimit-(limit|remaining|reset)-(requests|tokens)")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?")


def messages_error(error: SantralError, request_id: str, now: float) -> ErrorAnswer:
    """Return status, headers and body for ``error``; ``now`` is seconds since the Unix epoch."""
    plain = openai_error(error)
    headers = list(limit_headers({n.decode(): v.decode() for n, v in plain.headers}, now))
    return ErrorAnswer(_status(error), headers, error_body(error, request_id))


def error_body(error: SantralError, request_id: str) -> bytes:
    """Return ``{"type": "error", "error": {type, message}, "request_id"}``, with our ``code``."""
    said = {
        "type": _TYPES.get(_status(error), "api_error"),
        "message": error.message,
        "code": error.detail_code,
    }
    if error.param is not None:
        said["param"] = error.param
    return msgspec.json.encode({"type": "error", "error": said, "request_id": request_id})


def limit_headers(headers: Mapping[str, str], now: float) -> Iterable[tuple[bytes, bytes]]:
    """Yield headers with rate limits under Anthropic's names, their resets as moments."""
    for name, value in headers.items():
        found = _LIMIT.fullmatch(name)
        if found is None:
            yield name.encode(), value.encode()
            continue
        what, which = found.groups()
        said = _moment(value, now) if what == "reset" else value
        yield f"anthropic-ratelimit-{which}-{what}".encode(), said.encode()


def _status(error: SantralError) -> int:
    return _STATUSES.get(error.status, error.status)


def _moment(duration: str, now: float) -> str:
    """Return when a duration like ``6m0s`` or ``20ms`` is over. Source of the form: RFC 3339."""
    found = _DURATION.fullmatch(duration)
    hours, minutes, seconds, ms = (int(part or 0) for part in found.groups()) if found else (0,) * 4
    at = now + hours * 3600 + minutes * 60 + seconds + (1 if ms else 0)
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
