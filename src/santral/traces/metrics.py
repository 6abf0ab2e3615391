"""The numbers of a process for Prometheus: counters, gauges and histograms with closed label sets.

Every metric is declared in ``METRICS`` with its help text, and nowhere else: the reference page is
made from that table. An observation on a child costs about 0.1 us; keep the child, do not look it up.

Source of the text format: Prometheus exposition format 0.0.4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from santral.traces.record import CACHE_OUTCOMES, CACHE_SERVED
from santral.wire.usage import CLASSES

Kind = Literal["counter", "gauge", "histogram"]
#: How the numbers of several processes become one.
Across = Literal["sum", "max", "min"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Where a label value goes that came after its label was full.
OTHER = "other"

#: Seconds. OpenTelemetry's gen_ai.server.request.duration: 0.01 * 2**k. Specified.
_DURATION_S = tuple(round(0.01 * 2**k, 2) for k in range(14))
#: Seconds. OpenTelemetry's gen_ai.server.time_to_first_token. Specified.
_TTFT_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
#: Seconds around the 20 ms that DESIGN.md promises for p99. Chosen.
_LAG_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1)


class Label(Struct, frozen=True):
    """One label: its values are declared, or at most ``bound`` different ones are kept apart."""

    name: str
    values: tuple[str, ...] = ()
    bound: int = 64


class Metric(Struct, frozen=True, kw_only=True):
    """One row of the table of metrics."""

    name: str
    kind: Kind
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    across: Across = "sum"


class Series(Struct, frozen=True, array_like=True):
    """One child of a metric at one moment; ``counts`` are those of a histogram's buckets."""

    labels: tuple[str, ...]
    value: float
    counts: tuple[int, ...] = ()


#: The numbers of a process at one moment, by metric.
Numbers = dict[str, list[Series]]


_ROUTE = Label("route", bound=256)
_DEPLOYMENT = Label("deployment", bound=256)
_STATUS = Label("status", bound=40)
_DIALECT = Label(
    "dialect",
    ("chat", "responses", "messages", "completions", "embeddings", "rerank", "moderations"),
)
_CLASS = Label("class", CLASSES)

