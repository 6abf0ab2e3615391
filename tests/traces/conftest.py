"""Records as a gateway would spool them, made from a seed."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from santral.traces.ids import new_span_id, new_trace_id
from santral.traces.record import (
    AttemptRecord,
    Payload,
    SourceRecord,
    SpanRecord,
    TraceRecord,
    VerdictRecord,
)
from santral.wire.usage import Usage

START_US = 1_760_000_000_000_000

MakeRecord = Callable[..., TraceRecord]


@pytest.fixture
def make_record() -> MakeRecord:
    """Return a maker of records: ``make_record(number, **changes)``; equal numbers, equal records."""
    return build_record


def build_record(number: int, **changes: object) -> TraceRecord:
    rng = Random(number)
    trace_id = new_trace_id(rng)
    duration_us = rng.randrange(20_000, 3_000_000)
    attempt_us = int(duration_us * 0.9)
    spans = [
        SpanRecord(id=new_span_id(rng), name=name, start_us=at * 900, duration_us=800)
        for at, name in enumerate(("quota", "input_guard", "compose", "retrieve"))
    ]
    fields: dict[str, object] = {
        "trace_id": trace_id,
        "request_id": f"req_{number}",
        "tenant_id": rng.choice(["acme", "globex"]),
        "key_id": "key_1",
        "route": rng.choice(["support", "search"]),
        "requested_model": "support",
        "started_at_us": START_US + number * 1000,
        "duration_us": duration_us,
        "status": 200,
        "ttft_us": rng.randrange(5_000, 20_000),
        "finish_reason": "stop",
        "deployment": "local",
        "usage": Usage(input_uncached=rng.randrange(1, 2000), output_text=rng.randrange(1, 400)),
        "cost_nanousd": rng.randrange(1000, 900_000),
        "price_version": "2026-11",
        "cache": "miss",
        "spans": spans,
        "attempts": [
            AttemptRecord(
                number=1,
                deployment="local",
                provider="local",
                model="extractive",
                start_us=3600,
                duration_us=attempt_us,
                usage=Usage(input_uncached=10, output_text=4),
            )
        ],
        "verdicts": [
            VerdictRecord(check="pii", place="input", verdict="found", action="mask", count=2),
            VerdictRecord(check="injection", place="input", verdict="passed", action="allow"),
        ],
        "sources": [SourceRecord(number=1, chunk_id="c1", document="handbook.md", is_cited=True)],
        "payload": Payload(request='[{"role":"user","content":"Merhaba"}]', response="Selam [1]."),
    }
    return TraceRecord(**{**fields, **changes})  # pyright: ignore[reportArgumentType]
