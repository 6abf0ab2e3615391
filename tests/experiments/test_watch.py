"""What the control process does about experiments by itself, on both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from tests.experiments.conftest import CONFIG, NOW, settings
from tests.traces.conftest import build_record

from santral.db.engine import Engine, reading
from santral.experiments import store
from santral.experiments.change import create_experiment, pause_experiment, start_experiment
from santral.experiments.conclude import conclusions
from santral.experiments.known import list_events, show_experiment
from santral.experiments.status import Status, read_status
from santral.experiments.watch import Watch
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.traces.question import Progress
from santral.traces.record import ExposureRecord, TraceRecord
from santral.traces.store import TraceStore

pytestmark = pytest.mark.anyio

BY = local_operator()
LATER = NOW + timedelta(hours=3)


def records(n: int, failing: float) -> list[TraceRecord]:
    """Two requests of each unit, after the start; those of the new arm fail with a probability."""
    rng, found = Random(1), []
    for number in range(n * 2):
        unit = number // 2
        arm = "new" if rng.random() < 0.5 else "plain"
        arm = found[-1].exposures[0].variant if number % 2 else arm
        status = 502 if arm == "new" and rng.random() < failing else 200
        exposure = ExposureRecord(
            experiment="tone", variant=arm, unit=f"{unit:016x}", propensity=0.5
        )
        at = int(NOW.timestamp() * 1e6) + number * 1000
        found.append(
            build_record(
                number,
                tenant_id="default",
                route="ask",
                started_at_us=at,
                status=status,
                exposures=[exposure],
                user=f"u{unit}",
            )
        )
    return found


async def watched(
    engine: Engine, found: list[TraceRecord], **changes: Any
) -> tuple[Watch, TraceStore, list[str]]:
    await create_tenant(engine, "default", None, NOW, by=BY)
    await create_experiment(engine, CONFIG, "default", "tone", settings(**changes), NOW, by=BY)
    await start_experiment(engine, CONFIG, "default", "tone", NOW, by=BY)
    traces = TraceStore(Path(":memory:"))
    await traces.insert(found, Progress(segment="s"))
    counted: list[str] = []
    made = Watch(
        engine, traces, CONFIG, clock=lambda: LATER, rng=np.random.default_rng(1),
        count=counted.append,
    )  # fmt: skip
    return made, traces, counted


async def status_of(engine: Engine, traces: TraceStore) -> Status:
    return await read_status(engine, CONFIG, traces, "default", "tone", LATER, by=BY)


async def test_harm_ends_an_experiment_with_its_evidence_in_the_log(engine: Engine) -> None:
    guards = [{"metric": "error_rate", "margin": 0.02}]
    watch, traces, counted = await watched(engine, records(600, 0.3), guards=guards)
    assert await watch.look() == ["tone stopped"]
    assert counted == ["stopped"]
    async with reading(engine) as conn:
        assert await store.running_experiments(conn) == []  # what workers are told
    newest = (await list_events(engine, CONFIG, "default", "tone", by=BY))[0]
    assert (newest.kind, newest.actor) == ("stopped", "system")
    assert (newest.evidence["metric"], newest.evidence["arm"]) == ("error_rate", "new")
    assert newest.evidence["low"] > 0.02
    assert await watch.look() == []
    told = conclusions(await status_of(engine, traces))
    assert any(line.startswith("error_rate: 'new' is worse than 'plain'") for line in told)
    await traces.close()


async def test_a_ramp_goes_on_by_itself_and_only_while_it_runs(engine: Engine) -> None:
    ramp = [{"share": 0.2, "min_hours": 2, "min_units": 100}, {"share": 1.0}]
    watch, traces, _ = await watched(engine, records(600, 0.0), ramp=ramp)
    await pause_experiment(engine, CONFIG, "default", "tone", NOW, by=BY)
    assert await watch.look() == []
    await start_experiment(engine, CONFIG, "default", "tone", NOW, by=BY)
    assert await watch.look() == ["tone ramped"]
    now = (await show_experiment(engine, CONFIG, "default", "tone", by=BY)).now
    assert (now.share, now.step) == (1.0, 1)
    assert await watch.look() == []  # the last step
    await traces.close()


async def test_a_bandit_moves_weights_as_an_event_and_says_what_it_cannot(engine: Engine) -> None:
    bandit = {"metric": "error_rate", "floor": 0.1, "min_units": 100}
    watch, traces, _ = await watched(engine, records(600, 0.3), bandit=bandit)
    assert await watch.look() == ["tone weighted"]
    async with reading(engine) as conn:
        (running,) = await store.running_experiments(conn)
    assert running.weights == {"new": pytest.approx(0.1), "plain": pytest.approx(0.9)}
    assert await watch.look() == []  # not before a quarter of an hour
    told = " ".join(conclusions(await status_of(engine, traces)))
    assert "'plain' is the best with a probability of 100 %" in told
    assert "cannot say by how much the others are worse" in told
    await traces.close()


async def test_what_may_be_concluded_is_said_in_words_before_and_after(engine: Engine) -> None:
    watch, traces, _ = await watched(engine, records(300, 0.0), primary=["error_rate"])
    assert await watch.look() == []
    told = conclusions(await status_of(engine, traces))
    assert told[0].startswith("300 units (user) took part: plain ")
    assert told[1] == "The sample ratio is fine."
    assert "error_rate: the difference of 'new' to 'plain' is between -" in told[2]
    assert told[2].endswith("points: not decided.")
    assert told[-1].startswith("You may stop or go on at any time")
    turkish = conclusions(await status_of(engine, traces), "tr")
    assert len(turkish) == len(told)
    assert "puan arasında: karar verilemedi." in turkish[2]
    await traces.close()
    empty = TraceStore(Path(":memory:"))
    told = conclusions(await status_of(engine, empty))
    assert told == ["Nobody has taken part yet: nothing can be concluded."]
    await empty.close()
