"""What a caller is told about its limits: headers on every answer, and the refusal."""

from __future__ import annotations

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
    fewest = least = float("inf")
    for (_, limits), account in zip(scopes, accounts, strict=True):
        rate = limits.requests_per_second
        if rate is not None:
            account.refill(rate, limits.capacity, now)
            if account.level < fewest:
                fewest = account.level
                to_full = (limits.capacity - account.level) / rate
                _put(headers, "requests", limits.capacity, account.level, duration(to_full))
        if limits.tokens_per_day is not None:
            left = limits.tokens_per_day - account.spent - account.reserved
            if left < least:
                least = left
                _put(headers, "tokens", limits.tokens_per_day, left, duration(until_midnight(now)))
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
    """Write a time as OpenAI does: ``20ms``, ``1s``, ``6m0s``, ``5h3m20s``."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def until_midnight(now: float) -> float:
    """Return the seconds left of the UTC day."""
    return SECONDS_PER_DAY - now % SECONDS_PER_DAY


def _put(headers: dict[str, str], what: str, limit: float, left: float, reset: str) -> None:
    headers[f"x-ratelimit-limit-{what}"] = str(int(limit))
    headers[f"x-ratelimit-remaining-{what}"] = str(max(0, int(left + 1e-9)))
    headers[f"x-ratelimit-reset-{what}"] = reset


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
