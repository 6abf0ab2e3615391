"""Limits of a model: they hold for each attempt, since only then it is known who answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from santral.errors import DeploymentLimited, LimitsUnavailable, NotAllowed, QuotaExceeded
from santral.gateway.context import RequestContext
from santral.gateway.stages.worst_case import reserved_output, worst_cost
from santral.quota.claim import Claim, Need
from santral.quota.line import WaitingLine
from santral.routing.health import Health
from santral.routing.route import Deployment


class ModelLimits:
    """Reserves before each attempt at a limited model. One that is used up is passed over."""

    def __init__(self, line: WaitingLine, health: Health) -> None:
        self._line = line
        self._health = health

    @asynccontextmanager
    async def __call__(self, ctx: RequestContext, deployment: Deployment) -> AsyncGenerator[None]:
        """Hold what one attempt may use; the attempt records itself within.

        Raises:
            DeploymentLimited: the model's limit is used up; another deployment may answer.
        """
        book = ctx.snapshot.limits
        claims = (
            book.of_model(ctx.caller.tenant.id, deployment.name, deployment.model)
            if book.has_model_rules and not ctx.is_prepaid
            else ()
        )
        if not claims:
            yield
            return
        try:
            hold = await self._line.reserve(claims, _need(ctx, deployment, claims))
        except (QuotaExceeded, LimitsUnavailable, NotAllowed) as error:
            self._health.abandoned(deployment.name)  # if it was to be a probe, it was none
            raise DeploymentLimited(
                error.message, code=error.detail_code, retry_after_s=error.retry_after_s
            ) from None
        before = len(ctx.attempts)
        try:
            yield
        finally:
            await self._line.settle(hold, _used(ctx, before, hold.need))


def _need(ctx: RequestContext, deployment: Deployment, claims: tuple[Claim, ...]) -> Need:
    output = reserved_output(ctx)
    is_money = any(claim.measure == "usd" for claim in claims)
    cost = worst_cost(ctx, deployment, output) if is_money else 0
    return Need(ctx.unit_tokens + output, cost)


def _used(ctx: RequestContext, before: int, reserved: Need) -> Need:
    made = ctx.attempts[before:]
    tokens = sum(attempt.usage.total_tokens for attempt in made if attempt.usage is not None)
    costs = [attempt.cost_nanousd for attempt in made]
    known = sum(cost for cost in costs if cost is not None)
    return Need(tokens, max(known, reserved.nanousd) if None in costs else known)
