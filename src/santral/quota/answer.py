"""What a caller is told about its limits: headers on every answer, and the refusal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from santral.errors import QuotaExceeded
from santral.quota.account import ONE_REQUEST, SECONDS_PER_DAY, Account
from santral.quota.limit import Scope, ScopeLimits

#: When to come back if only running requests are in the way: one of them may end at any time. Chosen.
_SOON_S = 1.0


def rate_headers(
    scopes: Sequence[ScopeLimits], accounts: Sequence[Account], now: float
) -> dict[str, str]:
    """Return OpenAI's ``x-ratelimit-*``: for requests and tokens each, the scope with least left."""
    headers: dict[str, str] = {}
    fewest, least = math.inf, math.inf
    rate, capacity, per_day = 1.0, 0.0, 0
    for (_, limits), account in zip(scopes, accounts, strict=True):
        own_rate = limits.requests_per_second
        if own_rate is not None:
            level = account.refill(own_rate, limits.capacity, now)
            if level < fewest:
                fewest, rate, capacity = level, own_rate, limits.capacity
        own_per_day = limits.tokens_per_day
        if own_per_day is not None:
            left = own_per_day - account.spent - account.reserved
            if left < least:
                least, per_day = left, own_per_day
    if capacity:
        headers["x-ratelimit-limit-requests"] = str(int(capacity))
        headers["x-ratelimit-remaining-requests"] = _whole(fewest)
        headers["x-ratelimit-reset-requests"] = duration((capacity - fewest) / rate)
    if per_day:
        headers["x-ratelimit-limit-tokens"] = str(per_day)
        headers["x-ratelimit-remaining-tokens"] = _whole(least)
        headers["x-ratelimit-reset-tokens"] = duration(until_midnight(now))
    return headers


def refusal(
    scopes: Sequence[ScopeLimits], accounts: Sequence[Account], tokens: int, now: float, day: int
) -> QuotaExceeded:
    """Return the error of a request that does not fit: of all scopes the one that opens last."""
    reasons: list[tuple[float, str, str, bool]] = []
    for (scope, limits), account in zip(scopes, accounts, strict=True):
        account.has_room(limits, tokens, now, day)  # brings those not yet asked up to now
        reasons += _rate_reason(scope, limits.requests_per_second, account)
        reasons += _day_reason(scope, limits.tokens_per_day, account, tokens, now)
    wait_s, code, message, is_final = max(reasons)
    headers = rate_headers(scopes, accounts, now)
    if is_final:
        headers["x-should-retry"] = "false"
    return QuotaExceeded(message, retry_after_s=wait_s, code=code, headers=headers)


def duration(seconds: float) -> str:
    """Write a time as OpenAI does, ``20ms``, ``1s``, ``6m0s``, ``5h3m20s``: rounded up, never short."""
    if seconds <= 0.999:
        return f"{max(0, math.ceil(seconds * 1000 - 1e-3))}ms"
    whole = math.ceil(seconds - 1e-6)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60}s"
    return f"{whole // 3600}h{whole // 60 % 60}m{whole % 60}s"


def until_midnight(now: float) -> float:
    """Return the seconds left of the UTC day."""
    return SECONDS_PER_DAY - now % SECONDS_PER_DAY


def _whole(left: float) -> str:
    return str(int(left + 1e-9)) if left > 0 else "0"


def _rate_reason(
    scope: Scope, rate: float | None, account: Account
) -> list[tuple[float, str, str, bool]]:
    if rate is None or account.level >= ONE_REQUEST:
        return []
    wait_s = (1.0 - account.level) / rate
    message = (
        f"The {scope.kind} '{scope.id}' may send {rate:g} requests per second. "
        f"Try again in {duration(wait_s)}, or ask an administrator for a higher limit."
    )
    return [(wait_s, "requests_per_second_exceeded", message, False)]


def _day_reason(
    scope: Scope, limit: int | None, account: Account, tokens: int, now: float
) -> list[tuple[float, str, str, bool]]:
    if limit is None or account.spent + account.reserved + tokens <= limit:
        return []
    code, midnight_s = "tokens_per_day_exceeded", until_midnight(now)
    who = f"The {scope.kind} '{scope.id}' may use {limit} tokens per UTC day"
    if tokens > limit:
        message = (
            f"{who}, and this request alone needs up to {tokens}. Send a shorter request, "
            "a smaller max_tokens, or ask an administrator for a higher limit."
        )
        return [(midnight_s, code, message, True)]
    if account.spent + tokens > limit:
        left = max(0, limit - account.spent - account.reserved)
        message = (
            f"{who}; {left} are left, and this request needs up to {tokens}. They begin anew in "
            f"{duration(midnight_s)}. Send a smaller max_tokens, or ask for a higher limit."
        )
        return [(midnight_s, code, message, True)]
    message = (
        f"{who}, and requests that are running hold {account.reserved} of them. "
        f"Try again in {duration(_SOON_S)}."
    )
    return [(_SOON_S, code, message, False)]