METRICS: tuple[Metric, ...] = (
    Metric(
        name="santral_requests_total",
        kind="counter",
        help="Requests answered, by the HTTP status that the caller saw.",
        labels=(_ROUTE, _STATUS, _DIALECT),
    ),
    Metric(
        name="santral_request_duration_seconds",
        kind="histogram",
        help="From the request's last byte in to the answer's last byte out.",
        labels=(_ROUTE,),
        buckets=_DURATION_S,
    ),
    Metric(
        name="santral_ttft_seconds",
        kind="histogram",
        help="From the request to the first content that a caller could read.",
        labels=(_ROUTE,),
        buckets=_TTFT_S,
    ),
    Metric(
        name="santral_overhead_seconds",
        kind="histogram",
        help="What Santral added: the request's duration less that of its attempts.",
        labels=(_ROUTE,),
        buckets=_TTFT_S,
    ),
    Metric(
        name="santral_tokens_total",
        kind="counter",
        help="Tokens by billing class; the classes are disjoint.",
        labels=(_ROUTE, _CLASS),
    ),
    Metric(
        name="santral_cost_nanousd_total",
        kind="counter",
        help="Cost in billionths of a US dollar, of requests whose price is known.",
        labels=(_ROUTE,),
    ),
    Metric(
        name="santral_cost_unknown_total",
        kind="counter",
        help="Requests that used tokens for which no price is known.",
        labels=(_ROUTE,),
    ),
    Metric(
        name="santral_limits_uncoordinated",
        kind="gauge",
        across="max",
        help="1 while the Redis of limits does not answer and rules hold as each of them says.",
    ),
    Metric(
        name="santral_limits_store_errors_total",
        kind="counter",
        help="Times that the Redis of limits could not be asked.",
    ),
    Metric(
        name="santral_limits_dropped_total",
        kind="counter",
        help="Settlements that waited too long for Redis; the ledger has them.",
    ),
    Metric(
        name="santral_limits_holds",
        kind="gauge",
        help="Requests that hold a part of a limit now.",
    ),
    Metric(
        name="santral_limits_waiting",
        kind="gauge",
        help="Requests that wait for room in a limit now.",
    ),
    Metric(
        name="santral_limits_turned_away_total",
        kind="counter",
        help="Requests that might have waited for room, had not too many others.",
    ),
    Metric(
        name="santral_cache_total",
        kind="counter",
        help="Requests by what the caches said; collapsed ones shared another's upstream call.",
        labels=(_ROUTE, Label("outcome", CACHE_OUTCOMES)),
    ),
    Metric(
        name="santral_cache_lookups_total",
        kind="counter",
        help="Questions to a tier of the caches; semantic_shadow serves nothing.",
        labels=(
            Label("tier", ("memory", "redis", "semantic_serve", "semantic_shadow")),
            Label("result", ("hit", "miss")),
        ),
    ),
    Metric(
        name="santral_cache_saved_usd_total",
        kind="counter",
        help="What the answers that caches served have cost when they were made, in US dollars.",
        labels=(Label("outcome", CACHE_SERVED),),
    ),
    Metric(
        name="santral_cache_entries",
        kind="gauge",
        help="Answers that workers keep in memory.",
        labels=(Label("tier", ("memory", "semantic")),),
    ),
    Metric(
        name="santral_cache_bytes",
        kind="gauge",
        help="Memory of the answers that workers keep.",
        labels=(Label("tier", ("memory", "semantic")),),
    ),
    Metric(
        name="santral_cache_store_errors_total",
        kind="counter",
        help="Questions that the shared store did not answer in time, or at all.",
    ),
    Metric(
        name="santral_cache_store_left_out",
        kind="gauge",
        across="max",
        help="1 while the shared store is left out because it is slow or dead.",
    ),
    Metric(
        name="santral_guardrail_verdicts_total",
        kind="counter",
        help="Verdicts of checks, and what was done about them.",
        labels=(
            Label("check", bound=128),
            Label("verdict", ("passed", "found", "failed")),
            Label("action", ("allow", "mask", "refuse", "report", "retry")),
        ),
    ),
    Metric(
        name="santral_attempts_total",
        kind="counter",
        help="Calls to deployments; error is empty for those that succeeded.",
        labels=(_DEPLOYMENT, Label("error")),
    ),
    Metric(
        name="santral_breaker_state",
        kind="gauge",
        across="max",
        help="The circuit breaker of a deployment: 0 closed, 1 half open, 2 open.",
        labels=(_DEPLOYMENT,),
    ),
    Metric(
        name="santral_retries_refused_total",
        kind="counter",
        help="Retries and hedges not made because the deployment's retry budget was used up.",
        labels=(_DEPLOYMENT,),
    ),
    Metric(
        name="santral_shadow_total",
        kind="counter",
        help="Copies of requests for deployments on trial, by what became of them.",
        labels=(_ROUTE, Label("outcome", ("answered", "failed", "dropped"))),
    ),
    Metric(
        name="santral_provider_keys",
        kind="gauge",
        across="max",
        help="Keys of each provider: living, busy (waiting for a rate limit) or dead (refused); the "
        "most that any worker counts.",
        labels=(Label("provider"), Label("state", ("living", "busy", "dead"))),
    ),
    Metric(
        name="santral_quota_refusals_total",
        kind="counter",
        help="Requests refused because a limit was used up.",
        labels=(_ROUTE,),
    ),
    Metric(
        name="santral_spool_received_total",
        kind="counter",
        help="Finished requests handed to the spool; equals spooled + dropped.",
    ),
    Metric(
        name="santral_spool_spooled_total",
        kind="counter",
        help="Finished requests that the spool keeps for the collector.",
    ),
    Metric(
        name="santral_spool_dropped_total",
        kind="counter",
        help="Finished requests lost because the spool was full or its disk refused.",
    ),
    Metric(
        name="santral_spool_unsynced_total",
        kind="counter",
        help="Of the spooled: the disk did not say that they survive power loss (spool_fsync).",
    ),
    Metric(name="santral_spool_bytes", kind="gauge", help="Bytes of the workers' spools on disk."),
    Metric(
        name="santral_alerts_total",
        kind="counter",
        help="Tries to deliver an alert about a limit: taken, to be tried again, given up.",
        labels=(Label("outcome", ("sent", "failed", "given_up")),),
    ),
    Metric(
        name="santral_collector_records_total",
        kind="counter",
        help="What the collector read from the spool: received = stored + rejected + duplicate.",
        labels=(Label("state", ("received", "stored", "rejected", "duplicate")),),
    ),
    Metric(
        name="santral_collector_waiting",
        kind="gauge",
        help="Records in the spool that the collector has not stored yet.",
    ),
    Metric(
        name="santral_collector_oldest_seconds",
        kind="gauge",
        help="Age of the oldest record that waits in the spool: the collector's health.",
    ),
    Metric(
        name="santral_collector_unreadable",
        kind="gauge",
        help="Segments that could not be read in the last pass: permission, or a disk that fails.",
    ),
    Metric(
        name="santral_collector_set_aside",
        kind="gauge",
        help="Files in the spool folder that are no segment and were renamed to .damaged.",
    ),
    Metric(
        name="santral_collector_unbilled_total",
        kind="counter",
        help="Records that the ledger could not take and the store has: see santral ledger verify.",
    ),
    Metric(name="santral_in_flight", kind="gauge", help="Requests being answered now."),
    Metric(
        name="santral_event_loop_lag_seconds",
        kind="histogram",
        help="How much later than asked the event loop woke.",
        buckets=_LAG_S,
    ),
    Metric(
        name="santral_config_generation",
        kind="gauge",
        across="min",
        help="Counts up with every configuration that came into force in all workers.",
    ),
    Metric(
        name="santral_config_reload_failures_total",
        kind="counter",
        help="Configurations that were refused; the last good one stayed in force.",
    ),
    Metric(
        name="santral_audit_acts_dropped_total",
        kind="counter",
        help="Configurations put in force or refused that could not be noted in the audit log.",
    ),
    Metric(
        name="santral_workers",
        kind="gauge",
        help="Gateway workers of this machine that accept connections.",
    ),
    Metric(
        name="santral_worker_ends_total",
        kind="counter",
        help="Gateway workers that ended: died, killed because they hung, or replaced by a restart.",
        labels=(Label("cause", ("died", "hung", "replaced")),),
    ),
)


