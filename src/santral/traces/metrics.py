"""The numbers of a process for Prometheus: counters, gauges and histograms with closed label sets.

Every metric is declared in ``santral.traces.metric`` and nowhere else. An observation on a child costs
about 0.1 us; keep the child, do not look it up.

Source of the text format: Prometheus exposition format 0.0.4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from santral.traces.metric import METRICS, Label, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Where a label value goes that came after its label was full.
OTHER = "other"


class Series(Struct, frozen=True, array_like=True):
    """One child of a metric at one moment; ``counts`` are those of a histogram's buckets."""

    labels: tuple[str, ...]
    value: float
    counts: tuple[int, ...] = ()


#: The numbers of a process at one moment, by metric.
Numbers = dict[str, list[Series]]


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
