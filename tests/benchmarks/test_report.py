"""Rows say what the rounds said, and hide no fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.measure import Measurement
from benchmarks.report import Row, markdown, rows_of, write_results
from benchmarks.scenarios import SCENARIOS

SCENARIO = SCENARIOS[0].name


def measurement(target: str, number: int, cpu_us: float, **load: Any) -> Measurement:
    report = {"answers": 1000, "faults": 0, "rps": 500.0, "fault_kinds": {}} | load
    report.setdefault("latency_us", {"p50": 100.0, "p99": 200.0})
    ns = int(cpu_us * 1000 * report["answers"])
    return Measurement(SCENARIO, target, number, report, ns, ns, upstream=report["answers"])


def row(rows: list[Row], target: str) -> Row:
    return next(r for r in rows if r.target == target)


def test_a_row_is_the_median_of_its_rounds_with_least_and_most() -> None:
    rows = rows_of([measurement("nginx", n, cpu) for n, cpu in enumerate((30, 10, 20))])
    nginx = row(rows, "nginx")
    assert (nginx.cpu_us, nginx.cpu_us_least, nginx.cpu_us_most, nginx.rounds) == (20, 10, 30, 3)


def test_ratios_are_to_nginx_and_litellm_of_the_same_run() -> None:
    costs = {"direct": 5, "nginx": 20, "santral full": 100, "litellm": 9000}
    rows = rows_of([measurement(name, 1, cpu) for name, cpu in costs.items()])
    full = row(rows, "santral full")
    assert (full.times_floor, full.times_cheaper_than_peer) == (5, 90)
    assert row(rows, "direct").times_floor is None


def test_added_latency_counts_from_direct_in_the_same_round() -> None:
    rounds = [
        measurement("direct", 1, 5, latency_us={"p50": 50.0, "p99": 90.0}),
        measurement("nginx", 1, 20, latency_us={"p50": 70.0, "p99": 190.0}),
    ]
    nginx = row(rows_of(rounds), "nginx")
    assert (nginx.added_p50_us, nginx.added_p99_us) == (20, 100)


def test_a_fault_is_in_the_row_and_in_the_table() -> None:
    bad = measurement("nginx", 1, 20, faults=3, fault_kinds={"cut": 3})
    rows = rows_of([bad, measurement("nginx", 2, 20)])
    assert row(rows, "nginx").faults == 3
    assert row(rows, "nginx").remark == "faults: 3 cut"
    assert "faults: 3 cut" in markdown({"gateways": {}, "not_run": {}}, SCENARIOS[:1], rows)


def test_an_answer_that_never_reached_the_provider_is_remarked() -> None:
    cached = measurement("santral full", 1, 20)
    cached = Measurement(cached.scenario, cached.target, 1, cached.load, upstream=400)
    assert rows_of([cached])[0].remark == "upstream saw 400 requests for 1000 answers"


def test_an_answer_from_the_cache_must_not_reach_the_provider() -> None:
    load = measurement("santral full", 1, 20).load
    hit = Measurement("cached", "santral full", 1, load, upstream=0, is_cached=True)
    asked = Measurement("cached", "santral full", 2, load, upstream=3, is_cached=True)
    assert rows_of([hit])[0].remark == ""
    assert rows_of([hit, asked])[0].remark == "upstream saw 3 requests for 1000 answers"


def test_a_load_that_was_not_run_says_why() -> None:
    skipped = Measurement(SCENARIO, "litellm", 1, {}, reason="not run: it manages about 60/s")
    only = rows_of([skipped])[0]
    assert (only.cpu_us, only.answers, only.remark) == (None, 0, "not run: it manages about 60/s")


def test_results_are_written_as_json_and_page(tmp_path: Path) -> None:
    facts = {
        "version": "1",
        "features": "none",
        "start_s": 0.5,
        "idle_bytes": 5_000_000,
        "after_bytes": 0,
    }
    conditions = {
        "date": "2026-01-01",
        "gateways": {"nginx": facts},
        "not_run": {"portkey": "no Node"},
    }
    path = write_results(tmp_path, "run", conditions, SCENARIOS[:1], [measurement("nginx", 1, 20)])
    assert json.loads(path.read_text())["rows"][0]["cpu_us"] == 20
    assert path.read_text() == (tmp_path / "latest.json").read_text()
    page = (tmp_path / "latest.md").read_text()
    assert "| nginx | 1 | none | 0.5 | 5 | - |" in page
    assert "- portkey: no Node" in page
