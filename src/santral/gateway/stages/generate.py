"""The answer: cache, then the route's deployments in order, until one attempt succeeds."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - for the type alone; the generator is an argument
from contextlib import aclosing
from typing import Any

import msgspec

from santral.cache.exact import CachedAnswer, ExactCache, cache_key
from santral.errors import ProviderError
from santral.gateway.context import RequestContext
from santral.gateway.stages.meter import Meter
from santral.gateway.stages.output_gate import Correction, OutputGate
from santral.providers.provider import ProviderCall
from santral.routing.choose import candidates
from santral.routing.fallback import first_content, with_fallback
from santral.routing.health import Health
from santral.routing.route import Deployment
from santral.traces.ids import format_traceparent

#: Corrective attempts after an answer that broke its schema or citations. Specified: issue "one
#: corrective retry".
CORRECTIONS = 1


class Generate:
    """Serves from the exact cache or asks deployments; every attempt is recorded."""

    def __init__(self, cache: ExactCache, health: Health, rng: random.Random) -> None:
        self._cache = cache
        self._health = health
        self._rng = rng

    async def __call__(self, ctx: RequestContext, gate: OutputGate) -> None:
        start = ctx.elapsed_us()
        try:
            await self._through_cache(ctx, gate)
        finally:
            gate.close()
            ctx.add_span("generate", start, attributes={"santral.cache": ctx.cache})

    async def _through_cache(self, ctx: RequestContext, gate: OutputGate) -> None:
        settings = ctx.route.cache
        if not settings.enabled or ctx.call.extras.cache is False:
            await self._corrected(ctx, gate)
            return
        key = cache_key(
            tenant_id=ctx.caller.tenant.id,
            route=ctx.route.name,
            # what an answer was held against: the schema is not always in the fields
            policy=f"{ctx.route.policy_digest}{(ctx.output_schema or b'').decode()}",
            prompt=f"{ctx.prompt}@{ctx.prompt_version}",
            fields=upstream_fields(ctx),
            index=ctx.snapshot.digest,  # another configuration may mean another model or cap
        )
        found = self._cache.get(key)
        if found is not None:
            ctx.cache = "hit"
            for delta in found.deltas:
                await gate.replay(delta)
            return
        ctx.cache = "miss"
        sent = gate.record()
        await self._corrected(ctx, gate)
        self._cache.put(key, CachedAnswer(tuple(sent)), settings.ttl_s)

    async def _corrected(self, ctx: RequestContext, gate: OutputGate) -> None:
        """Ask again, once, when the output checks want a better answer."""
        for left in range(CORRECTIONS, -1, -1):
            await self._over_route(ctx, gate)
            correction = await gate.finish(may_retry=left > 0)
            if correction is None:
                return
            ctx.call.messages.extend(_messages(correction))

    async def _over_route(self, ctx: RequestContext, gate: OutputGate) -> None:
        async def attempt(deployment: Deployment) -> None:
            gate.restart()
            await self._one_attempt(ctx, gate, deployment)

        await with_fallback(
            candidates(ctx.route.route, self._health, self._rng),
            attempt,
            may_continue=lambda: not ctx.is_committed,
        )

    async def _one_attempt(
        self, ctx: RequestContext, gate: OutputGate, deployment: Deployment
    ) -> None:
        meter = Meter(ctx, deployment)
        ctx.deployment = deployment.name
        try:
            async with aclosing(deployment.provider.stream(_call(ctx, deployment))) as deltas:
                held, rest = await first_content(deltas)
                for delta in held:
                    meter.take(delta)
                    await gate(delta)
                async for delta in rest:
                    meter.take(delta)
                    await gate(delta)
        except ProviderError as error:
            meter.failed(error.detail_code, error.upstream_status)
            self._health.failed(deployment.name, error)
            raise
        except asyncio.CancelledError:
            meter.failed(ctx.interruption, None)
            self._health.abandoned(deployment.name)
            raise
        except Exception:  # a check refused the answer: that says nothing about the deployment
            self._health.abandoned(deployment.name)
            raise
        else:
            self._health.succeeded(deployment.name)
        finally:
            ctx.attempts.append(meter.record())


def _call(ctx: RequestContext, deployment: Deployment) -> ProviderCall:
    return ProviderCall(
        model=deployment.model,
        fields=upstream_fields(ctx),
        is_streaming=bool(ctx.call.view.stream),
        timeouts=deployment.timeouts,
        question=ctx.question,
        sources=ctx.sources,
        traceparent=format_traceparent(ctx.w3c_trace_id, ctx.root_span_id),
        max_output_tokens=ctx.output_cap,
    )


def upstream_fields(ctx: RequestContext) -> dict[str, Any]:
    """Return the request as it goes upstream: ours taken out, the rest as it came."""
    fields: dict[str, Any] = dict(ctx.call.fields)
    fields.pop("santral", None)
    fields["messages"] = ctx.call.messages
    for name, value in ctx.prompt_settings.items():
        fields.setdefault(name, value)
    schema = ctx.output_schema
    if schema is not None and "response_format" not in fields:
        fields["response_format"] = msgspec.Raw(
            b'{"type":"json_schema","json_schema":{"name":"answer","schema":%b,"strict":false}}'
            % schema
        )
    return fields


def _messages(correction: Correction) -> list[dict[str, Any]]:
    return [
        {"role": "assistant", "content": correction.answer},
        {"role": "user", "content": correction.instruction},
    ]
