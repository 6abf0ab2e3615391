"""Limits at each attempt: those of its model, and the request's own where one answer came to more."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from santral.errors import (
    DeploymentLimited,
    LimitsUnavailable,
    NotAllowed,
    QuotaExceeded,
    SantralError,
)
from santral.gateway.context import RequestContext
from santral.gateway.stages.worst_case import (
    another_answer,
    reserved_output,
    used_in,
    worst_cost,
)
from santral.quota.claim import Claim, Need
from santral.quota.line import WaitingLine
from santral.routing.health import Health
from santral.routing.route import Deployment


class ModelLimits:
    """Reserves before an attempt. A model whose limit is used up is passed over."""

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
            raise self._limited(deployment, error) from None
        before = len(ctx.attempts)
        try:
            yield
        finally:
            await self._line.settle(hold, used_in(ctx.attempts[before:], hold.need))

    async def make_room(self, ctx: RequestContext, deployment: Deployment, running: int) -> None:
        """Reserve for another attempt of a request what those before it have used of its hold.

        ``running`` attempts go on beside it: a hedge needs an answer's worth of its own.

        Raises:
            DeploymentLimited: a limit of the request has no room for another attempt.
        """
        hold = ctx.hold
        more = another_answer(ctx, hold, running) if hold is not None else Need()
        if hold is None or more == Need():
            return
        try:
            await self._line.extend(hold, more)
        except (QuotaExceeded, LimitsUnavailable) as error:
            raise self._limited(deployment, error) from None

    def _limited(self, deployment: Deployment, error: SantralError) -> DeploymentLimited:
        self._health.abandoned(deployment.name)  # if it was to be a probe, it was none
        return DeploymentLimited(
            error.message, code=error.detail_code, retry_after_s=error.retry_after_s
        )


def _need(ctx: RequestContext, deployment: Deployment, claims: tuple[Claim, ...]) -> Need:
    output = reserved_output(ctx)
    is_money = any(claim.measure == "usd" for claim in claims)
    cost = worst_cost(ctx, deployment, output) if is_money else 0
    return Need(ctx.unit_tokens + output, cost)
