"""Serves an answer that was given before or is being made, or keeps the one that is made now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from santral.cache.answer import CachedAnswer
from santral.cache.caches import Caches
from santral.cache.flight import Flight, LeaderGone
from santral.cache.key import Scope, cache_key
from santral.cache.semantic import Found, Question
from santral.cache.shadow import agree
from santral.errors import Overloaded
from santral.gateway.context import RequestContext
from santral.gateway.stages.alike import Alike
from santral.gateway.stages.attempt import upstream_fields
from santral.gateway.stages.output_gate import OutputGate
from santral.gateway.stages.payload import payload_policy
from santral.gateway.stages.shared_answer import SharedAnswer
from santral.traces.cached import EMBED, CacheMetrics
from santral.wire.delta import Delta

Make = Callable[[], Awaitable[None]]

#: Digits of a key that the trace keeps: enough to kill the entry by.
SHOWN_DIGITS = 16


class ThroughCache:
    """The caches in front of a route's deployments."""

    def __init__(self, caches: Caches, metrics: CacheMetrics) -> None:
        self._cache = caches
        self._metrics = metrics
        self._alike = Alike(caches, metrics)

    async def __call__(self, ctx: RequestContext, gate: OutputGate, make: Make) -> None:
        """Answer ``ctx`` from a cache, or let ``make`` do it and keep what passed the gate."""
        if not ctx.route.cache.enabled or ctx.call.extras.cache is False:
            await make()
            return
        ctx.cache = "miss"
        fields, scope = upstream_fields(ctx), scope_of(ctx)
        key = cache_key(scope, fields, ctx.call.native, ctx.caller_headers)
        found, tier = await self._cache.find_exact(key)
        self._metrics.looked_up(tier, found is not None)
        if found is not None:
            await self._serve(ctx, gate, found, key, "hit")
            return
        question = await self._alike.question(ctx, scope, fields)
        alike = None if question is None else self._alike.find(ctx, question)
        if alike is not None and ctx.route.cache.semantic.mode == "serve":
            ctx.cache_similarity = alike.similarity
            await self._serve(ctx, gate, alike.answer, alike.key, "semantic")
            return
        await _Making(self._cache, self._metrics, ctx, gate, make, key, question, alike).run()

    async def _serve(
        self, ctx: RequestContext, gate: OutputGate, answer: CachedAnswer, key: bytes, how: str
    ) -> None:
        ctx.cache, ctx.cache_entry = how, key.hex()[:SHOWN_DIGITS]
        saved(ctx, self._metrics, answer.cost_nanousd)
        noted = ctx.losses.names()
        for loss in answer.losses:
            if loss not in noted:
                ctx.losses.drop(loss)
        for delta in answer.deltas:
            await gate.replay(delta)


