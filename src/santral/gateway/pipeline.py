"""One request, socket to socket: the order of the picture as plain code."""

from __future__ import annotations

from santral.errors import SantralError
from santral.gateway.context import Emit, RequestContext
from santral.gateway.stages import Stages
from santral.gateway.stages.perform import Finish
from santral.wire.task import TaskRequest


async def answer(ctx: RequestContext, emit: Emit, stages: Stages) -> None:
    """Answer one request. All that is held is released before this returns, also when the client leaves."""
    async with stages.trace(ctx):  # around: record
        stages.assign(ctx)  # experiments: arm -> route, prompt, settings
        async with stages.quota(ctx):  # around: reserve, then settle
            await stages.input_guard(ctx)  # may raise GuardrailRefused
            await stages.compose(ctx)  # prompt version -> messages
            await stages.retrieve(ctx)  # chunks -> messages
            citing = stages.cite(ctx, emit)  # marks -> citations
            await stages.generate(
                ctx, stages.validate_output(ctx, citing.emit)
            )  # cache, route, fallback
            await citing.end()


async def perform(ctx: RequestContext, task: TaskRequest, finish: Finish, stages: Stages) -> bytes:
    """Answer one task: the same order, without what only a conversation has."""
    async with stages.trace(ctx), stages.quota(ctx):
        await stages.task_guard(ctx, task)
        return await stages.perform(ctx, task, finish)


async def refuse(ctx: RequestContext, error: SantralError, stages: Stages) -> None:
    """Record a request that was refused before it could enter the path, and raise ``error``."""
    async with stages.trace(ctx):
        raise error
