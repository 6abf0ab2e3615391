"""What experiments are judged by: metrics of requests, and scores by their names."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Better: TypeAlias = Literal["lower", "higher", "neither"]

#: What stands before the name of a score.
SCORE = "score:"
#: Share of answered requests that are slower than a bound: at most 5 % are, where the p95 keeps it.
SLOW = "latency_p95_ms"
SLOW_SHARE = 0.05


class Metric(Struct, frozen=True, kw_only=True):
    """A ratio of two sums over requests; ``scale`` takes what is stored to ``unit``."""

    name: str
    better: Better
    unit: str = ""
    scale: float = 1.0
    is_rate: bool = False  # a share of requests: margins are differences

    @property
    def is_score(self) -> bool:
        """Whether people or judges gave it, to some of the requests."""
        return self.name.startswith(SCORE)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="cost_usd", better="lower", unit="USD", scale=1e-9),
        Metric(name="latency_ms", better="lower", unit="ms", scale=1e-3),
        Metric(name="ttft_ms", better="lower", unit="ms", scale=1e-3),
        Metric(name="output_tokens", better="neither", unit="tokens"),
        Metric(name="error_rate", better="lower", is_rate=True),
        Metric(name="refusal_rate", better="lower", is_rate=True),
        Metric(name="retry_rate", better="lower", is_rate=True),
        Metric(name="cache_hit_rate", better="higher", is_rate=True),
        Metric(name=SLOW, better="lower", is_rate=True),
    )
}


def metric_named(name: str) -> Metric | None:
    """Return a metric of requests or of scores; nothing where there is none of that name."""
    if name.startswith(SCORE):
        return Metric(name=name, better="higher")
    return METRICS.get(name)
