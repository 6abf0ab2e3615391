"""What a caller is told about its limits: headers on every answer, and the refusal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from msgspec import Struct

from santral.errors import QuotaExceeded
from santral.quota.account import SOON_S, Account, Bucket
from santral.quota.claim import Claim
from santral.quota.rule import EACH, NANO_PER_USD, Measure, Rule
from santral.quota.window import LENGTH_S


class Standing(Struct, frozen=True):
    """How one claim stands: what is used, what of it running requests hold, and when it opens."""

    claim: Claim
    used: int
    held: int = 0
    level: float = 0.0  # of a bucket: the requests that it holds
    opens_in_s: float = 0.0  # of a refused claim: until the request may fit

    @property
    def left(self) -> float:
        """What is not used yet."""
        if self.claim.kind == "bucket":
            return self.level
        return max(0, self.claim.limit - self.used)


def standing(claim: Claim, account: Account, now: float, opens_in_s: float = 0.0) -> Standing:
    """Return how a claim stands whose account is in this process."""
    used = account.used(claim, now)
    level = account.level if isinstance(account, Bucket) else 0.0
    return Standing(claim, used, account.held, level, opens_in_s)


_RATES: tuple[tuple[Measure, str, str, str], ...] = (
    (
        "requests",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    (
        "tokens",
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
    ),
)


def limit_headers(standings: Sequence[Standing], now: float) -> dict[str, str]:
    """Return OpenAI's ``x-ratelimit-*``, for requests and tokens each of the limit with least left.

    Budgets add ``x-santral-budget-remaining-usd``; limits used beyond a fraction that asks for a
    warning add ``x-santral-limit-warning``.
    """
    least: dict[Measure, tuple[float, Standing]] = {}
    warnings: list[str] = []
    for standing in standings:
        claim = standing.claim
        if claim.rule.warn_at and (text := _warning(standing)):
            warnings.append(text)
        if not claim.rule.is_dry_run:
            left, known = standing.left, least.get(claim.measure)
            if known is None or left < known[0]:
                least[claim.measure] = (left, standing)
    headers: dict[str, str] = {}
    for measure, limit, remaining, reset in _RATES:
        if measure in least:
            left, standing = least[measure]
            headers[limit] = str(standing.claim.limit)
            headers[remaining] = _whole(left)
            headers[reset] = duration(_resets_in(standing, now))
    if "usd" in least:
        headers["x-santral-budget-remaining-usd"] = usd(int(least["usd"][0]))
    if warnings:
        headers["x-santral-limit-warning"] = ", ".join(warnings)
    return headers


def refusal(
    refused: Sequence[tuple[Standing, int]], standings: Sequence[Standing], now: float
) -> QuotaExceeded:
    """Return the error of a request that does not fit: of all limits the one that opens last.

    ``refused`` has, with each limit that is in the way, how much the request needs of it.
    """
    reasons = [(_reason(standing, need), standing.claim) for standing, need in refused]
    (wait_s, code, message, is_final), claim = max(reasons, key=lambda reason: reason[0])
    headers = limit_headers(standings, now)
    if is_final:
        headers["x-should-retry"] = "false"
    return QuotaExceeded(
        message,
        retry_after_s=wait_s,
        code=code,
        headers=headers,
        account=claim.account,
        patience_s=min(standing.claim.rule.wait_s for standing, _ in refused),
    )


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


def usd(nanousd: int) -> str:
    """Write an amount of money with all its digits: ``12.5``, ``0.000000015``."""
    whole, rest = divmod(abs(nanousd), NANO_PER_USD)
    text = f"{whole}.{rest:09d}".rstrip("0").rstrip(".")
    return f"-{text}" if nanousd < 0 else text


def amount_text(rule: Rule) -> str:
    """Write what a rule allows: ``100 tokens per UTC day``, ``$5 in any 60 minutes``."""
    if rule.rate is not None:
        return f"{rule.rate:g} requests per second"
    if rule.measure == "usd":
        return f"${usd(rule.limit)} {_window_text(rule)}"
    if rule.measure == "concurrent":
        return f"{rule.limit} requests at once"
    return f"{rule.limit} {rule.measure} {_window_text(rule)}"


_ROLLING = {
    "minute": "in any 60 seconds",
    "hour": "in any 60 minutes",
    "day": "in any 24 hours",
    "week": "in any 7 days",
    "month": "in any 30 days",
}


def _window_text(rule: Rule) -> str:
    if rule.is_rolling:
        return _ROLLING.get(rule.window, f"per {rule.window}")
    if rule.window in ("minute", "hour"):
        return f"per {rule.window}"
    if rule.time_zone == "UTC":
        return f"per UTC {rule.window}"
    return f"per {rule.window} ({rule.time_zone})"


def _resets_in(standing: Standing, now: float) -> float:
    claim = standing.claim
    if claim.kind == "bucket":
        return (claim.rule.capacity - standing.level) / (claim.rule.rate or 1.0)
    if claim.calendar is not None:
        return max(0.0, claim.calendar.end - now)
    return float(LENGTH_S[claim.rule.window]) if standing.used else 0.0


def _warning(standing: Standing) -> str:
    """Return the highest fraction that was passed, with whose it is; nothing while none was."""
    rule = standing.claim.rule
    if not rule.warn_at or not standing.claim.limit:
        return ""
    share = standing.used / standing.claim.limit
    passed = [fraction for fraction in rule.warn_at if share >= fraction]
    if not passed:
        return ""
    window = rule.window or "once"
    who = f"{rule.scope.kind} {_ascii(standing.claim.scope_id)}"
    return f"{who}: {share:.0%} of {rule.measure}/{window}"


def _ascii(text: str) -> str:
    """A header carries plain letters alone; the caller's own words may hold anything."""
    return "".join(c if " " < c < "\x7f" and c not in ",:" else "?" for c in text[:64])