class Counter:
    """A number that goes up, or down as a gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def inc(self, amount: float = 1) -> None:
        self.value += amount

    def dec(self, amount: float = 1) -> None:
        self.value -= amount

    def set(self, value: float) -> None:
        """Show a count that is kept elsewhere."""
        self.value = value


class Histogram:
    """How often which size was seen."""

    __slots__ = ("buckets", "counts", "sum")

    def __init__(self, buckets: tuple[float, ...]) -> None:
        self.buckets = buckets
        self.counts = [0] * (len(buckets) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.buckets, value)] += 1
        self.sum += value


class Family:
    """One metric and its children, one for each set of label values."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._children: dict[tuple[str, ...], Counter | Histogram] = {}
        self._seen: tuple[set[str], ...] = tuple(set(label.values) for label in metric.labels)

    def child(self, *values: str) -> Counter:
        """Return the counter or gauge of these label values: keep it where it is used often."""
        found = self._child(values)
        assert isinstance(found, Counter), f"{self.metric.name} is a histogram: use histogram()"  # noqa: S101
        return found

    def histogram(self, *values: str) -> Histogram:
        """Return the histogram of these label values: keep it where it is used often."""
        found = self._child(values)
        assert isinstance(found, Histogram), f"{self.metric.name} is no histogram: use child()"  # noqa: S101
        return found

    def render(self) -> Iterator[str]:
        """Yield the family's lines; a metric without labels shows its zero."""
        metric = self.metric
        if not metric.labels:
            self._child(())
        yield f"# HELP {metric.name} {_escape(metric.help)}"
        yield f"# TYPE {metric.name} {metric.kind}"
        for values, child in self._children.items():
            pairs = [
                f'{label.name}="{_escape(value, quotes=True)}"'
                for label, value in zip(metric.labels, values, strict=True)
            ]
            if isinstance(child, Histogram):
                yield from _histogram_lines(metric.name, pairs, child)
            else:
                yield _line(metric.name, pairs, child.value)

    def series(self) -> list[Series]:
        """Return the children as they are now."""
        return [_series(labels, child) for labels, child in self._children.items()]

    def add(self, series: Series) -> None:
        """Count a child of another process in, as its labels are."""
        child = self._children.get(series.labels)
        is_new = child is None
        if child is None:
            is_histogram = self.metric.kind == "histogram"
            child = Histogram(self.metric.buckets) if is_histogram else Counter()
            self._children[series.labels] = child
        if isinstance(child, Histogram):
            child.sum += series.value
            if len(series.counts) == len(child.counts):  # else of a version with other buckets
                child.counts = [a + b for a, b in zip(child.counts, series.counts, strict=True)]
        elif is_new or self.metric.across == "sum":
            child.value += series.value
        else:
            pick = max if self.metric.across == "max" else min
            child.value = pick(child.value, series.value)

    def _child(self, values: tuple[str, ...]) -> Counter | Histogram:
        found = self._children.get(values)
        return found if found is not None else self._new_child(values)

    def _new_child(self, values: tuple[str, ...]) -> Counter | Histogram:
        kept = tuple(
            _bounded(value, label, seen)
            for value, label, seen in zip(values, self.metric.labels, self._seen, strict=True)
        )
        if kept not in self._children:
            is_histogram = self.metric.kind == "histogram"
            self._children[kept] = Histogram(self.metric.buckets) if is_histogram else Counter()
        return self._children[kept]


