"""What providers reported, times the price, is what the ledger holds: to the nano-dollar."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.conftest import Santral, wait_until

pytestmark = pytest.mark.journey

PRICES = """
version = "test-1"
currency = "USD"
[[price]]
kind = "openai-compatible"
model = "*"
from = 2020-01-01
input = "1.10"
cache_read = "0.30"
output = "7.70"
reasoning = "9.90"
"""

ROUTE = """
[prices]
file = "prices.toml"
[routes.cached]
ladder = [{ deployments = { d-ok = 1 } }]
cache = { enabled = true }
[routes.schema]
ladder = [{ deployments = { d-json-retry = 1 } }]
output_schema = "city.json"
"""

#: Nano-dollars per token: 1.10 dollars for a million tokens are 1,100 nano-dollars for one.
PER_TOKEN = {
    "input_uncached": 1_100,
    "cache_read": 300,
    "cache_write": 1_100,
    "output_text": 7_700,
    "reasoning": 9_900,
}


def cost_of(usage: dict[str, Any]) -> int:
    return sum(usage.get(name, 0) * price for name, price in PER_TOKEN.items())


def ledger(santral: Santral) -> list[tuple[str, int, int]]:
    path = santral.folder / "santral-data" / "santral.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT request_id, attempt, cost_nanousd FROM ledger").fetchall()
    db.close()
    return rows


def test_the_ledger_is_usage_times_price_whatever_happened(
    own_santral: Callable[..., Santral], tmp_path: Path
) -> None:
    folder = tmp_path / "santral-0"
    folder.mkdir()
    (folder / "prices.toml").write_text(PRICES)
    (folder / "city.json").write_text('{"type": "object", "required": ["city"]}')
    santral = own_santral(ROUTE)
    asked = [
        santral.chat("ok"),
        santral.chat("ok", stream=True),
        santral.chat("no-usage", stream=True),
        santral.chat("usage-every", stream=True),
        santral.chat("failed-or-ok"),
        santral.chat("cut-middle-or-ok", stream=True),
        santral.chat("stalled-start-or-ok", stream=True),
        santral.chat("schema"),
        santral.chat("cached", "one question"),
        santral.chat("cached", "one question"),
        santral.chat("refused"),
    ]
    traces = [santral.trace(santral.post(body)[1]["x-santral-trace-id"]) for body in asked]
    expected = {
        (trace["request_id"], attempt["number"]): cost_of(attempt["usage"])
        for trace in traces
        for attempt in trace.get("attempts", [])
        if any(attempt.get("usage", {}).values())
    }
    assert len(expected) >= 8
    for trace in traces:
        attempts = trace.get("attempts", [])
        total = sum(cost_of(attempt["usage"]) for attempt in attempts)
        assert trace.get("cost_nanousd", 0) == total, trace
        assert all(a["price_version"].startswith("test-1+") for a in attempts)
    hit = next(t for t in traces if t.get("cache") == "hit")
    assert not hit.get("attempts"), "a cache hit costs nothing"
    rows = wait_until(lambda: (r := ledger(santral)) and len(r) >= len(expected) and r, 5)
    held = {(request, attempt): cost for request, attempt, cost in rows if cost}
    assert held == {key: cost for key, cost in expected.items() if cost}
    assert json.dumps(traces).count("is_estimated") >= 2
