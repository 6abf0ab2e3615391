"""What another vendor wants back unread, inside blocks that clients of this protocol echo anyway.

A client sends ``redacted_thinking`` and the ``signature`` of thinking back as they came. So opaque
data of other vendors goes out in there, behind the mark ``santral.<format>.``, and is taken out again.
"""

from __future__ import annotations

import base64
import binascii

import msgspec
from msgspec import Struct

from santral.wire.delta import ReasoningDetail
from santral.wire.messages import CLAUDE_FORMAT

MARK = "santral."


class CallSignature(Struct, frozen=True):
    """The signature of a tool call, which has no place of its own in ``tool_use``."""

    call: str
    signature: str


_detail = msgspec.json.Decoder(ReasoningDetail)
_signature = msgspec.json.Decoder(CallSignature)
#: The format under which a call's signature travels: Google is who signs calls.
_CALL = "call"


def wrap(detail: ReasoningDetail) -> str:
    """Return a detail as opaque text; Anthropic's own stays as it is."""
    if detail.format == CLAUDE_FORMAT:
        return detail.data or detail.signature
    return _wrapped(detail.format or "unknown", msgspec.json.encode(detail))


def unwrap(text: str, *, is_encrypted: bool) -> ReasoningDetail | None:
    """Return the detail that ``wrap`` made opaque, else Anthropic's own; None where text is no detail."""
    payload = _payload(text)
    if payload is not None:
        try:
            return _detail.decode(payload)
        except (msgspec.DecodeError, RecursionError):
            return None
    if not text:
        return None
    if is_encrypted:
        return ReasoningDetail(type="encrypted", data=text, format=CLAUDE_FORMAT)
    return ReasoningDetail(signature=text, format=CLAUDE_FORMAT)


def wrap_call(call_id: str, signature: str) -> str:
    """Return the signature of a tool call as opaque text."""
    return _wrapped(_CALL, msgspec.json.encode(CallSignature(call_id, signature)))


def unwrap_call(text: str) -> CallSignature | None:
    """Return the signature that ``wrap_call`` made opaque, or None."""
    payload = _payload(text) if text.startswith(f"{MARK}{_CALL}.") else None
    try:
        return None if payload is None else _signature.decode(payload)
    except (msgspec.DecodeError, RecursionError):
        return None


def _wrapped(kind: str, payload: bytes) -> str:
    return f"{MARK}{kind}.{base64.urlsafe_b64encode(payload).decode()}"


def _payload(text: str) -> bytes | None:
    if not text.startswith(MARK):
        return None
    try:
        return base64.urlsafe_b64decode(text.rpartition(".")[2])
    except (binascii.Error, ValueError):
        return None
