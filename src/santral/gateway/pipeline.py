"""One request, socket to socket: the order of the picture as plain code."""

from __future__ import annotations

from santral.errors import SantralError
from santral.gateway.context import Emit, RequestContext
from santral.gateway.stages import Stages


async def answer(ctx: RequestContext, emit: Emit, stages: Stages) -> None:
    """Answer one request. All that is held is released before this returns, also when the client leaves."""
    async with stages.trace(ctx), stages.quota(ctx):  # around: record; reserve, then settle
        await stages.input_guard(ctx)  # may raise GuardrailRefused
        await stages.compose(ctx)  # prompt version, variant -> messages
        await stages.retrieve(ctx)  # chunks -> messages
        await stages.generate(ctx, stages.validate_output(ctx, emit))  # cache, route, fallback


async def refuse(ctx: RequestContext, error: SantralError, stages: Stages) -> None:
    """Record a request that was refused before it could enter the path, and raise ``error``."""
    async with stages.trace(ctx):
        raise error
