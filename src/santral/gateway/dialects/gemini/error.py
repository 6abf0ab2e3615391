"""Errors in Google's shape. Source: https://cloud.google.com/apis/design/errors"""

from __future__ import annotations

from typing import Any

import msgspec

from santral.errors import SantralError
from santral.web.errors import ErrorAnswer, openai_error

#: Canonical codes by status. Source: https://cloud.google.com/apis/design/errors#handling_errors
_STATUS: dict[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "INVALID_ARGUMENT",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    423: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

_encode = msgspec.json.Encoder().encode


def error_object(error: SantralError) -> dict[str, Any]:
    """Return ``{code, message, status, details}``; ``reason`` is our stable code in upper case."""
    info: dict[str, Any] = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.detail_code.upper(),
        "domain": "santral",
    }
    if error.param:
        info["metadata"] = {"param": error.param}
    details = [info]
    if error.retry_after_s is not None:
        wait = f"{error.retry_after_s:.3f}".rstrip("0").rstrip(".")
        details.append(
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait}s"}
        )
    return {
        "code": error.status,
        "message": error.message,
        "status": _STATUS.get(error.status, "UNKNOWN"),
        "details": details,
    }


def google_error(error: SantralError) -> ErrorAnswer:
    """Return status, headers and body: the headers are those of every dialect."""
    answer = openai_error(error)
    return answer._replace(body=_encode({"error": error_object(error)}))
