"""Reserve before the call, settle with what was used after it."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from santral.errors import QuotaExceeded
from santral.gateway.context import RequestContext
from santral.providers.batch.deferred import Deferred
from santral.quota.limit import ScopeLimits
from santral.quota.limiter import Limiter
from santral.wire.usage import BYTES_PER_TOKEN

#: Output reserved for a request that names no maximum, where its route names none either. Chosen:
#: longer than nearly every answer, short enough that a day's budget holds many.
DEFAULT_OUTPUT_TOKENS = 4096


class Quota:
    """Holds the worst case of a request against every limit it belongs to."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    def __call__(self, ctx: RequestContext) -> _Reserved:
        return _Reserved(ctx, self._limiter)


def _output_tokens(ctx: RequestContext, scopes: Sequence[ScopeLimits]) -> int:
    """Return the most output this request may make, and cap it where a limit depends on that.

    A request that names no maximum is capped only when its route says so or tokens are limited:
    else what was reserved could be passed.
    """
    if ctx.task is not None:
        return 0  # its answer is not made of tokens
    asked = ctx.call.max_output_tokens
    cap = ctx.route.max_output_tokens
    if cap is None and any(limits.tokens_per_day is not None for _, limits in scopes):
        cap = DEFAULT_OUTPUT_TOKENS
    if cap is not None and (asked is None or asked > cap):
        ctx.output_cap = cap
        if asked is not None:
            ctx.losses.change("max_tokens", cap)
    most = ctx.output_cap or (DEFAULT_OUTPUT_TOKENS if asked is None else asked)
    return most * ctx.call.answers


class _Reserved:
    __slots__ = ("_ctx", "_limiter")

    def __init__(self, ctx: RequestContext, limiter: Limiter) -> None:
        self._ctx = ctx
        self._limiter = limiter

    async def __aenter__(self) -> None:
        ctx = self._ctx
        start = ctx.elapsed_us()
        ctx.unit_tokens = int(ctx.body_bytes / BYTES_PER_TOKEN) + 1
        scopes = ctx.snapshot.limits.of(ctx.caller.tenant.id, ctx.caller.key.id)
        tokens = ctx.unit_tokens + _output_tokens(ctx, scopes)
        ctx.losses.keep()
        try:
            ctx.hold = await self._limiter.reserve(scopes, tokens)
        except QuotaExceeded as error:
            if ctx.is_prepaid:
                return  # it was admitted when its batch was made; the ledger counts it
            ctx.add_span("quota", start, error=error.detail_code)
            raise
        if scopes:
            ctx.add_span("quota", start, attributes={"santral.quota.tokens": tokens})

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        hold = self._ctx.hold
        if hold is None:
            return
        if isinstance(error, Deferred):
            await self._limiter.release(hold)  # nothing was sent; it counts when it is answered
            return
        used = sum(a.usage.total_tokens for a in self._ctx.attempts if a.usage is not None)
        if used:
            await self._limiter.settle(hold, used)
        else:
            await self._limiter.release(hold)
