"""What caches report: outcomes of requests, lookups by tier, and money saved."""

from __future__ import annotations

from santral.traces.metrics import Counter, Metrics
from santral.traces.record import CACHE_SERVED

#: The purpose of an attempt that only made a vector to look an answer up by.
EMBED = "embed"


class CacheMetrics:
    """Counts what caches do; a lookup costs some 0.2 us."""

    def __init__(self, metrics: Metrics) -> None:
        lookups = metrics["santral_cache_lookups_total"]
        self._lookups = {
            (tier, is_hit): lookups.child(tier, "hit" if is_hit else "miss")
            for tier in ("memory", "redis", "semantic_serve", "semantic_shadow")
            for is_hit in (False, True)
        }
        money = metrics["santral_cache_saved_usd_total"]
        self._saved = {outcome: money.child(outcome) for outcome in CACHE_SERVED}
        self._entries = _by_tier(metrics, "santral_cache_entries")
        self._bytes = _by_tier(metrics, "santral_cache_bytes")
        self._errors = metrics["santral_cache_store_errors_total"].child()
        self._left_out = metrics["santral_cache_store_left_out"].child()

    def looked_up(self, tier: str, is_hit: bool) -> None:
        """Count one question to a tier."""
        self._lookups[tier, is_hit].value += 1

    def saved(self, outcome: str, nanousd: int) -> None:
        """Count the money that an answer did not cost."""
        self._saved[outcome].inc(nanousd / 1e9)

    def show(self, counters: dict[str, int], *, is_left_out: bool) -> None:
        """Show what the caches count themselves."""
        for tier, child in self._entries.items():
            child.set(counters[f"{tier}_entries"])
            self._bytes[tier].set(counters[f"{tier}_bytes"])
        self._errors.set(counters["redis_errors"])
        self._left_out.set(int(is_left_out))


def _by_tier(metrics: Metrics, name: str) -> dict[str, Counter]:
    return {tier: metrics[name].child(tier) for tier in ("memory", "semantic")}