class Metrics:
    """All metrics of this process, by name: ``metrics["santral_in_flight"].child().inc()``."""

    def __init__(self, metrics: Sequence[Metric] = METRICS) -> None:
        self._families = {metric.name: Family(metric) for metric in metrics}
        self._watched: list[Callable[[], None]] = []

    def __getitem__(self, name: str) -> Family:
        return self._families[name]

    def watch(self, update: Callable[[], None]) -> None:
        """Call ``update`` before every scrape, to show numbers that are counted elsewhere."""
        self._watched.append(update)

    def numbers(self) -> Numbers:
        """Return all numbers as they are now; about 20 us."""
        for update in self._watched:
            update()
        return {name: family.series() for name, family in self._families.items()}

    def add(self, numbers: Numbers, *, is_over: bool = False) -> None:
        """Count the numbers of another process in; of one that is over only what stays counted."""
        for name, found in numbers.items():
            family = self._families.get(name)  # another version may know others
            if family is None or (is_over and family.metric.kind == "gauge"):
                continue
            for series in found:
                if len(series.labels) == len(family.metric.labels):
                    family.add(series)

    def render(self) -> str:
        """Return everything in the Prometheus text format (``CONTENT_TYPE``)."""
        for update in self._watched:
            update()
        lines = [line for family in self._families.values() for line in family.render()]
        return "\n".join([*lines, ""])


def _series(labels: tuple[str, ...], child: Counter | Histogram) -> Series:
    if isinstance(child, Histogram):
        return Series(labels, child.sum, tuple(child.counts))
    return Series(labels, child.value)


def _bounded(value: str, label: Label, seen: set[str]) -> str:
    """Return ``value``, or ``other`` where the label's set is closed or full."""
    if value in seen:
        return value
    if label.values or len(seen) >= label.bound:
        return OTHER
    seen.add(value)
    return value


def _histogram_lines(name: str, pairs: list[str], histogram: Histogram) -> Iterator[str]:
    total = 0
    for edge, count in zip((*histogram.buckets, float("inf")), histogram.counts, strict=True):
        total += count
        yield _line(f"{name}_bucket", [*pairs, f'le="{_number(edge)}"'], total)
    yield _line(f"{name}_sum", pairs, histogram.sum)
    yield _line(f"{name}_count", pairs, total)


def _line(name: str, pairs: list[str], value: float) -> str:
    labels = f"{{{','.join(pairs)}}}" if pairs else ""
    return f"{name}{labels} {_number(value)}"


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)


def _escape(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
