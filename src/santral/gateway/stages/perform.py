"""The answer to a task: cache, then the route's able deployments in order, until one succeeds."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial

import msgspec

from santral.cache.answer import CachedAnswer
from santral.cache.key import Scope, cache_key
from santral.cache.tier import TwoTiers
from santral.errors import ProviderError, ProviderTimeout
from santral.gateway.ability import able_route
from santral.gateway.context import RequestContext
from santral.gateway.stages.meter import Meter
from santral.gateway.stages.model_limits import ModelLimits
from santral.gateway.stages.payload import payload_policy
from santral.gateway.stages.route import may_ask
from santral.gateway.stages.through_cache import SHOWN_DIGITS
from santral.providers.provider import Parts, TaskAnswer, TaskCall
from santral.providers.tasks.tasked import operations_of
from santral.routing.choose import candidates
from santral.routing.demand import Demand
from santral.routing.fallback import Fallback, Plan
from santral.routing.hedge import Race
from santral.routing.route import Deployment, Route
from santral.traces.ids import format_traceparent
from santral.wire.delta import ChoiceDelta, Delta
from santral.wire.task import TaskRequest

#: Makes the body for the caller of a provider's answer; raises ProviderGarbled where it cannot.
Finish = Callable[[TaskAnswer], bytes]

#: Answers longer than this are read and written beside the event loop. Chosen: 2 ms of work.
ON_LOOP_BYTES = 128 * 1024


class Perform:
    """Serves a task from the cache, or asks deployments; every attempt is recorded."""

    def __init__(self, cache: TwoTiers, fallback: Fallback, limits: ModelLimits) -> None:
        self._cache = cache
        self._limits = limits
        self._fallback = fallback

    async def __call__(self, ctx: RequestContext, task: TaskRequest, finish: Finish) -> bytes:
        """Return the body of the answer.

        Raises:
            BadRequest: no deployment of the route can do this.
            ProviderError: none of those that can did.
        """
        start = ctx.elapsed_us()
        route = able_route(ctx, task.name)
        try:
            return await self._through_cache(ctx, task, route, finish)
        finally:
            ctx.add_span("generate", start, attributes={"santral.cache": ctx.cache})

    async def _through_cache(
        self, ctx: RequestContext, task: TaskRequest, route: Route, finish: Finish
    ) -> bytes:
        settings = ctx.route.cache
        if not settings.enabled or task.extras.cache is False:
            return await self._over_route(ctx, task, route, finish)
        key = _key(ctx, task)
        found, _ = await self._cache.get(key)
        if found is not None:
            ctx.cache, ctx.cache_entry = "hit", key.hex()[:SHOWN_DIGITS]
            ctx.cache_saved_nanousd = found.cost_nanousd
            return found.deltas[0].raw
        ctx.cache = "miss"
        body = await self._over_route(ctx, task, route, finish)
        whole = Delta(raw=body, choices=(ChoiceDelta(finish_reason="stop"),), is_whole=True)
        if ctx.is_degraded:
            return body
        cost = sum(attempt.cost_nanousd or 0 for attempt in ctx.attempts if not attempt.error)
        is_shared = payload_policy(ctx) == "full"
        self._cache.put(key, CachedAnswer((whole,), cost), settings.ttl_s, is_shared=is_shared)
        return body

    async def _over_route(
        self, ctx: RequestContext, task: TaskRequest, route: Route, finish: Finish
    ) -> bytes:
        bodies: list[bytes] = []
        answered: dict[str, Parts] = {}  # of a batch, by deployment: paid for once

        async def attempt(deployment: Deployment, purpose: str, race: Race | None) -> None:
            del race  # a task has one body: there is no first content to wait for
            ctx.losses.restart()
            if ctx.attempts:
                await self._limits.make_room(ctx, deployment, 0)
            call = _call(ctx, task, deployment, answered.setdefault(deployment.name, {}))
            async with self._limits(ctx, deployment):
                bodies.append(await self._one_attempt(ctx, call, deployment, purpose, finish))

        parts = self._fallback
        demand = Demand(tenant=ctx.caller.tenant.id)
        order = candidates(route, parts.health, parts.rng, demand, now=parts.clock())
        plan = partial(_plan, ctx, task, route)
        await parts.over(order, attempt, plan, may_continue=lambda: True)
        return bodies[-1]

    async def _one_attempt(
        self,
        ctx: RequestContext,
        call: TaskCall,
        deployment: Deployment,
        purpose: str,
        finish: Finish,
    ) -> bytes:
        meter = Meter(ctx, deployment, purpose)
        ctx.deployment = deployment.name
        ctx.is_degraded = ctx.route.route.is_last_resort(deployment.name)
        try:
            answer = await _asked(deployment, call)
            call.usage = call.usage or answer.usage
            call.parts.clear()  # together they are an answer, or garbage that is asked for anew
            body = await _finished(answer, finish)
        except ProviderError as error:
            meter.failed(error.detail_code, error.upstream_status)
            self._fallback.health.failed(deployment.name, error)
            raise
        except asyncio.CancelledError:
            meter.failed(ctx.interruption, None)
            self._fallback.health.abandoned(deployment.name)
            raise
        else:
            self._fallback.health.succeeded(deployment.name)
            return body
        finally:
            if call.usage is not None:
                meter.take(Delta(usage=call.usage))
            ctx.attempts.append(meter.record())


def _key(ctx: RequestContext, task: TaskRequest) -> bytes:
    scope = Scope(
        tenant_id=ctx.caller.tenant.id,
        route=f"{task.name}:{ctx.route.name}",
        policy=ctx.route.policy_digest,
        config=ctx.snapshot.digest,
    )
    return cache_key(scope, task.fields)


def _plan(ctx: RequestContext, task: TaskRequest, route: Route) -> Plan:
    """A route's detours and deadline hold for tasks too; hedges and static answers do not."""
    recovery = msgspec.structs.replace(
        route.recovery, hedge=None, last_resort=None, messages={}, early_end=False
    )
    deadline_s = recovery.deadline_s
    return Plan(
        route=route.name,
        recovery=recovery,
        left_s=math.inf if deadline_s is None else deadline_s - ctx.elapsed_us() / 1e6,
        may_ask=lambda d: task.name in operations_of(d.provider, d.model) and may_ask(ctx, d),
    )


async def _asked(deployment: Deployment, call: TaskCall) -> TaskAnswer:
    """Ask within the deployment's total time, however many calls a batch is split into."""
    total_s = deployment.timeouts.total_s
    try:
        async with asyncio.timeout(total_s):
            return await deployment.provider.perform(call)
    except TimeoutError:
        raise ProviderTimeout(
            f"The provider did not answer within {total_s:g} s (timeouts.total_s).", phase="total"
        ) from None


async def _finished(answer: TaskAnswer, finish: Finish) -> bytes:
    if len(answer.body) <= ON_LOOP_BYTES:
        return finish(answer)
    return await asyncio.to_thread(finish, answer)


def _call(ctx: RequestContext, task: TaskRequest, deployment: Deployment, parts: Parts) -> TaskCall:
    return TaskCall(
        operation=task.name,
        model=deployment.model,
        fields=task.fields,
        timeouts=deployment.timeouts,
        traceparent=format_traceparent(ctx.w3c_trace_id, ctx.root_span_id),
        losses=ctx.losses,
        parts=parts,
    )
