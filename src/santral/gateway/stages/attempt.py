"""Asks the route's deployments, one attempt after the other, and pours the answer into the gate."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - for the type alone; the generator is an argument
from contextlib import aclosing
from typing import Any

import msgspec

from santral.errors import ProviderError
from santral.gateway.context import RequestContext
from santral.gateway.stages.meter import Meter
from santral.gateway.stages.output_gate import OutputGate
from santral.providers.provider import ProviderCall
from santral.routing.choose import candidates
from santral.routing.fallback import first_content, with_fallback
from santral.routing.health import Health
from santral.routing.route import Deployment
from santral.traces.ids import format_traceparent


class Attempts:
    """Finds a deployment that answers; every attempt is recorded."""

    def __init__(self, health: Health, rng: random.Random) -> None:
        self._health = health
        self._rng = rng

    async def over_route(self, ctx: RequestContext, gate: OutputGate) -> None:
        """Ask deployments in order until one answers; what failed unseen stays unseen."""

        async def attempt(deployment: Deployment) -> None:
            gate.restart()
            ctx.losses.restart()
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
        dialect=ctx.call.dialect,
        native=ctx.call.native,
        losses=ctx.losses,
        caller_headers=ctx.caller_headers,
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
