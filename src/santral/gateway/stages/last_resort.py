"""The last resort: the text that a route answers with when every deployment failed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from santral.errors import ModelNotFound, ProviderError, ProviderRefusedRequest
from santral.gateway.context import RequestContext
from santral.guardrails.schema import compile_schema
from santral.retrieval.analysis.language import detect_language
from santral.traces.record import AttemptRecord
from santral.wire.delta import ChoiceDelta, Delta
from santral.wire.usage import Usage


def may_resort(error: ProviderError) -> bool:
    """Whether the operator's side failed; what the caller has to change is said to the caller."""
    return not isinstance(error, ProviderRefusedRequest) or isinstance(error, ModelNotFound)


def message_for(ctx: RequestContext, messages: Mapping[str, str]) -> str:
    """Return the text in the language of the request, or nothing where none would do.

    A caller that brought tools or a schema has a program read the answer: it gets a text only if
    that matches the schema, else the error.
    """
    if not messages or bytes(ctx.call.fields.get("tools", b"null")) not in (b"null", b"[]"):
        return ""
    first = next(iter(messages.values()))
    message = messages.get(_language(ctx), first) if len(messages) > 1 else first
    return message if _matches(message, ctx) else ""


def static_answer(ctx: RequestContext, message: str) -> list[Delta]:
    """Return a text as the deltas of an answer, with as many choices as were asked for."""
    head = Delta(
        id=f"chatcmpl-{ctx.request_id.removeprefix('req_')}",
        model=ctx.requested_model,
        created=ctx.started_at_us // 1_000_000,
    )
    deltas = [
        msgspec.structs.replace(head, choices=(choice,))
        for index in range(ctx.call.view.n or 1)
        for choice in (
            ChoiceDelta(index=index, text=message),
            ChoiceDelta(index=index, finish_reason="stop"),
        )
    ]
    return [*deltas, msgspec.structs.replace(head, usage=Usage())]


def static_record(
    ctx: RequestContext, who: str = "last_resort", purpose: str = "last_resort"
) -> AttemptRecord:
    """Return the attempt that a text stands for: it asked nobody and cost nothing."""
    return AttemptRecord(
        number=len(ctx.attempts) + 1,
        deployment=who,
        provider="santral",
        model="message",
        start_us=ctx.elapsed_us(),
        duration_us=0,
        finish_reason="stop",
        usage=Usage(),
        cost_nanousd=0,
        purpose=purpose,
    )


def _language(ctx: RequestContext) -> str:
    asked = [message.text for message in ctx.call.view.messages if message.role == "user"]
    return detect_language(asked[-1]) if asked else ""


def _matches(message: str, ctx: RequestContext) -> bool:
    asked = ctx.call.view.response_format
    if ctx.output_schema is None and (asked is None or asked.type == "text"):
        return True
    try:
        value: object = msgspec.json.decode(message)
    except msgspec.DecodeError:
        return False
    if ctx.output_schema is None:
        return isinstance(value, dict)
    return not compile_schema(ctx.output_schema).violations(value)
