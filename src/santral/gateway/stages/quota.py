"""Reserve before the call, settle with what was used after it."""

from __future__ import annotations

from types import TracebackType

from santral.errors import LimitsUnavailable, QuotaExceeded
from santral.gateway.context import RequestContext
from santral.gateway.stages.trace import user_of
from santral.gateway.stages.worst_case import used_in, worst_case
from santral.providers.batch.deferred import Deferred
from santral.quota.line import Priority, WaitingLine


class Quota:
    """Holds the worst case of a request against every limit it belongs to."""

    def __init__(self, line: WaitingLine) -> None:
        self._line = line

    def __call__(self, ctx: RequestContext) -> _Reserved:
        return _Reserved(ctx, self._line)


class _Reserved:
    __slots__ = ("_ctx", "_line")

    def __init__(self, ctx: RequestContext, line: WaitingLine) -> None:
        self._ctx = ctx
        self._line = line

    async def __aenter__(self) -> None:
        ctx = self._ctx
        start = ctx.elapsed_us()
        asked = ctx.asked
        extras = asked.extras if asked is not None else None
        claims = ctx.snapshot.limits.of(
            ctx.caller.tenant.id,
            ctx.caller.key.id,
            ctx.route.name,
            user_of(ctx),
            extras.tags if extras else {},
        )
        need = worst_case(ctx, claims)
        ctx.losses.keep()
        try:
            ctx.hold = await self._line.reserve(claims, need, _priority(ctx))
        except (QuotaExceeded, LimitsUnavailable) as error:
            if ctx.is_prepaid:
                return  # it was admitted when its batch was made; the ledger counts it
            ctx.add_span("quota", start, error=error.detail_code)
            raise
        ctx.fall_to = ctx.hold.fall_to
        if claims:
            ctx.add_span("quota", start, attributes={"santral.quota.tokens": need.tokens})

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ctx, hold = self._ctx, self._ctx.hold
        if hold is None:
            return
        if isinstance(error, Deferred):
            await self._line.release(hold)  # nothing was sent; it counts when it is answered
            return
        await self._line.settle(hold, used_in(ctx.attempts, hold.need))


def _priority(ctx: RequestContext) -> Priority:
    asked = ctx.asked
    said = asked.extras.priority if asked is not None else None
    return said or ("batch" if ctx.is_inner else "interactive")
