"""Monitors are kept, look when their moment comes, and go on from what they saw before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.tenants.acting import OPERATOR

from santral.db.engine import Engine
from santral.errors import BadRequest, Conflict, NotAllowed, NotFound
from santral.evals.drift import keep
from santral.evals.drift.job import Looking, start_due
from santral.evals.drift.keep import LOOK, LookArguments
from santral.evals.drift.requests.sample import asked_in, sample_of
from santral.jobs import queue
from santral.jobs.job import JobKind
from santral.jobs.runner import Runner
from santral.tenants.organise import create_tenant
from santral.tenants.permission import Grant, Principal
from santral.tenants.tenant import TenantId
from santral.tenants.tree import TenantTree
from santral.traces.question import Progress
from santral.traces.record import Payload, TraceRecord
from santral.traces.scores.score import ScoreRecord
from santral.traces.store import TraceStore

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SETTINGS: dict[str, Any] = {
    "signals": ["latency", "question_length", "score:thumbs"],
    "least": 40,
    "reference_days": 2,
}


def us(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6)


def record(number: int, at: datetime, latency_us: int, tenant: str = "acme") -> TraceRecord:
    said = [{"role": "user", "content": "where is my parcel " * (1 + number % 3)}]
    return TraceRecord(
        trace_id=f"{number:032x}",
        request_id=f"r{number}",
        tenant_id=tenant,
        key_id="k",
        route="support",
        requested_model="support",
        started_at_us=us(at),
        duration_us=latency_us,
        status=200,
        session=f"s{number // 2}",
        payload=Payload(request=json.dumps(said), response="On its way."),
    )


@pytest.fixture
async def traces(tmp_path: Path, anyio_backend: str) -> AsyncGenerator[TraceStore]:
    """Two days as usual, then two on which everything takes thrice as long."""
    rng = Random(1)
    store = TraceStore(tmp_path / "telemetry.duckdb")
    usual = [
        record(n, NOW - 3 * DAY + 2 * DAY * rng.random(), rng.randrange(80_000, 120_000))
        for n in range(300)
    ]
    slow = [
        record(n, NOW - DAY + 2 * DAY * rng.random(), rng.randrange(240_000, 360_000))
        for n in range(300, 700)
    ]
    foreign = [record(n, NOW - DAY / 2, 9_000_000, "globex") for n in range(700, 900)]
    await store.insert([*usual, *slow, *foreign], Progress(segment="s"))
    thumbs = [
        ScoreRecord(
            id=f"{n:032x}", tenant_id="acme", trace_id=f"{n:032x}", name="thumbs", source="user",
            at_us=us(NOW - 3 * DAY), value=1.0,
        )
        for n in range(0, 300, 2)
    ]  # fmt: skip
    await store.insert_scores(thumbs)
    yield store
    await store.close()


async def test_a_look_is_kept_with_what_the_next_one_goes_on_from(
    engine: Engine, traces: TraceStore
) -> None:
    await create_tenant(engine, "acme", None, NOW, by=OPERATOR)
    await keep.create_monitor(engine, "acme", "watch", SETTINGS, NOW, by=OPERATOR)
    first = await looked(engine, traces, NOW)
    assert (first["verdict"], first["said"][0][:17]) == ("suspect", "latency may drift")
    second = await looked(engine, traces, NOW + DAY)
    assert second["verdict"] == "drift"
    _, findings = await keep.findings_of(engine, "acme", "watch", by=OPERATOR)
    assert [finding.verdict for finding in findings] == ["drift", "suspect"]
    signals = {one["signal"]: one for one in findings[1].found["signals"]}
    assert signals["latency"]["exemplars"]
    assert signals["question_length"]["verdict"] == "steady"
    assert signals["score:thumbs"]["verdict"] == "not_enough_data"
    assert "parcel" not in str(findings)


async def looked(engine: Engine, traces: TraceStore, now: datetime) -> dict[str, Any]:
    job = await keep.start_look(engine, "acme", "watch", now, by=OPERATOR)
    work = Looking(engine, traces, lambda: now)
    kind = JobKind(name=LOOK, about="", arguments=LookArguments, work=work)
    done = await Runner(engine, {LOOK: kind}, "me", lambda: now).run_one(job.id)
    assert done.state == "done", done.error
    assert done.result is not None
    return done.result


async def test_a_look_begins_once_when_its_moment_comes(engine: Engine) -> None:
    await create_tenant(engine, "acme", None, NOW, by=OPERATOR)
    await keep.create_monitor(engine, "acme", "watch", {"every_hours": 6}, NOW, by=OPERATOR)
    begun = await asyncio.gather(*(start_due(engine, NOW) for _ in range(3)))
    assert [job.kind for jobs in begun for job in jobs] == [LOOK]
    assert await start_due(engine, NOW + timedelta(hours=5)) == []
    await keep.pause_monitor(engine, "acme", "watch", True, NOW, by=OPERATOR)
    assert await start_due(engine, NOW + timedelta(hours=7)) == []
    await keep.pause_monitor(engine, "acme", "watch", False, NOW, by=OPERATOR)
    assert len(await start_due(engine, NOW)) == 1
    assert len(await queue.list_jobs(engine, [TenantId("acme")])) == 2


async def test_what_cannot_be_meant_is_refused_by_name(engine: Engine) -> None:
    await create_tenant(engine, "acme", None, NOW, by=OPERATOR)
    for settings, said in (
        ({"signals": ["latencyy"]}, "Did you mean 'latency'"),
        ({"signals": []}, "name 1 to 32"),
        ({"signal": ["latency"]}, "signal"),
        ({"least": 3}, "least: 3 is not from 20"),
        ({"reference_until": "yesterday"}, "is no moment"),
        ({"reference_until": "2026-11-01T00:00:00"}, "is no moment"),
    ):
        with pytest.raises(BadRequest, match=said):
            await keep.create_monitor(engine, "acme", "w", settings, NOW, by=OPERATOR)
    with pytest.raises(BadRequest, match="cannot be called"):
        await keep.create_monitor(engine, "acme", "a/b", {}, NOW, by=OPERATOR)
    await keep.create_monitor(engine, "acme", "watch", {}, NOW, by=OPERATOR)
    with pytest.raises(Conflict):
        await keep.create_monitor(engine, "acme", "watch", {}, NOW, by=OPERATOR)
    with pytest.raises(NotFound, match="Did you mean 'watch'"):
        await keep.start_look(engine, "acme", "wotch", NOW, by=OPERATOR)
    stranger = Principal(
        name="user:x", origin="y", grants=(Grant("owner", TenantId("globex")),), tree=TenantTree({})
    )
    with pytest.raises((NotAllowed, NotFound)):
        await keep.findings_of(engine, "acme", "watch", by=stranger)
    assert await keep.list_monitors(engine, by=stranger) == []


async def test_a_sample_is_of_one_tenant_and_the_same_every_time(traces: TraceStore) -> None:
    window = us(NOW - 3 * DAY), us(NOW + DAY)
    first = await sample_of(traces, "acme", *window, limit=50)
    again = await sample_of(traces, "acme", *window, limit=50)
    assert [seen.trace_id for seen in first] == [seen.trace_id for seen in again]
    assert len(first) == 50
    assert max(seen.latency_us or 0 for seen in first) < 1_000_000
    assert all(seen.question.startswith("where is my parcel") for seen in first)
    assert {"thumbs": 1.0} in [seen.scores for seen in first]
    assert await sample_of(traces, "acme", *window, route="other") == []


def test_words_that_are_not_kept_are_no_words() -> None:
    assert asked_in('[{"role":"user","hash":"x","length":3}]') == ""
    assert asked_in('[{"role":"user","content":"cut … [cut') == ""
    assert asked_in('[{"role":"user","content":[{"type":"text"}]}]') == ""
