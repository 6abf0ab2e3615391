"""The golden signals of the store equal those that plain Python computes from the records."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from santral.traces.question import Progress
from santral.traces.record import TraceRecord, VerdictRecord
from santral.traces.signals.signal import (
    Cost,
    Golden,
    Latency,
    Quality,
    Quantiles,
    Safety,
    Signals,
    Tally,
)
from santral.traces.store import TraceStore
from santral.wire.usage import CLASSES, Usage

START_US = 1_760_000_000_000_000
CHECKS = ("pii", "secrets", "injection", "json_schema", "citations", "refusal")


def random_records(rng: Random, make_record: Any, count: int) -> list[TraceRecord]:
    return [_random_record(rng, make_record, number) for number in range(count)]


def _random_record(rng: Random, make_record: Any, number: int) -> TraceRecord:
    verdicts = [
        VerdictRecord(
            check=rng.choice(CHECKS),
            place=rng.choice(["input", "output"]),
            verdict=rng.choice(["passed", "passed", "found", "failed"]),
            action=rng.choice(["allow", "mask", "refuse", "report"]),
            count=rng.randrange(4),
        )
        for _ in range(rng.randrange(5))
    ]
    usage = Usage(
        input_uncached=rng.randrange(50),
        cache_read=rng.randrange(9),
        output_text=rng.randrange(90),
        is_estimated=rng.random() < 0.2,
    )
    return make_record(
        number,
        status=rng.choice([200, 200, 200, 400, 429, 502]),
        is_cancelled=rng.random() < 0.1,
        is_degraded=rng.random() < 0.1,
        cache=rng.choice(["off", "miss", "hit", "semantic", "collapsed"]),
        cache_saved_nanousd=rng.choice([0, rng.randrange(10**9)]),
        ttft_us=rng.choice([None, rng.randrange(5000)]),
        finish_reason=rng.choice(["", "stop", "length", "content_filter"]),
        usage=rng.choice([None, Usage(), usage, usage]),
        cost_nanousd=rng.choice([None, 0, rng.randrange(10**9)]),
        verdicts=verdicts,
    )


def recomputed(records: Sequence[TraceRecord]) -> Golden:
    good = [r for r in records if r.status < 400 and not r.is_cancelled]
    timed = [r for r in good if r.cache in ("off", "miss")]
    billed = [r for r in records if r.usage is not None and r.usage.total_tokens]
    verdicts = [v for r in records for v in r.verdicts]
    overhead = [max(0, r.duration_us - sum(a.duration_us for a in r.attempts)) for r in timed]
    checks = {
        name: Tally(**Counter(v.verdict for v in verdicts if v.check == name))
        for name in sorted({v.check for v in verdicts})
    }
    masked = [v for v in verdicts if v.check == "pii" and v.action == "mask"]
    return Golden(
        n=len(records),
        latency=Latency(
            ttft=quantiles([r.ttft_us for r in timed if r.ttft_us is not None]),
            total=quantiles([r.duration_us for r in timed]),
            overhead=quantiles(overhead),
            cached=quantiles([r.duration_us for r in good if r.cache in ("hit", "semantic")]),
        ),
        cost=Cost(
            n=len(billed),
            tokens={c: sum(getattr(r.usage, c) for r in billed) for c in CLASSES},
            cost_nanousd=sum(r.cost_nanousd or 0 for r in records),
            saved_nanousd=sum(r.cache_saved_nanousd for r in records),
            unknown_price=sum(r.cost_nanousd is None for r in billed),
            estimated_usage=sum(r.usage.is_estimated for r in billed if r.usage),
        ),
        quality=Quality(
            n=len(records),
            errors=sum(r.status >= 400 for r in records),
            cancelled=sum(r.is_cancelled for r in records),
            degraded=sum(r.is_degraded for r in records),
            cache_hits=sum(r.cache in ("hit", "semantic", "collapsed") for r in records),
            cache_asked=sum(r.cache != "off" for r in records),
            finish_reasons=dict(Counter(r.finish_reason for r in records if r.finish_reason)),
            schema=checks.get("json_schema", Tally()),
            citations=checks.get("citations", Tally()),
            answered=sum(r.status < 400 for r in records),
        ),
        safety=Safety(
            n=len(records),
            refused_by_guardrail=having(
                records, lambda v: v.action == "refuse" and v.check != "refusal"
            ),
            refused_by_model=having(
                records, lambda v: v.check == "refusal" and v.verdict == "found"
            ),
            refused_by_provider=sum(r.finish_reason == "content_filter" for r in records),
            pii_masked=sum(v.count for v in masked),
            pii_requests=having(records, lambda v: v in masked),
            injections_blocked=having(
                records, lambda v: v.check == "injection" and v.action == "refuse"
            ),
            check_failures=sum(v.verdict == "failed" for v in verdicts),
            failed_open=sum(v.verdict == "failed" and v.action != "refuse" for v in verdicts),
            checks=checks,
        ),
    )


def having(records: Sequence[TraceRecord], is_meant: Callable[[VerdictRecord], bool]) -> int:
    return sum(any(is_meant(v) for v in r.verdicts) for r in records)


def quantiles(values: list[int]) -> Quantiles:
    ranked = sorted(values)
    p50, p95, p99 = (
        ranked[math.ceil(q * len(ranked)) - 1] if ranked else None for q in (0.5, 0.95, 0.99)
    )
    return Quantiles(n=len(ranked), p50_us=p50, p95_us=p95, p99_us=p99)


@pytest.mark.parametrize(("seed", "count"), [(1, 300), (2, 37), (3, 5), (4, 1)])
def test_signals_equal_a_recomputation_in_all_by_route_and_by_tenant(
    make_record: Any, seed: int, count: int
) -> None:
    records = random_records(Random(seed), make_record, count)
    signals = ask(records, None, START_US, START_US + 10**9)
    assert signals.total == recomputed(records)
    assert signals.by_route == {
        route: recomputed([r for r in records if r.route == route])
        for route in {r.route for r in records}
    }
    assert signals.by_tenant == {
        tenant: recomputed([r for r in records if r.tenant_id == tenant])
        for tenant in {r.tenant_id for r in records}
    }


def test_window_tenant_and_route_hold_for_all_four(make_record: Any) -> None:
    records = random_records(Random(5), make_record, 200)
    meant = [
        r
        for r in records
        if r.tenant_id == "acme"
        and r.route == "support"
        and START_US + 50_000 <= r.started_at_us < START_US + 150_000
    ]
    signals = ask(records, "acme", START_US + 50_000, START_US + 150_000, "support")
    assert meant
    assert signals.total == recomputed(meant)
    assert set(signals.by_tenant) == {"acme"}
    assert signals.exclusions


def test_a_window_in_which_nothing_happened_has_no_figures(make_record: Any) -> None:
    signals = ask([make_record(1)], None, 0, 1)
    assert signals.total == recomputed([])
    assert signals.total.latency == Latency()
    assert signals.total.cost.unknown_share is None
    assert signals.by_route == {}


def test_history_sums_up_to_the_window(make_record: Any) -> None:
    records = random_records(Random(6), make_record, 100)

    async def scenario() -> None:
        store = TraceStore(Path(":memory:"))
        await store.insert(records, Progress(segment="s"))
        history = await store.history(None, START_US, START_US + 100_001, 7)
        assert len(history) == 7
        assert sum(bucket.n for bucket in history) == 100
        assert sum(bucket.errors for bucket in history) == sum(r.status >= 400 for r in records)
        cost = sum(r.cost_nanousd or 0 for r in records)
        assert sum(bucket.cost_nanousd for bucket in history) == cost
        starts = [bucket.start_us for bucket in history]
        assert len({b - a for a, b in pairwise(starts)}) == 1
        await store.close()

    asyncio.run(scenario())


def ask(records: list[TraceRecord], *question: Any) -> Signals:
    async def scenario() -> Signals:
        store = TraceStore(Path(":memory:"))
        await store.insert(records, Progress(segment="s"))
        found = await store.signals(*question)
        await store.close()
        return found

    return asyncio.run(scenario())
