"""The most that a request may use before anybody was asked: what its limits reserve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from santral.errors import NotAllowed
from santral.gateway.context import RequestContext
from santral.quota.claim import Claim, Need
from santral.quota.limiter import Hold
from santral.routing.route import Deployment
from santral.traces.record import AttemptRecord
from santral.wire.usage import BYTES_PER_TOKEN, Usage

#: Output reserved for a request that names no maximum, where its route names none either. Chosen:
#: longer than nearly every answer, short enough that a day's budget holds many.
DEFAULT_OUTPUT_TOKENS = 4096


def worst_case(ctx: RequestContext, claims: Sequence[Claim]) -> Need:
    """Return the most tokens and nano-dollars, and cap the output where a limit depends on that.

    Raises:
        NotAllowed: money is limited, and a deployment that may answer has no price.
    """
    ctx.unit_tokens = int(ctx.body_bytes / BYTES_PER_TOKEN) + 1
    return _one_answer(ctx, claims, _output_tokens(ctx, claims))


def another_answer(ctx: RequestContext, hold: Hold, running: int) -> Need:
    """Return what a hold lacks for an attempt beside those that ended and ``running`` others.

    A hold is made for one answer to what the caller sent: what ended attempts have used of it is not
    there any more, and a prompt and passages have come to it.
    """
    if not any(claim.measure in ("tokens", "usd") for claim in hold.claims):
        return Need()
    if ctx.prompt or ctx.sources:
        sent = len(msgspec.json.encode(ctx.call.messages))
        ctx.unit_tokens = max(ctx.unit_tokens, int(sent / BYTES_PER_TOKEN) + 1)
    one = _one_answer(ctx, hold.claims, reserved_output(ctx))
    used = used_in(ctx.attempts, one)
    most = running + 1
    return Need(
        max(0, used.tokens + most * one.tokens - hold.need.tokens),
        max(0, used.nanousd + most * one.nanousd - hold.need.nanousd),
    )


def used_in(attempts: Iterable[AttemptRecord], reserved: Need) -> Need:
    """Return what attempts used. One whose price became unknown has cost what was reserved."""
    tokens = known = 0
    is_unknown = False
    for attempt in attempts:
        tokens += attempt.usage.total_tokens if attempt.usage is not None else 0
        known += attempt.cost_nanousd or 0
        is_unknown = is_unknown or attempt.cost_nanousd is None
    return Need(tokens, max(known, reserved.nanousd) if is_unknown else known)


def worst_cost(ctx: RequestContext, deployment: Deployment, output: int) -> int:
    """Return the most that one deployment may bill: all input written to its cache, if that is dearer.

    Raises:
        NotAllowed: its price is unknown; a budget that guessed would be none.
    """
    prices, at_us = ctx.snapshot.prices, ctx.started_at_us
    name = deployment.price or deployment.model
    price = prices.price(deployment.kind, name, at_us)
    if price is None:
        raise NotAllowed(
            f"The price of '{deployment.model}' ({deployment.name}) is unknown, so a budget in "
            "dollars cannot be kept. Ask an administrator to add a row to the price file, or to "
            "take the budget away.",
            code="price_unknown",
        )
    tokens = ctx.unit_tokens
    plain = Usage(input_uncached=tokens, output_text=output)
    rates = price.tariff.at(tokens)
    cost = rates.nanousd(plain)
    if rates.cache_write > rates.input:
        cost = rates.nanousd(Usage(cache_write=tokens, output_text=output))
    return cost


def reserved_output(ctx: RequestContext) -> int:
    """Return the most output of a request whose limits have been looked at."""
    if ctx.task is not None:
        return 0
    asked = ctx.call.max_output_tokens
    most = ctx.output_cap or (DEFAULT_OUTPUT_TOKENS if asked is None else asked)
    return most * ctx.call.answers


def _one_answer(ctx: RequestContext, claims: Sequence[Claim], output: int) -> Need:
    nanousd = 0
    if any(claim.measure == "usd" for claim in claims):
        nanousd = max(
            (worst_cost(ctx, deployment, output) for deployment in _may_answer(ctx)), default=0
        )
    return Need(ctx.unit_tokens + output, nanousd)


def _output_tokens(ctx: RequestContext, claims: Sequence[Claim]) -> int:
    """Return the most output this request may make.

    A request that names no maximum is capped only when its route says so or tokens or money are
    limited: else what was reserved could be passed.
    """
    if ctx.task is not None:
        return 0  # its answer is not made of tokens
    asked = ctx.call.max_output_tokens
    cap = ctx.route.max_output_tokens
    is_limited = any(claim.measure in ("tokens", "usd") for claim in claims)
    if cap is None and (is_limited or ctx.snapshot.limits.has_model_rules):
        cap = DEFAULT_OUTPUT_TOKENS
    if cap is not None and (asked is None or asked > cap):
        ctx.output_cap = cap
        if asked is not None:
            ctx.losses.change("max_tokens", cap)
    return reserved_output(ctx)


def _may_answer(ctx: RequestContext) -> list[Deployment]:
    route = ctx.route.route
    return [*route.deployments(), *route.recovery.deployments()]
