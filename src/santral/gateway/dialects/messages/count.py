"""``POST /v1/messages/count_tokens``: by the provider that would answer, else estimated and marked.

Nothing is generated, so nothing is billed; the request has its trace all the same.
Source: https://platform.claude.com/docs/en/api/messages/count_tokens
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from santral.errors import SantralError
from santral.gateway.context import RequestContext
from santral.gateway.desk import find_route
from santral.gateway.inbound import Inbound
from santral.gateway.private_url import refuse_private_urls
from santral.gateway.respond import Responder
from santral.gateway.stages import Stages
from santral.gateway.stages.attempt import upstream_fields
from santral.providers.estimate import estimate_input
from santral.providers.provider import TaskCall
from santral.routing.route import Deployment
from santral.traces.ids import format_traceparent
from santral.wire.usage import BYTES_PER_TOKEN

#: Says that a number was estimated here and not counted by the provider.
_ESTIMATED = [(b"x-santral-estimated", b"true")]


class CountTokens:
    """Handles requests for the size of a conversation.

    ``shape`` makes another protocol's answer of ours.
    """

    def __init__(self, stages: Stages, shape: Callable[[bytes], bytes] = bytes) -> None:
        self._stages = stages
        self._shape = shape

    async def __call__(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Answer one request; what is wrong with it is a refusal that leaves a trace."""
        async with self._stages.trace(ctx):
            ctx.call = await ctx.dialect.parse(inbound, ctx)
            route = find_route(ctx, ctx.call.view.model)
            refuse_private_urls(ctx, [*ctx.call.fields.values(), *ctx.call.native.values()])
            await self._stages.input_guard(ctx)
            deployment = next(route.route.deployments())
            body = await _counted(ctx, deployment)
            ctx.deployment = deployment.name
        if body is not None:
            await responder.send_json(self._shape(body))
        else:
            await responder.send_json(self._shape(_estimated(ctx)), _ESTIMATED)


async def _counted(ctx: RequestContext, deployment: Deployment) -> bytes | None:
    """Return the provider's own count, or None where it has none to give."""
    if "count_tokens" not in deployment.provider.operations:
        return None
    fields: dict[str, Any] = upstream_fields(ctx)
    if "thinking" in ctx.call.native:
        fields["thinking"] = ctx.call.native["thinking"]
    call = TaskCall(
        operation="count_tokens",
        model=deployment.model,
        fields=fields,
        timeouts=deployment.timeouts,
        traceparent=format_traceparent(ctx.w3c_trace_id, ctx.root_span_id),
    )
    try:
        return (await deployment.provider.perform(call)).body
    except SantralError as error:
        if not error.retryable:
            raise
        return None  # an estimate is of more use than the news that a provider is down


def _estimated(ctx: RequestContext) -> bytes:
    fields = upstream_fields(ctx)
    tools = msgspec.json.encode(fields.get("tools", []))
    tokens = estimate_input(fields) + int((len(tools) - 2) / BYTES_PER_TOKEN)
    return msgspec.json.encode({"input_tokens": tokens})