class _Making:
    """One request that no cache could answer: it makes the answer, or listens to who does."""

    __slots__ = ("_alike", "_cache", "_ctx", "_gate", "_key", "_make", "_metrics", "_question")

    def __init__(
        self,
        caches: Caches,
        metrics: CacheMetrics,
        ctx: RequestContext,
        gate: OutputGate,
        make: Make,
        key: bytes,
        question: Question | None,
        alike: Found | None,
    ) -> None:
        self._cache = caches
        self._metrics = metrics
        self._ctx = ctx
        self._gate = gate
        self._make = make
        self._key = key
        self._question = question
        self._alike = alike

    async def run(self) -> None:
        """Join an answer under way, or begin one; take over where it failed unheard."""
        ctx = self._ctx
        if not ctx.route.cache.collapse:
            await self._lead(None, None)
            return
        rights = ctx.caller.key.routes
        flight_key = (self._key, "*" if rights is None else "\0".join(sorted(rights)))
        failed: Flight | None = None
        flight = self._cache.flights.find(flight_key, is_streaming=bool(ctx.call.view.stream))
        while flight is not None:
            if await self._followed(flight):
                return
            failed, flight = flight, flight.successor
        await self._lead(flight_key, failed)

    async def _followed(self, flight: Flight) -> bool:
        """Listen to the end; False where this request has to ask for itself."""
        ctx, gate = self._ctx, self._gate
        ctx.cache = "collapsed"
        held: list[Delta] = []

        is_streaming = bool(ctx.call.view.stream)

        async def replay(delta: Delta) -> None:
            ctx.is_degraded = flight.is_degraded
            if is_streaming:
                await gate.replay(delta)
            else:
                held.append(delta)

        try:
            is_whole = await flight.follow(
                replay, self._cache.follow_s, can_retract=not is_streaming
            )
        except TimeoutError:
            if ctx.is_committed:
                raise _cut() from None
            is_whole = False
        except LeaderGone:
            raise _cut() from None
        if not is_whole:
            ctx.cache = "miss"
            return False
        for delta in held:
            await gate.replay(delta)
        self._cache.collapsed += 1
        ctx.cache_entry = self._key.hex()[:SHOWN_DIGITS]
        saved(ctx, self._metrics, flight.saved_nanousd)
        return True

    async def _lead(self, flight_key: tuple[bytes, str] | None, failed: Flight | None) -> None:
        """Make the answer, perhaps in place of one that failed; who asks the same listens."""
        shared = SharedAnswer(self._ctx, 0 if failed is None else failed.takeovers_after)
        flight = shared.flight
        if failed is not None:
            failed.successor = flight
        self._gate.tap(shared)
        if flight_key is not None:
            self._cache.flights.open(flight_key, flight)
        try:
            await self._make()
        except BaseException as error:  # listeners have to hear of it, whatever it is
            flight.fail(error)
            if shared.has_left and isinstance(error, Exception):
                raise asyncio.CancelledError from error
            raise
        else:
            flight.succeed(_cost(self._ctx))
            self._keep(CachedAnswer(tuple(flight.deltas), _cost(self._ctx), _losses(self._ctx)))
        finally:
            shared.release()
            if flight_key is not None:
                self._cache.flights.close(flight_key, flight)
        if shared.has_left:
            raise asyncio.CancelledError  # it was made to its end for others

    def _keep(self, answer: CachedAnswer) -> None:
        """Keep an answer that may be served again, and compare it with what would have been."""
        ctx, settings = self._ctx, self._ctx.route.cache
        if ctx.is_degraded or ctx.is_reviewed:  # a reviewer let it go to one caller
            return
        is_shared = payload_policy(ctx) == "full"  # other words stay in this worker's memory
        tiers = self._cache.tiers
        if not tiers.put(self._key, answer, settings.ttl_s, is_shared=is_shared):
            return
        ctx.cache_entry = self._key.hex()[:SHOWN_DIGITS]
        question, semantic = self._question, settings.semantic
        if question is None:
            return
        if self._alike is not None:
            agreed = agree(self._alike.answer.text, answer.text)
            tenant_id = ctx.caller.tenant.id
            self._cache.shadow.compared(tenant_id, ctx.route.name, agreed=agreed)
        self._cache.semantic.put(question, self._key, answer, semantic.ttl_s, semantic.max_entries)


def scope_of(ctx: RequestContext) -> Scope:
    """Return what an answer to this request belongs to."""
    schema = (ctx.output_schema or b"").decode()
    # Masks on a stream cut its deltas in one way for dialects with blocks, in another for the others.
    form = ctx.dialect.name if ctx.route.policy.output else ""
    return Scope(
        tenant_id=ctx.caller.tenant.id,
        route=_route_in_force(ctx),
        policy=f"{ctx.route.policy_digest}{form}{schema}",
        prompt=f"{ctx.prompt}@{ctx.prompt_version}",
        config=ctx.snapshot.digest,
        index=ctx.index_generation,
        groups="\0".join(sorted(ctx.groups)),
        cap=ctx.output_cap,
    )


def _route_in_force(ctx: RequestContext) -> str:
    """Return the route, with whose ladder answers where an experiment has put another in its place."""
    name, ladder = ctx.route.name, ctx.route.route.name
    return name if name == ladder else f"{name}>{ladder}"


def saved(ctx: RequestContext, metrics: CacheMetrics, nanousd: int) -> None:
    """Note what this answer would have cost."""
    ctx.cache_saved_nanousd = nanousd
    metrics.saved(ctx.cache, nanousd)


def _cost(ctx: RequestContext) -> int:
    """Return what the attempts that made this answer cost; looking it up is no part of it."""
    return sum(a.cost_nanousd or 0 for a in ctx.attempts if not a.error and a.purpose != EMBED)


def _losses(ctx: RequestContext) -> tuple[str, ...]:
    return tuple(ctx.losses.names())


def _cut() -> Overloaded:
    return Overloaded(
        "The request that this answer was shared with ended before the answer was whole. Ask again.",
        code="shared_answer_cut",
        retry_after_s=1,
    )
