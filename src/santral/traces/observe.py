"""One finished request into the metrics of the process that answered it."""

from __future__ import annotations

from santral.traces.metrics import Counter, Histogram, Metrics
from santral.traces.record import CACHE_OUTCOMES, AttemptRecord, TraceRecord
from santral.wire.usage import CLASSES, Usage

#: What the gateway's own limits refuse with; a provider's 429 has another code.
_QUOTA_ERRORS = frozenset(
    {"rate_limit_exceeded", "requests_per_second_exceeded", "tokens_per_day_exceeded"}
)


class RequestMetrics:
    """Counts finished requests; keeps the children it needs, so that a request costs a few us."""

    def __init__(self, metrics: Metrics) -> None:
        self._requests = metrics["santral_requests_total"]
        self._verdicts = metrics["santral_guardrail_verdicts_total"]
        self._attempts = metrics["santral_attempts_total"]
        self._metrics = metrics
        self._routes: dict[str, _RouteChildren] = {}
        self._said: dict[tuple[str, str, str], Counter] = {}

    def observe(self, record: TraceRecord) -> None:
        """Count one request."""
        route = self._routes.get(record.route) or self._new_route(record.route)
        self._requests.child(record.route, str(record.status), record.dialect).inc()
        route.observe(record)
        for verdict in record.verdicts:
            said = (verdict.check, verdict.verdict, verdict.action)
            (self._said.get(said) or self._new_said(said)).value += 1
        for attempt in record.attempts:
            self._attempts.child(attempt.deployment, attempt.error).inc()

    def _new_said(self, said: tuple[str, str, str]) -> Counter:
        """Keep the child of a verdict: checks, verdicts and actions are few."""
        made = self._said[said] = self._verdicts.child(*said)
        return made

    def _new_route(self, route: str) -> _RouteChildren:
        if len(self._routes) >= 1024:  # names that no route has come from outside: start over
            self._routes.clear()
        self._routes[route] = made = _RouteChildren(self._metrics, route)
        return made


class _RouteChildren:
    """The children that carry one route's name."""

    __slots__ = ("cache", "cost", "duration", "overhead", "quota", "tokens", "ttft", "unknown")

    def __init__(self, metrics: Metrics, route: str) -> None:
        self.duration: Histogram = metrics["santral_request_duration_seconds"].histogram(route)
        self.ttft: Histogram = metrics["santral_ttft_seconds"].histogram(route)
        self.overhead: Histogram = metrics["santral_overhead_seconds"].histogram(route)
        self.cost: Counter = metrics["santral_cost_nanousd_total"].child(route)
        self.unknown: Counter = metrics["santral_cost_unknown_total"].child(route)
        self.quota: Counter = metrics["santral_quota_refusals_total"].child(route)
        self.cache = {o: metrics["santral_cache_total"].child(route, o) for o in CACHE_OUTCOMES}
        tokens = metrics["santral_tokens_total"]
        self.tokens = [(name, tokens.child(route, name)) for name in CLASSES]

    def observe(self, record: TraceRecord) -> None:
        self.duration.observe(record.duration_us / 1e6)
        if record.cache != "collapsed":  # it waited for an attempt that is another request's
            self.overhead.observe(overhead_us(record.duration_us, record.attempts) / 1e6)
        if record.ttft_us is not None:
            self.ttft.observe(record.ttft_us / 1e6)
        if record.error in _QUOTA_ERRORS:
            self.quota.inc()
        self.cache.get(record.cache, self.cache["off"]).inc()
        if record.usage is not None:
            self._bill(record.usage, record.cost_nanousd)

    def _bill(self, usage: Usage, cost_nanousd: int | None) -> None:
        for name, child in self.tokens:
            child.value += getattr(usage, name)
        if cost_nanousd is not None:
            self.cost.inc(cost_nanousd)
        elif usage.total_tokens:
            self.unknown.inc()


def overhead_us(duration_us: int, attempts: list[AttemptRecord]) -> int:
    """Return what Santral added to a request: its duration less that of its attempts."""
    return max(0, duration_us - sum(attempt.duration_us for attempt in attempts))
