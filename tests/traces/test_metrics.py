from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from santral.traces.metric import METRICS, Label, Metric
from santral.traces.metrics import OTHER, Metrics
from santral.traces.observe import RequestMetrics
from santral.wire.usage import Usage

SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>\+Inf|-?[0-9.e+-]+)"
)
PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')


def parse(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read the text format as its specification says, strictly."""
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    types: dict[str, str] = {}
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types
            types[name] = kind
        elif not line.startswith("# HELP "):
            found = SAMPLE.fullmatch(line)
            assert found, line
            family = re.sub("_(bucket|sum|count)$", "", found["name"])
            assert family in types or found["name"] in types, line
            raw = found["labels"] or ""
            assert PAIR.sub("", raw) == "", line
            labels = tuple((k, _unescape(v)) for k, v in PAIR.findall(raw))
            assert (found["name"], labels) not in samples, line
            samples[found["name"], labels] = float(found["value"])
    return samples


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), text)


def test_every_metric_has_a_name_and_help_that_prometheus_users_expect() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch("santral_[a-z0-9_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.help.endswith("."), metric.name
        assert bool(metric.buckets) == (metric.kind == "histogram"), metric.name
        assert list(metric.buckets) == sorted(set(metric.buckets)), metric.name


def test_a_counter_shows_what_was_counted() -> None:
    metrics = Metrics()
    child = metrics["santral_requests_total"].child("support", "200", "chat")
    child.inc()
    child.inc(2)
    assert metrics["santral_requests_total"].child("support", "200", "chat") is child
    labels = (("route", "support"), ("status", "200"), ("dialect", "chat"))
    assert parse(metrics.render())["santral_requests_total", labels] == 3


def test_metrics_without_labels_show_zero_from_the_start() -> None:
    assert parse(Metrics().render())["santral_spool_dropped_total", ()] == 0


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1e4, allow_nan=False), max_size=40))
def test_a_histogram_counts_every_value_in_its_bucket(values: list[float]) -> None:
    metrics = Metrics()
    histogram = metrics["santral_ttft_seconds"].histogram("support")
    for value in values:
        histogram.observe(value)
    samples = parse(metrics.render())
    route = ("route", "support")
    for edge in (*histogram.buckets, math.inf):
        text = "+Inf" if edge == math.inf else repr(edge)
        key = ("santral_ttft_seconds_bucket", (route, ("le", text)))
        assert samples[key] == sum(value <= edge for value in values)
    assert samples["santral_ttft_seconds_count", (route,)] == len(values)
    assert samples["santral_ttft_seconds_sum", (route,)] == pytest.approx(sum(values))


@settings(max_examples=50)
@given(st.text())
def test_any_text_is_a_label_value_that_can_be_read_back(value: str) -> None:
    metrics = Metrics()
    metrics["santral_cost_nanousd_total"].child(value).inc()
    assert parse(metrics.render())["santral_cost_nanousd_total", (("route", value),)] == 1


def test_values_beyond_the_bound_are_counted_together() -> None:
    table = [Metric(name="x_total", kind="counter", help="X.", labels=(Label("who", bound=2),))]
    metrics = Metrics(table)
    for who in ("a", "b", "c", "d", "a"):
        metrics["x_total"].child(who).inc()
    samples = parse(metrics.render())
    assert samples == {
        ("x_total", (("who", "a"),)): 2,
        ("x_total", (("who", "b"),)): 1,
        ("x_total", (("who", OTHER),)): 2,
    }


def test_a_value_that_was_not_declared_is_other() -> None:
    metrics = Metrics()
    metrics["santral_cache_total"].child("support", "sideways").inc()
    assert 'outcome="other"' in metrics.render()


def test_watched_numbers_are_fresh_at_every_scrape() -> None:
    metrics = Metrics()
    waiting = [1]
    metrics.watch(lambda: metrics["santral_collector_waiting"].child().set(waiting[0]))
    assert parse(metrics.render())["santral_collector_waiting", ()] == 1
    waiting[0] = 7
    assert parse(metrics.render())["santral_collector_waiting", ()] == 7


def test_a_request_is_counted_everywhere_it_belongs(make_record: Any) -> None:
    metrics = Metrics()
    requests = RequestMetrics(metrics)
    record = make_record(1, route="support", usage=Usage(input_uncached=7, reasoning=3))
    requests.observe(record)
    requests.observe(make_record(2, route="support", error="rate_limit_exceeded", status=429))
    requests.observe(make_record(3, route="other-route", cost_nanousd=None, cache="hit"))
    samples = parse(metrics.render())
    support = ("route", "support")
    assert samples["santral_request_duration_seconds_count", (support,)] == 2
    assert samples["santral_tokens_total", (support, ("class", "reasoning"))] == 3
    assert samples["santral_quota_refusals_total", (support,)] == 1
    assert samples["santral_cost_unknown_total", (("route", "other-route"),)] == 1
    assert samples["santral_cache_total", (("route", "other-route"), ("outcome", "hit"))] == 1
    assert samples["santral_attempts_total", (("deployment", "local"), ("error", ""))] == 3
    found = (("check", "pii"), ("verdict", "found"), ("action", "mask"))
    assert samples["santral_guardrail_verdicts_total", found] == 3
    overhead = sum(
        (r.duration_us - r.attempts[0].duration_us) / 1e6
        for r in (record, make_record(2, route="support"))
    )
    assert samples["santral_overhead_seconds_sum", (support,)] == pytest.approx(overhead)
