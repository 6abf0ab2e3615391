"""Error bodies in OpenAI's shape: the one place where an exception becomes an answer.

Source of the shape: https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

from santral.errors import (
    HeldForReview,
    ModelNotFound,
    OutputRefused,
    ProviderRefusedKey,
    QuotaExceeded,
    SantralError,
)

#: What SDKs or proxies may try again: in vain, until somebody else acts.
_IN_VAIN = (OutputRefused, ProviderRefusedKey, ModelNotFound, HeldForReview)


class ErrorAnswer(NamedTuple):
    """An error as it goes to a client."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def openai_error(error: SantralError) -> ErrorAnswer:
    """Return status, headers and body for ``error``."""
    headers: list[tuple[bytes, bytes]] = []
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after_s))).encode()))
        headers.append(
            (b"retry-after-ms", str(max(1, math.ceil(error.retry_after_s * 1000))).encode())
        )
    if isinstance(error, QuotaExceeded):
        headers.extend((k.encode(), v.encode()) for k, v in error.headers.items())
    if isinstance(error, HeldForReview):
        headers.append((b"x-santral-held-id", error.held_id.encode()))
    if isinstance(error, _IN_VAIN):
        headers.append((b"x-should-retry", b"false"))
    return ErrorAnswer(error.status, headers, error_body(error))


def error_body(error: SantralError) -> bytes:
    """Return ``{"error": {message, type, param, code}}``."""
    return msgspec.json.encode(
        {
            "error": {
                "message": error.message,
                "type": error.kind,
                "param": error.param,
                "code": error.detail_code,
            }
        }
    )
