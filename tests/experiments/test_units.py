from __future__ import annotations

import asyncio
from pathlib import Path

from tests.traces.conftest import START_US, build_record

from santral.experiments.units.store import Asked, scores_seen, units_before, units_seen
from santral.experiments.units.table import UnitTable
from santral.traces.question import Progress
from santral.traces.record import SHADOW_SUFFIX, AttemptRecord, ExposureRecord, TraceRecord
from santral.traces.scores import store as scores
from santral.traces.scores.score import ScoreRecord
from santral.traces.store import TraceStore


def exposed(number: int, unit: str, variant: str, **changes: object) -> TraceRecord:
    exposure = ExposureRecord(experiment="tone", variant=variant, unit=unit, propensity=0.5)
    fields: dict[str, object] = {"tenant_id": "acme", "exposures": [exposure], "attempts": []}
    return build_record(number, **{**fields, **changes})


def score_of(record: TraceRecord, value: float) -> ScoreRecord:
    return ScoreRecord(
        id=record.trace_id, tenant_id=record.tenant_id, trace_id=record.trace_id,
        name="helpful", source="user", at_us=record.started_at_us + 5, value=value,
    )  # fmt: skip


def test_sums_are_of_units_and_shadows_are_none_of_them() -> None:
    tried = AttemptRecord(
        number=1, deployment="d", provider="p", model="m", start_us=0, duration_us=1
    )
    records = [
        exposed(1, "u1", "a", user="ada", cost_nanousd=100, duration_us=1000, cache="hit"),
        exposed(2, "u1", "a", user="ada", cost_nanousd=None, status=502, attempts=[tried, tried]),
        exposed(3, "u2", "b", user="bob", cost_nanousd=50, error="guardrail_refused", status=422),
        exposed(4, "u2", "b", user="bob", route=f"support{SHADOW_SUFFIX}"),
        exposed(5, "u3", "a", tenant_id="globex"),
    ]
    before = [
        build_record(-9, tenant_id="acme", user="ada", cost_nanousd=7, route="support"),
        build_record(-8, tenant_id="globex", user="ada", cost_nanousd=9, route="support"),
    ]

    async def scenario() -> tuple[UnitTable, UnitTable | None, list[str]]:
        store = TraceStore(Path(":memory:"))
        await store.insert([*before, *records], Progress(segment="s"))
        given = [score_of(records[0], 1.0), score_of(records[2], 0.0)]
        await store.change(lambda conn: scores.insert(conn, given))
        asked = Asked(
            experiment="tone", whose="acme", since_us=START_US, slow_us=500.0, scores=("helpful",)
        )
        seen = await store.ask(lambda conn: units_seen(conn, asked))
        past = await store.ask(
            lambda conn: units_before(conn, asked, "user", ["support"], START_US - 10**9)
        )
        named = await store.ask(lambda conn: scores_seen(conn, asked, 10))
        assert await store.ask(lambda conn: units_before(conn, asked, "session", [], 0)) is None
        await store.close()
        return seen, past, named

    seen, past, named = asyncio.run(scenario())
    assert seen.units.tolist() == ["u1", "u2"]
    assert seen.requests.tolist() == [2.0, 1.0]
    assert seen.sums["cost_usd"].tolist() == [100.0, 50.0]
    assert seen.counts["cost_usd"].tolist() == [1.0, 1.0]  # an unknown price is in no mean
    assert seen.sums["error_rate"].tolist() == [1.0, 0.0]
    assert seen.sums["refusal_rate"].tolist() == [0.0, 1.0]
    assert seen.sums["retry_rate"].tolist() == [1.0, 0.0]
    assert seen.sums["cache_hit_rate"].tolist() == [1.0, 0.0]
    assert seen.sums["latency_p95_ms"].tolist() == [1.0, 0.0]
    assert seen.sums["score:helpful"].tolist() == [1.0, 0.0]
    assert seen.counts["score:helpful"].tolist() == [1.0, 1.0]
    assert named == ["helpful"]
    assert past is not None
    assert (past.units.tolist(), past.sums["cost_usd"].tolist()) == (["u1"], [7.0])
