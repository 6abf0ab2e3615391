"""What one scope has left: a bucket of requests and a count of tokens for the UTC day."""

from __future__ import annotations

import math

from santral.quota.limit import Limits

SECONDS_PER_DAY = 86_400

#: A bucket this full holds one request: seconds since 1970 tick at 0.24 µs in a float, so who waits
#: as long as told may come a trifle early. What is taken is a whole request all the same.
ONE_REQUEST = 1.0 - 1e-3


class Account:
    """The state of one scope. Its limits come with every call, so they may change at any time."""

    __slots__ = ("day", "holds", "level", "limits", "refilled_at", "reserved", "spent")

    def __init__(self, now: float) -> None:
        self.level = math.inf  # cut to the size of the bucket at its first use
        self.refilled_at = now
        self.day = int(now // SECONDS_PER_DAY)
        self.spent = 0
        self.reserved = 0
        self.holds = 0
        self.limits = Limits()

    def has_room(self, limits: Limits, tokens: int, now: float, day: int) -> bool:
        """Whether one more request of ``tokens`` fits; brings bucket and day up to date."""
        self.limits = limits
        if self.day != day:
            self.begin_day(day)
        rate = limits.requests_per_second
        if rate is not None and self.refill(rate, limits.capacity, now) < ONE_REQUEST:
            return False
        per_day = limits.tokens_per_day
        return per_day is None or self.spent + self.reserved + tokens <= per_day

    def take(self, tokens: int) -> None:
        """Reserve what ``has_room`` has found to fit."""
        self.holds += 1
        self.reserved += tokens
        self.level -= 1.0

    def give_back(self, day: int, reserved: int, spent: int) -> None:
        """Close a hold of ``day`` that reserved so much and used so much."""
        self.holds -= 1
        if day == self.day:
            self.reserved -= reserved
            self.spent += spent

    def begin_day(self, day: int) -> None:
        """Start ``day`` at zero, unless it is running or past."""
        if day > self.day:
            self.day = day
            self.spent = 0
            self.reserved = 0

    def refill(self, rate: float, capacity: float, now: float) -> float:
        """Bring the bucket up to ``now``; return how many requests it holds."""
        level = self.level
        passed = now - self.refilled_at
        self.refilled_at = now
        if passed > 0.0:
            level += passed * rate
        if level > capacity:  # not min(): this runs twice in every decision
            level = capacity
        self.level = level
        return level

    def is_idle(self, now: float, day: int) -> bool:
        """Whether a new account would answer the same: nothing held or spent, the bucket full."""
        if self.holds or (self.spent and self.day >= day):
            return False
        rate = self.limits.requests_per_second
        if rate is None:
            return True
        passed = max(0.0, now - self.refilled_at)
        return self.level + passed * rate >= self.limits.capacity
