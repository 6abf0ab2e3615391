"""The answer: cache, then the route's deployments in order, until one attempt succeeds."""

from __future__ import annotations

from typing import Any

from santral.gateway.context import RequestContext
from santral.gateway.stages.attempt import Attempts
from santral.gateway.stages.last_resort import static_answer, static_record
from santral.gateway.stages.output_gate import Correction, OutputGate
from santral.gateway.stages.through_cache import ThroughCache
from santral.wire.usage import estimate_tokens

#: Corrective attempts after an answer that broke its schema or citations. Specified: issue "one
#: corrective retry".
CORRECTIONS = 1


#: Who answers, for headers and traces, where the documents hold no answer and a route says so.
UNKNOWN = "unknown_answer"


class Generate:
    """Serves from a cache or asks deployments, and asks again where the checks want a better answer."""

    def __init__(self, through_cache: ThroughCache, attempts: Attempts) -> None:
        self._through_cache = through_cache
        self._attempts = attempts

    async def __call__(self, ctx: RequestContext, gate: OutputGate) -> None:
        start = ctx.elapsed_us()
        try:
            if ctx.unknown_answer:
                await _say_unknown(ctx, gate)
                return
            await self._through_cache(ctx, gate, lambda: self._corrected(ctx, gate))
        finally:
            gate.close()
            ctx.add_span("generate", start, attributes={"santral.cache": ctx.cache})

    async def _corrected(self, ctx: RequestContext, gate: OutputGate) -> None:
        """Ask again, once, when the output checks want a better answer."""
        for left in range(CORRECTIONS, -1, -1):
            await self._attempts.over_route(ctx, gate)
            correction = await gate.finish(may_retry=left > 0)
            if correction is None:
                return
            said = _messages(correction)
            ctx.call.messages.extend(said)
            ctx.unit_tokens += sum(estimate_tokens(message["content"]) for message in said)


async def _say_unknown(ctx: RequestContext, gate: OutputGate) -> None:
    """Answer that it is not known, in the operator's own words: no model is asked."""
    ctx.attempts.append(static_record(ctx, UNKNOWN, ""))
    ctx.deployment = UNKNOWN
    for delta in static_answer(ctx, ctx.unknown_answer):
        await gate.replay(delta)


def _messages(correction: Correction) -> list[dict[str, Any]]:
    return [
        {"role": "assistant", "content": correction.answer},
        {"role": "user", "content": correction.instruction},
    ]
