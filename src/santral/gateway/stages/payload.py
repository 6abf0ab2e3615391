"""What is kept of what a request said and was answered, as its tenant's policy wants."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from santral.config.schema import TelemetryConfig
from santral.errors import StoreError
from santral.gateway.context import RequestContext
from santral.guardrails.redact import redacted_json, redacted_texts
from santral.tenants.tenant import PayloadPolicy
from santral.traces.record import Payload

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_canonical = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder().decode


def payload_policy(ctx: RequestContext) -> PayloadPolicy:
    """Return what is kept of a request's words: its tenant's word, else the configuration's."""
    return ctx.caller.tenant.payloads or ctx.snapshot.config.telemetry.payloads


def payload_of(ctx: RequestContext, telemetry: TelemetryConfig) -> Payload | None:
    """Return what was said as it left: after masking, cut at the limit, or what stands for it.

    A request that never passed the input checks is kept without its text: it was never masked.
    """
    policy = ctx.caller.tenant.payloads or telemetry.payloads
    limit = telemetry.max_payload_bytes
    if policy == "none" or not ctx.is_guarded:
        return None
    messages: list[Any] = (ctx.task or ctx.call).messages
    if policy == "full":
        return Payload(
            request=_cut(_encode(messages), limit), response=_cut(ctx.answer_text, limit)
        )
    if policy == "redacted":
        return _redacted(ctx, messages, limit)
    try:
        return _hashed(ctx, messages, limit)
    except StoreError as error:  # without its key a hash could be guessed: better none
        log.error("payload_not_hashed", extra={"reason": error.message, "trace_id": ctx.trace_id})
        return None


def _redacted(ctx: RequestContext, messages: list[Any], limit: int) -> Payload:
    said = redacted_json(_decode(_encode(messages)), ctx.placeholders, limit)
    answer = redacted_texts((ctx.answer_text,), ctx.placeholders)[0]
    return Payload(request=_cut(_encode(said), limit), response=_cut(answer, limit))


def _hashed(ctx: RequestContext, messages: list[Any], limit: int) -> Payload:
    plain: list[Any] = _decode(_encode(messages))
    said = [_stand_in(ctx, message) for message in plain]
    answer = _hash(ctx, ctx.answer_text)
    return Payload(request=_cut(_encode(said), limit), response=_encode(answer).decode())


def _stand_in(ctx: RequestContext, message: Any) -> dict[str, Any]:
    """Return role, hash and length of one message; of one with parts, those of its JSON."""
    if not isinstance(message, dict):
        return _hash(ctx, _canonical(message).decode())
    fields: dict[str, Any] = dict(message)  # pyright: ignore[reportUnknownArgumentType]
    role = fields.pop("role", "")
    content = fields.pop("content", None)
    said = content if isinstance(content, str) and not fields else None
    text = said if said is not None else _canonical({"content": content, **fields}).decode()
    return {"role": role if isinstance(role, str) else "", **_hash(ctx, text)}


def _hash(ctx: RequestContext, text: str) -> dict[str, Any]:
    hashed = ctx.snapshot.pseudonyms.of_text(ctx.caller.tenant.id, text)
    return {"hash": hashed, "length": len(text)}


def _cut(text: str | bytes, limit: int) -> str:
    data = text.encode() if isinstance(text, str) else text
    if len(data) <= limit:
        return data.decode()
    return data[:limit].decode(errors="ignore") + f"… [cut: {len(data)} bytes in all]"
