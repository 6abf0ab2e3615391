"""A budget of further calls: retries and hedges stay a small part of all calls, so none storms."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


class BudgetSettings(Struct, frozen=True, kw_only=True):
    """How many calls may be added. Chosen after Finagle's RetryBudget (20 %, and some a second)."""

    share: float = 0.2  # of the calls made
    per_second: float = 2.0  # besides, so that a quiet deployment can be retried at all
    burst: float = 10.0  # most that is saved up


class Bucket:
    """Tokens that calls earn and further calls spend; ``now`` in seconds."""

    __slots__ = ("_at", "_settings", "refused", "tokens")

    def __init__(self, settings: BudgetSettings, now: float) -> None:
        self._settings = settings
        self._at = now
        self.tokens = settings.burst
        self.refused = 0  # further calls that were not made

    def earn(self) -> None:
        """Note one call."""
        tokens = self.tokens + self._settings.share
        self.tokens = tokens if tokens < self._settings.burst else self._settings.burst

    def spend(self, now: float) -> bool:
        """Take one further call out of the budget; false when there is none left."""
        settings = self._settings
        earned = settings.per_second * max(0.0, now - self._at)
        self._at = now
        self.tokens = min(settings.burst, self.tokens + earned)
        if self.tokens < 1:
            self.refused += 1
            return False
        self.tokens -= 1
        return True


class RetryBudget:
    """A bucket for each name: deployments for retries, routes for hedges.

    Of N first calls within T seconds at most ``burst + share * N + per_second * T`` more are made.
    """

    def __init__(self, clock: Callable[[], float], settings: BudgetSettings | None = None) -> None:
        self._clock = clock
        self._settings = settings or BudgetSettings()
        self._buckets: dict[str, Bucket] = {}

    def earn(self, name: str) -> None:
        """Note a first call."""
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._new(name)
        if bucket.tokens < self._settings.burst:  # seldom: a healthy deployment spends nothing
            bucket.earn()

    def spend(self, name: str) -> bool:
        """Whether a further call may be made now; if so, it counts as made."""
        return (self._buckets.get(name) or self._new(name)).spend(self._clock())

    def refused(self) -> dict[str, int]:
        """Return how many further calls each name was refused, for metrics."""
        return {name: bucket.refused for name, bucket in self._buckets.items()}

    def _new(self, name: str) -> Bucket:
        bucket = self._buckets[name] = Bucket(self._settings, self._clock())
        return bucket
