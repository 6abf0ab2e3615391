"""When a budget will be used up, with the range that the hours before allow to say.

The likely moment follows the mean of the last day. The range follows how much its hours differ: what
the hours to come will spend together lies within 1.64 standard errors of that mean with 90 % certainty,
as far as they are like the hours before. The rate of the last hour widens it where that is beyond.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from santral.quota.claim import kind_of
from santral.quota.rule import Rule
from santral.quota.window import LENGTH_S, span

HOUR_S = 3600
HOURS = 24
#: Two-sided 90 % of the normal distribution.
_Z = 1.6449

Outlook = Literal["spent", "before the end", "perhaps", "not before the end", "nothing is spent"]


class Burn(Struct, frozen=True, kw_only=True):
    """What one account of a rule has used: in its window, and in each of the last 24 hours."""

    rule: Rule
    scope_id: str
    spent: int
    start_s: int  # when its window began
    hours: Sequence[int] = ()  # the running hour first


class Forecast(Struct, frozen=True, kw_only=True):
    """When a budget will be used up. Moments are seconds since 1970; None: not as things go."""

    spent: int
    left: int
    last_hour: int
    last_day: int
    per_hour: float  # the likely rate
    low_per_hour: float
    high_per_hour: float
    end_s: int | None  # when its window begins anew; None: it rolls
    likely_s: int | None
    earliest_s: int | None
    latest_s: int | None
    outlook: Outlook


def forecast(burn: Burn, now_s: int) -> Forecast:
    """Return when the budget of ``burn`` will be used up, if it goes on as in the last day."""
    rule = burn.rule
    left = max(0, rule.limit - burn.spent)
    end_s = None if rule.is_rolling else span(rule.window, ZoneInfo(rule.time_zone), now_s)[1]
    low, mean, high = rates(burn.hours, (end_s or now_s + LENGTH_S[rule.window]) - now_s)
    moments = [_used_up(burn, rate, left, now_s) for rate in (high, mean, low)]
    return Forecast(
        spent=burn.spent,
        left=left,
        last_hour=burn.hours[0] if burn.hours else 0,
        last_day=sum(burn.hours),
        per_hour=mean,
        low_per_hour=low,
        high_per_hour=high,
        end_s=end_s,
        earliest_s=moments[0],
        likely_s=moments[1],
        latest_s=moments[2],
        outlook=_outlook(moments, end_s, left, high),
    )


def rates(hours: Sequence[int], ahead_s: int) -> tuple[float, float, float]:
    """Return what will be spent in an hour: at least, likely and at most.

    ``hours`` are those before, the latest first; those before the first spending do not count, so
    that what began an hour ago is not spread over a day.
    """
    known = list(hours)
    while len(known) > 1 and not known[-1]:
        known.pop()
    if not any(known):
        return 0.0, 0.0, 0.0
    n = len(known)
    mean = sum(known) / n
    if n < 2:
        return 0.0, mean, 2 * mean  # one hour says nothing of how much hours differ
    deviation = math.sqrt(sum((hour - mean) ** 2 for hour in known) / (n - 1))
    ahead = max(1.0, min(ahead_s / HOUR_S, 24.0 * 31))
    error = _Z * deviation * math.sqrt(1 / n + 1 / ahead)
    return max(0.0, min(mean - error, known[0])), mean, max(mean + error, float(known[0]))


def _used_up(burn: Burn, per_hour: float, left: int, now_s: int) -> int | None:
    if not left:
        return now_s
    per_s = per_hour / HOUR_S
    if burn.rule.is_rolling:
        # What was spent leaves the window as time goes on: evenly, for all that is known here.
        per_s -= burn.spent / LENGTH_S[burn.rule.window]
    return now_s + math.ceil(left / per_s) if per_s > 0 else None


def _outlook(moments: Sequence[int | None], end_s: int | None, left: int, high: float) -> Outlook:
    if not left:
        return "spent"
    if not high:
        return "nothing is spent"
    inside = [moment is not None and (end_s is None or moment < end_s) for moment in moments]
    if inside[1]:
        return "before the end"
    return "perhaps" if inside[0] else "not before the end"


def has_window(rule: Rule) -> bool:
    """Whether the ledger can say how much of a rule is used."""
    return kind_of(rule) in ("calendar", "rolling") and LENGTH_S[rule.window] >= LENGTH_S["minute"]


def window_key_s(rule: Rule, start_s: int) -> int:
    """Return what names the window that began at ``start_s``, so that each is told of once.

    A rolling one has no beginning: stretches of its length stand for it.
    """
    return start_s // LENGTH_S[rule.window] * LENGTH_S[rule.window] if rule.is_rolling else start_s
