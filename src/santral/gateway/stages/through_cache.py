"""Serves an answer that was given before, or keeps the one that is made now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from santral.cache.exact import CachedAnswer, ExactCache, cache_key
from santral.gateway.context import RequestContext
from santral.gateway.stages.attempt import upstream_fields
from santral.gateway.stages.output_gate import OutputGate


class ThroughCache:
    """The caches in front of a route's deployments."""

    def __init__(self, cache: ExactCache) -> None:
        self._cache = cache

    async def __call__(
        self, ctx: RequestContext, gate: OutputGate, make: Callable[[], Awaitable[None]]
    ) -> None:
        """Answer ``ctx`` from a cache, or let ``make`` do it and keep what passed the gate."""
        settings = ctx.route.cache
        if not settings.enabled or ctx.call.extras.cache is False:
            await make()
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
        await make()
        self._cache.put(key, CachedAnswer(tuple(sent)), settings.ttl_s)