def _whole(left: float) -> str:
    return str(int(left + 1e-9)) if left > 0 else "0"


def _reason(standing: Standing, need: int) -> tuple[float, str, str, bool]:
    claim = standing.claim
    who = _who(claim)
    if claim.kind == "bucket":
        message = (
            f"{who} may send {claim.rule.rate:g} requests per second. Try again in "
            f"{duration(standing.opens_in_s)}, or ask an administrator for a higher limit."
        )
        return (standing.opens_in_s, claim.rule.code, message, False)
    if claim.kind == "held":
        message = (
            f"{who} may have {claim.limit} requests running at once, and has. "
            f"Try again in {duration(SOON_S)}."
        )
        return (SOON_S, claim.rule.code, message, False)
    return _window_reason(standing, need, who)


def _window_reason(standing: Standing, need: int, who: str) -> tuple[float, str, str, bool]:
    claim, wait_s = standing.claim, standing.opens_in_s
    code, unit = claim.rule.code, _unit(claim.rule)
    may = f"{who} may use {amount_text(claim.rule)}"
    if claim.measure == "requests":
        message = (
            f"{who} may send {amount_text(claim.rule)}, and has. Try again in {duration(wait_s)}, or "
            "ask an administrator for a higher limit."
        )
        return (wait_s, code, message, wait_s > 60.0)
    if need > claim.limit:
        message = (
            f"{may}, and this request alone needs up to {unit(need)}. Send a shorter request, "
            "a smaller max_tokens, or ask an administrator for a higher limit."
        )
        return (wait_s, code, message, True)
    if standing.used - standing.held + need <= claim.limit:
        message = (
            f"{may}, and requests that are running hold {unit(standing.held)} of them. "
            f"Try again in {duration(SOON_S)}."
        )
        return (SOON_S, code, message, False)
    message = (
        f"{may}; {unit(int(standing.left))} are left, and this request needs up to {unit(need)}. "
        f"They begin anew in {duration(wait_s)}. Send a smaller max_tokens, or ask for a higher limit."
    )
    return (wait_s, code, message, wait_s > 60.0)


def _unit(rule: Rule) -> Callable[[int], str]:
    return _dollars if rule.measure == "usd" else str


def _dollars(nanousd: int) -> str:
    return f"${usd(nanousd)}"


def _who(claim: Claim) -> str:
    rule = claim.rule
    if rule.scope.kind == "tenant":
        return f"The tenant '{claim.scope_id}'"
    name = claim.scope_id.rpartition("/")[2] if rule.scope.id == EACH else claim.scope_id
    return f"The {rule.scope.kind} '{name}'"
