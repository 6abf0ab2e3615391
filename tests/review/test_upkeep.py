"""What is done again and again: exemplars of monitors come in, old items go, a failure is tried again."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.review.people import NOW, OPERATOR, add_item, make_queue
from tests.review.test_looking import items, record

from santral.config.schema import TelemetryConfig
from santral.db.engine import Engine, writing
from santral.evals.drift.finding import Finding
from santral.evals.drift.store import insert_finding
from santral.gateway.held.cabinet import HeldCabinet
from santral.privacy.policy import set_keeping
from santral.review.upkeep import Upkeep
from santral.traces.question import Progress
from santral.traces.store import TraceStore

pytestmark = pytest.mark.anyio


@pytest.fixture
async def traces(engine: Engine) -> AsyncGenerator[TraceStore]:
    made = TraceStore(Path(":memory:"))
    await made.open()
    yield made
    await made.close()


def upkeep(engine: Engine, traces: TraceStore, folder: Path, days: int = 0) -> Upkeep:
    now = NOW + timedelta(days=days)
    cabinet = HeldCabinet(folder, now.timestamp)
    return Upkeep(engine, traces, traces.insert_scores, cabinet, lambda: now)


async def test_exemplars_of_drift_come_in_once(
    engine: Engine, traces: TraceStore, tmp_path: Path
) -> None:
    await make_queue(engine, rules=[{"kind": "drift_exemplar"}])
    await traces.insert([record(n) for n in (1, 2, 3)], Progress(segment=""))
    named = [f"{n:032x}" for n in (2, 3)]
    finding = Finding(
        id="f1", tenant_id="acme", monitor="topics", verdict="drift",
        found={"signals": [{"verdict": "drift", "exemplars": named}, {"exemplars": []}]},
        created_at=NOW + timedelta(seconds=1),
    )  # fmt: skip
    async with writing(engine) as conn:
        await insert_finding(conn, "acme", finding)
    assert (await upkeep(engine, traces, tmp_path).once())["taken"] == 2
    assert (await upkeep(engine, traces, tmp_path).once())["taken"] == 0
    assert set(await items(engine)) == {2, 3}


async def test_items_go_when_the_tenants_time_is_over(
    engine: Engine, traces: TraceStore, tmp_path: Path
) -> None:
    await make_queue(engine)
    await make_queue(engine, "long", retention_days=90)
    await add_item(engine, 1)
    await add_item(engine, 2, "long")
    await set_keeping(engine, "acme", TelemetryConfig(), NOW, retention_days=30, by=OPERATOR)
    assert (await upkeep(engine, traces, tmp_path, 29).once())["forgotten"] == 0
    assert (await upkeep(engine, traces, tmp_path, 31).once())["forgotten"] == 1
    assert set(await items(engine, "long")) == {2}
