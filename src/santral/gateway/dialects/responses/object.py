"""The ``response`` object: every field that clients expect, said of one request and its answer.

Source: https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.errors import ProviderBusy, QuotaExceeded, RequestError, SantralError
from santral.gateway.dialects.responses.request import ResponsesCall
from santral.wire.responses import responses_usage
from santral.wire.usage import Usage

#: Fields that are said back as the request gave them, and what they are where it did not.
_ECHOED: dict[str, Any] = {
    "background": False,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": None,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}

#: Words that clients know for a service tier; other vendors have others.
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})

_fields = msgspec.json.Decoder(dict[str, Raw])


class Progress(Struct):
    """How far an answer has come."""

    status: str = "in_progress"
    output: Sequence[dict[str, Any] | Raw] = ()
    model: str = ""
    service_tier: str = ""
    reason: str = ""  # why it is incomplete
    usage: Usage | None = None
    completed_at: int | None = None
    error: dict[str, Any] | None = None


def response_object(
    call: ResponsesCall,
    progress: Progress,
    *,
    created_at: int,
    instructions: str | None,
    is_kept: bool,
) -> dict[str, Any]:
    """Return the object; ``instructions`` are those of the request as the checks left them."""
    asked = call.asked_fields
    echoed = {name: _or_default(asked, name, default) for name, default in _ECHOED.items()}
    tier = progress.service_tier
    return {
        "id": f"resp_{call.response_id}",
        "object": "response",
        "created_at": created_at,
        "status": progress.status,
        "completed_at": progress.completed_at,
        "error": progress.error,
        "incomplete_details": {"reason": progress.reason} if progress.reason else None,
        "instructions": instructions,
        "model": progress.model,
        "output": list(progress.output),
        "reasoning": _reasoning(asked),
        "service_tier": tier if tier in _TIERS else None,
        "store": is_kept,
        "text": _text(asked),
        "usage": responses_usage(progress.usage) if progress.usage is not None else None,
        **echoed,
    }


def failure(error: SantralError) -> dict[str, Any]:
    """Return ``error`` in the few words that a response object has for it."""
    code = "server_error"
    if isinstance(error, ProviderBusy | QuotaExceeded):
        code = "rate_limit_exceeded"
    elif isinstance(error, RequestError):
        code = "invalid_prompt"
    return {"code": code, "message": error.message, "type": error.kind, "param": error.param}


def _or_default(asked: dict[str, Raw], name: str, default: Any) -> Any:
    value = asked.get(name)
    return default if value is None or bytes(value) == b"null" else value


def _reasoning(asked: dict[str, Raw]) -> dict[str, Any]:
    given = asked.get("reasoning")
    fields = _fields.decode(given) if given is not None and bytes(given) != b"null" else {}
    return {"effort": None, "summary": None, **fields}


def _text(asked: dict[str, Raw]) -> dict[str, Any]:
    given = asked.get("text")
    fields = _fields.decode(given) if given is not None and bytes(given) != b"null" else {}
    named = {name: value for name, value in fields.items() if bytes(value) != b"null"}
    return {"format": {"type": "text"}, **named}
