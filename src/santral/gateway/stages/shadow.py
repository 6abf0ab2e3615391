"""Mirrors a guarded request to deployments on trial; what they say is recorded and goes nowhere."""

from __future__ import annotations

import asyncio
import copy
import random  # noqa: TID251 - for the type alone; the generator is an argument
from collections.abc import Callable, Iterable
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from santral.config.routes import ShadowConfig
from santral.config.schema import TelemetryConfig
from santral.errors import ProviderError, SantralError
from santral.gateway.context import STOPPING, RequestContext
from santral.gateway.stages.meter import Meter
from santral.gateway.stages.trace import LEFT_STATUS, build_record
from santral.gateway.stages.validate_output import ValidateOutput
from santral.providers.provider import ProviderCall
from santral.routing.choose import obstacle
from santral.routing.demand import Demand
from santral.routing.route import Deployment, Rules, Shadow
from santral.routing.shadow import SHADOW_OF, ShadowQueue
from santral.traces.ids import format_traceparent, new_span_id, new_trace_id
from santral.traces.metrics import Metrics
from santral.traces.record import SHADOW_SUFFIX, TraceRecord
from santral.traces.spool import Spool
from santral.wire.delta import Delta
from santral.wire.loss import Losses

#: The purpose of an attempt that answers nobody.
SHADOW = "shadow"

#: Composes what goes upstream from a context.
Fields = Callable[[RequestContext], dict[str, Any]]


class Mirror:
    """Makes and asks copies. The answer's cost, limits, caches and metrics know nothing of them."""

    def __init__(
        self,
        queue: ShadowQueue,
        spool: Spool,
        metrics: Metrics,
        telemetry: TelemetryConfig,
        rng: random.Random,
        wall: Callable[[], float],
        fields: Fields,
    ) -> None:
        self._queue = queue
        self._spool = spool
        self._outcomes = metrics["santral_shadow_total"]
        self._telemetry = telemetry
        self._rng = rng
        self._wall = wall
        self._fields = fields
        self._validate = ValidateOutput()

    def prepare(self, ctx: RequestContext, rules: Rules, demand: Demand) -> None:
        """Take a copy of ``ctx`` if its route and the dice want one; send it off if it may go now.

        Residency and capabilities hold for copies as for answers.
        """
        shadow = rules.shadow
        if shadow is None or ctx.send_copies is not None or not self._is_wanted(ctx, shadow):
            return
        able = tuple(d for d in shadow.deployments if obstacle(rules, d, demand) is None)
        if not able:
            return
        ctx.route_decision["shadow"] = ", ".join(deployment.name for deployment in able)
        send = partial(self._offer, _twin(ctx), shadow.settings, able)
        if shadow.settings.when == "beside":
            send()
            send = _nothing_more
        ctx.send_copies = send

    def _is_wanted(self, ctx: RequestContext, shadow: Shadow) -> bool:
        settings = shadow.settings
        if ctx.call.extras.shadow is False or ctx.caller.tenant.id in settings.not_tenants:
            return False
        return self._rng.random() < settings.share

    def _offer(
        self, twin: RequestContext, settings: ShadowConfig, deployments: Iterable[Deployment]
    ) -> None:
        """Queue a copy for each deployment, or drop and count it."""
        route = twin.route.name
        for number, deployment in enumerate(deployments, 1):
            job = partial(self._ask, self._of_its_own(twin, number), deployment)
            bounds = {"max_waiting": settings.max_waiting, "concurrency": settings.concurrency}
            if not self._queue.offer(route, job, **bounds):
                self._outcomes.child(route, "dropped").inc()

    def _of_its_own(self, twin: RequestContext, number: int) -> RequestContext:
        """Return the context of one copy: a trace of its own that names the one it mirrors."""
        ctx = copy.copy(twin)
        ctx.request_id = f"{twin.request_id}.s{number}"
        ctx.trace_id = new_trace_id(self._rng)
        ctx.root_span_id = new_span_id(self._rng)
        ctx.route_decision = {SHADOW_OF: twin.trace_id}
        ctx.attempts, ctx.spans, ctx.verdicts = [], [], []
        return ctx

    async def _ask(self, ctx: RequestContext, deployment: Deployment) -> None:
        """Ask one deployment and record what came of it."""
        ctx.started = ctx.clock()
        mirrored = str(ctx.route_decision[SHADOW_OF])
        ctx.started_at_us = int(self._wall() * 1e6)
        meter = Meter(ctx, deployment, SHADOW)
        status, code = 200, ""
        deployment.load.begin()
        try:
            await self._answer(ctx, deployment, meter)
        except ProviderError as error:
            status, code = error.status, error.detail_code
            meter.failed(code, error.upstream_status)
        except SantralError as error:  # a check refused the answer
            status, code = error.status, error.detail_code
        except asyncio.CancelledError:
            status, code = LEFT_STATUS, STOPPING
            meter.failed(code, None)
            raise
        finally:
            deployment.load.leave()
            ctx.attempts.append(meter.record())
            self._spool.append(
                _unbilled(build_record(ctx, status, code, self._telemetry), mirrored)
            )
            self._outcomes.child(ctx.route.name, "failed" if code else "answered").inc()

    async def _answer(self, ctx: RequestContext, deployment: Deployment, meter: Meter) -> None:
        gate = self._validate(ctx, _nobody)
        call = ProviderCall(
            model=deployment.model,
            fields=self._fields(ctx),
            is_streaming=bool(ctx.call.view.stream),
            timeouts=deployment.timeouts,
            question=ctx.question,
            sources=ctx.sources,
            traceparent=format_traceparent(ctx.trace_id, ctx.root_span_id),
            max_output_tokens=ctx.output_cap,
            dialect=ctx.call.dialect,
            native=ctx.call.native,
            losses=ctx.losses,
            caller_headers=ctx.caller_headers,
        )
        try:
            async with aclosing(deployment.provider.stream(call)) as deltas:
                async for delta in deltas:
                    meter.take(delta)
                    await gate(delta)
            await gate.finish(may_retry=False)
        finally:
            gate.close()


def _twin(ctx: RequestContext) -> RequestContext:
    """Return the context as it is now, so that what the answer does to it later stays there."""
    twin = copy.copy(ctx)
    twin.call = copy.copy(ctx.call)
    twin.call.messages = [*ctx.call.messages]
    twin.call.fields = {**ctx.call.fields}
    twin.losses = Losses()
    twin.hold, twin.guest, twin.send_copies = None, None, None
    twin.answer_text, twin.ttft_us, twin.is_committed = "", None, False
    twin.cache, twin.citations = "off", []
    return twin


def _unbilled(record: TraceRecord, mirrored: str) -> TraceRecord:
    """Return the record under a route of its own, which names what it mirrors and costs its tenant
    nothing: what the copy used stays with its attempt."""
    return msgspec.structs.replace(
        record,
        route=f"{record.route}{SHADOW_SUFFIX}",
        tags={**record.tags, SHADOW_OF: mirrored},
        usage=None,
        cost_nanousd=0,
    )


def _nothing_more() -> None:
    """Send nothing: the copies are under way."""


async def _nobody(delta: Delta) -> None:
    """Take what a copy says: nobody gets it."""
