"""A conversation in any dialect: read it, find its route, and answer it by the one path."""

from __future__ import annotations

from santral.errors import SantralError
from santral.gateway.ability import require
from santral.gateway.body import require_json
from santral.gateway.context import RequestContext
from santral.gateway.desk import find_route
from santral.gateway.inbound import Inbound
from santral.gateway.pipeline import answer, refuse
from santral.gateway.private_url import refuse_private_urls, url_values
from santral.gateway.respond import Responder
from santral.gateway.stages import Stages


class Conversation:
    """Handles requests that a model answers with deltas: chat, messages, responses, and the like."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    async def __call__(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Answer one request; what is wrong with it is a refusal that leaves a trace."""
        try:
            require_json(inbound.headers)
            ctx.inbound = inbound
            ctx.call = await ctx.dialect.parse(inbound, ctx)
            find_route(ctx, ctx.call.view.model)
            refuse_private_urls(ctx, url_values(ctx.call))
            require(ctx, "chat", "complete" if ctx.call.dialect == "completions" else "chat")
        except SantralError as error:
            await refuse(ctx, error, self._stages)
        await answer(ctx, responder.emit, self._stages)
        await responder.finish()
        if ctx.send_copies is not None:
            ctx.send_copies()
