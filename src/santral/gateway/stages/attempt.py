"""Asks the route's deployments, one attempt after the other, and pours the answer into the gate."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing
from typing import Any

import msgspec

from santral.config.upstreams import TimeoutsConfig
from santral.errors import ProviderError
from santral.gateway.context import HEDGE_LOST, RequestContext
from santral.gateway.stages.early_end import EarlyEnd, stop_sequences
from santral.gateway.stages.last_resort import may_resort, message_for, static_answer, static_record
from santral.gateway.stages.meter import Meter
from santral.gateway.stages.model_limits import ModelLimits
from santral.gateway.stages.output_gate import OutputGate
from santral.gateway.stages.route import Router, may_ask, note_load
from santral.providers.provider import ProviderCall
from santral.routing.fallback import Fallback, Plan, first_content
from santral.routing.hedge import Race
from santral.routing.route import Deployment, Recovery
from santral.traces.ids import format_traceparent
from santral.wire.chat import OUTPUT_BOUNDS
from santral.wire.delta import Delta
from santral.wire.loss import Losses

#: The field that is done here where a provider cannot: answers are cut at its texts.
STOP = "stop"
#: The purpose of an attempt that is made when all others failed.
LAST_RESORT = "last_resort"


class Attempts:
    """Finds a deployment that answers; every attempt is recorded."""

    def __init__(self, router: Router, fallback: Fallback, limits: ModelLimits) -> None:
        self._router = router
        self._limits = limits
        self._fallback = fallback
        self._health = fallback.health

    async def over_route(self, ctx: RequestContext, gate: OutputGate) -> None:
        """Ask deployments until one answers, then the last resort; what failed unseen stays unseen."""
        run = _Run(self._fallback, ctx, gate, self._limits)
        ladder = self._router.candidates(ctx)
        try:
            await self._fallback.over(
                ladder,
                run.attempt,
                run.plan,
                may_continue=run.may_continue,
                is_hedged=run.recovery.hedge is not None,
            )
        except ProviderError as error:
            if ctx.is_committed or not may_resort(error):
                raise
            failure = error
        else:
            return
        await run.resort(failure)


class _Run:
    """One way over the route for one request."""

    __slots__ = ("_ctx", "_fallback", "_gate", "_limits", "_running", "recovery")

    def __init__(
        self, fallback: Fallback, ctx: RequestContext, gate: OutputGate, limits: ModelLimits
    ) -> None:
        self._fallback = fallback
        self._limits = limits
        self._ctx = ctx
        self._gate = gate
        self._running = 0  # attempts that have not ended: more than one while a hedge races
        self.recovery = ctx.route.route.recovery

    def plan(self) -> Plan:
        """Return what the request allows from now on."""
        return Plan(
            route=self._ctx.route.name,
            recovery=self.recovery,
            left_s=_left_s(self._ctx, self.recovery),
            is_streaming=bool(self._ctx.call.view.stream),
            may_ask=self._may_ask,
        )

    def may_continue(self) -> bool:
        """Whether another attempt would be unseen: nothing of the answer has left."""
        return not self._ctx.is_committed

    def _may_ask(self, deployment: Deployment) -> bool:
        return may_ask(self._ctx, deployment)

    async def attempt(self, deployment: Deployment, purpose: str, race: Race | None) -> None:
        """Ask one deployment within the limits of the request and of its model."""
        ctx = self._ctx
        if ctx.attempts or self._running or ctx.prompt or ctx.sources:
            await self._limits.make_room(ctx, deployment, self._running)
        self._running += 1
        try:
            if not ctx.snapshot.limits.has_model_rules:
                return await self._ask(deployment, purpose, race)
            async with self._limits(ctx, deployment):
                await self._ask(deployment, purpose, race)
        finally:
            self._running -= 1

    async def _ask(self, deployment: Deployment, purpose: str, race: Race | None) -> None:
        """Ask one deployment; what becomes of it is recorded and noted in its health."""
        ctx, health = self._ctx, self._fallback.health
        self._gate.restart()
        if race is None:
            ctx.losses.restart()
        losses = ctx.losses if race is None else ctx.losses.fork()
        meter = Meter(ctx, deployment, purpose)
        ctx.deployment = deployment.name
        ctx.is_degraded = _is_degraded(ctx, deployment, purpose)
        deployment.load.begin()
        try:
            await self._pour(deployment, meter, losses, race)
        except ProviderError as error:
            meter.failed(error.detail_code, error.upstream_status)
            health.failed(deployment.name, error)
            raise
        except asyncio.CancelledError:
            is_lost = race is not None and race.is_lost
            meter.failed(HEDGE_LOST if is_lost else ctx.interruption, None)
            health.abandoned(deployment.name)
            raise
        except Exception:  # a check refused the answer: that says nothing about the deployment
            health.abandoned(deployment.name)
            raise
        else:
            health.succeeded(deployment.name)
        finally:
            record = meter.record()
            ctx.attempts.append(record)
            note_load(deployment, record, self._fallback.clock(), bool(self._ctx.call.view.stream))
            if self.recovery.hedge is not None:
                self._note_pace(deployment, meter)

    async def resort(self, error: ProviderError) -> None:
        """Answer with the route's last resort, marked as degraded.

        Raises:
            ProviderError: ``error``, where the route has none or it cannot answer this request.
        """
        ctx, recovery = self._ctx, self.recovery
        if recovery.last_resort is not None and self._may_ask(recovery.last_resort):
            try:
                await self.attempt(recovery.last_resort, LAST_RESORT, None)
            except ProviderError:
                raise error from None
            return
        message = message_for(ctx, recovery.messages)
        if not message:
            raise error
        self._gate.restart()
        ctx.losses.restart()
        ctx.attempts.append(static_record(ctx))
        ctx.deployment, ctx.is_degraded = "last_resort", True
        for delta in static_answer(ctx, message):
            await self._gate.replay(delta)

    async def _pour(
        self, deployment: Deployment, meter: Meter, losses: Losses, race: Race | None
    ) -> None:
        call, end = self._call(deployment, losses)
        gate = self._gate
        async with aclosing(deployment.provider.stream(call)) as deltas:
            held, rest = await first_content(deltas)
            if race is not None:
                await race.win()
                self._won(deployment, losses)
            if end is None and losses.is_mended(STOP):
                end = self._early_end(call.fields)
            if end is not None:
                return await _pour_until(end, deltas, held, meter, gate)
            for delta in held:
                meter.take(delta)
                await gate(delta)
            async for delta in rest:
                meter.take(delta)
                await gate(delta)

    def _won(self, deployment: Deployment, losses: Losses) -> None:
        ctx = self._ctx
        ctx.losses.take(losses)
        ctx.deployment = deployment.name
        ctx.is_degraded = _is_degraded(ctx, deployment, "")

    def _call(self, deployment: Deployment, losses: Losses) -> tuple[ProviderCall, EarlyEnd | None]:
        """Return the call, and who looks for its end where that is known to be us."""
        ctx = self._ctx
        fields = upstream_fields(ctx)
        end: EarlyEnd | None = None
        if self.recovery.early_end or STOP in fields:
            end = self._who_ends(deployment, fields, losses)
        call = ProviderCall(
            model=deployment.model,
            fields=fields,
            # An answer can be ended early only while it is being made.
            is_streaming=bool(ctx.call.view.stream) or end is not None,
            timeouts=deployment.timeouts
            if self.recovery.deadline_s is None
            else self._timeouts(deployment),
            question=ctx.question,
            sources=ctx.sources,
            traceparent=format_traceparent(ctx.w3c_trace_id, ctx.root_span_id),
            max_output_tokens=ctx.output_cap,
            dialect=ctx.call.dialect,
            native=ctx.call.native,
            losses=losses,
            caller_headers=ctx.caller_headers,
            prompt_cache=ctx.route.prompt_cache,
        )
        return call, end

    def _who_ends(
        self, deployment: Deployment, fields: dict[str, Any], losses: Losses
    ) -> EarlyEnd | None:
        """Return what ends the answer here: its JSON is complete, or the model cannot stop itself."""
        stops: Any = None
        if STOP in fields:
            losses.mend(STOP)
            stops = fields.pop(STOP) if deployment.emulates_stop else None
        is_json = self.recovery.early_end and _wants_json(self._ctx)
        if stops is None and not is_json:
            return None
        return self._early_end({STOP: stops}, is_json=is_json)

    def _early_end(self, fields: dict[str, Any], *, is_json: bool = False) -> EarlyEnd:
        stops = stop_sequences(fields.get(STOP))
        return EarlyEnd(stops, is_json=is_json, choices=self._ctx.call.view.n or 1)

    def _timeouts(self, deployment: Deployment) -> TimeoutsConfig:
        """Return the deployment's clocks, none of them beyond the request's deadline."""
        timeouts = deployment.timeouts
        left_s = max(0.001, _left_s(self._ctx, self.recovery))
        if left_s >= timeouts.total_s:
            return timeouts
        return timeouts.model_copy(update={"total_s": left_s})

    def _note_pace(self, deployment: Deployment, meter: Meter) -> None:
        self._fallback.hedging.pace.note(
            deployment.name, meter.silent_s(), is_streaming=bool(self._ctx.call.view.stream)
        )


async def _pour_until(
    end: EarlyEnd, deltas: Any, held: list[Delta], meter: Meter, gate: OutputGate
) -> None:
    """Pour until the answer is whole, or has come to the end that we look for."""
    for delta in held:
        meter.take(delta)
        for ready in end.take(delta):
            await gate(ready)
    if held and held[-1].is_whole:
        return
    while not end.is_over:
        delta = await anext(deltas, None)
        if delta is None:
            return
        meter.take(delta)
        for ready in end.take(delta):
            await gate(ready)
    await gate(Delta(usage=meter.cut()))


def _is_degraded(ctx: RequestContext, deployment: Deployment, purpose: str) -> bool:
    route = ctx.route.route
    if len(route.rungs) < 2:
        return purpose == LAST_RESORT
    return purpose == LAST_RESORT or route.is_last_resort(deployment.name)


def _left_s(ctx: RequestContext, recovery: Recovery) -> float:
    """Return the seconds until the request's deadline."""
    deadline_s = recovery.deadline_s
    return math.inf if deadline_s is None else deadline_s - ctx.elapsed_us() / 1e6


def _wants_json(ctx: RequestContext) -> bool:
    asked = ctx.call.view.response_format
    return ctx.output_schema is not None or (asked is not None and asked.type != "text")


def _add_settings(ctx: RequestContext, fields: dict[str, Any]) -> None:
    """Add settings that the request does not name; the most output was reserved by what it names."""
    is_bound = not OUTPUT_BOUNDS.isdisjoint(ctx.call.fields)
    for settings in (ctx.arm_settings, ctx.prompt_settings):
        for name, value in settings.items():
            if not (is_bound and name in OUTPUT_BOUNDS):
                fields.setdefault(name, value)


def upstream_fields(ctx: RequestContext) -> dict[str, Any]:
    """Return the request as it goes upstream: ours taken out, the rest as it came."""
    fields: dict[str, Any] = dict(ctx.call.fields)
    fields.pop("santral", None)
    fields["messages"] = ctx.call.messages
    if ctx.arm_settings or ctx.prompt_settings:
        _add_settings(ctx, fields)
    schema = ctx.output_schema
    if schema is not None and "response_format" not in fields:
        fields["response_format"] = msgspec.Raw(
            b'{"type":"json_schema","json_schema":{"name":"answer","schema":%b,"strict":false}}'
            % schema
        )
    return fields
