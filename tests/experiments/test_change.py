"""Experiments that people make, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.experiments.conftest import CONFIG, NOW, settings

from santral.audit import store as audit
from santral.db.engine import Engine, reading
from santral.db.store import read_revision
from santral.errors import BadRequest, Conflict, NotAllowed, NotFound
from santral.experiments.change import (
    create_experiment,
    decide_experiment,
    pause_experiment,
    ramp_experiment,
    start_experiment,
    stop_experiment,
)
from santral.experiments.known import list_events, list_experiments, show_experiment
from santral.experiments.made import StoredExperiment
from santral.experiments.store import running_experiments
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.tenants.permission import Grant, Principal
from santral.tenants.store import list_tenants
from santral.tenants.tenant import TenantId
from santral.tenants.tree import TenantTree

pytestmark = pytest.mark.anyio

BY = local_operator()


async def make(engine: Engine, name: str = "tone", tenant: str = "default", **changes: Any) -> Any:
    async with reading(engine) as conn:
        known = [one.id for one in await list_tenants(conn)]
    if tenant not in (*known, "*"):
        await create_tenant(engine, tenant, None, NOW, by=BY)
    return await create_experiment(
        engine, CONFIG, tenant, name, settings(**changes), NOW, by=BY, rng=bytes
    )


async def start(engine: Engine, name: str = "tone", tenant: str = "default") -> StoredExperiment:
    return await start_experiment(engine, CONFIG, tenant, name, NOW, by=BY)


async def published(engine: Engine) -> dict[str, float]:
    async with reading(engine) as conn:
        return {one.name: one.share for one in await running_experiments(conn)}


async def test_an_experiment_lives_from_draft_to_decision_and_every_step_is_noted(
    engine: Engine,
) -> None:
    ramp = [{"share": 0.1}, {"share": 0.5}]
    made = await make(engine, ramp=ramp)
    assert (made.state, made.config.salt) == ("draft", "00" * 8)
    assert await published(engine) == {}
    async with reading(engine) as conn:
        before = await read_revision(conn)
    assert (await start(engine)).now.share == 0.1
    assert await published(engine) == {"tone": 0.1}
    async with reading(engine) as conn:
        assert await read_revision(conn) > before  # workers look again
    await ramp_experiment(engine, CONFIG, "default", "tone", None, NOW, by=BY)
    assert await published(engine) == {"tone": 0.5}
    await pause_experiment(engine, CONFIG, "default", "tone", NOW, by=BY)
    assert await published(engine) == {}
    again = await start(engine)
    assert (again.now.share, again.started_at) == (0.5, NOW)
    later = NOW + timedelta(hours=1)
    ended = await decide_experiment(
        engine, CONFIG, "default", "tone", "new", "cheaper", later, by=BY
    )
    assert (ended.state, ended.ended_at) == ("stopped", later)
    assert await published(engine) == {}
    events = await list_events(engine, CONFIG, "default", "tone", by=BY)
    assert [event.kind for event in reversed(events)] == [
        "created", "started", "ramped", "paused", "resumed", "decided",
    ]  # fmt: skip
    assert events[0].evidence == {"arm": "new", "reason": "cheaper"}
    async with reading(engine) as conn:
        noted = await audit.latest_about(conn, "experiment:tone", ["experiments.decide"])
    assert noted is not None


async def test_what_cannot_be_is_refused_with_the_way_on(engine: Engine) -> None:
    with pytest.raises(BadRequest, match="there is no route 'maxy'"):
        await make(engine, variants={"a": {"weight": 1}, "b": {"weight": 1, "route": "maxy"}})
    with pytest.raises(BadRequest, match=r"variants.b.weight"):
        await make(engine, variants={"a": {"weight": 1}, "b": {"weight": -1}})
    with pytest.raises(BadRequest, match="name at least one route"):
        await make(engine, routes=[])
    with pytest.raises(BadRequest, match="no metric 'speed'"):
        await make(engine, primary=["speed"])
    with pytest.raises(Conflict, match=r"stands in santral.toml"):
        await make(engine, "declared")
    await make(engine)
    with pytest.raises(Conflict, match="takes another"):
        await make(engine)
    with pytest.raises(Conflict, match="must be running"):
        await pause_experiment(engine, CONFIG, "default", "tone", NOW, by=BY)
    with pytest.raises(NotFound, match="no tenant 'nobody'"):
        await create_experiment(engine, CONFIG, "nobody", "x", settings(), NOW, by=BY)
    with pytest.raises(NotFound, match="tone"):
        await start(engine, "tome")
    await start(engine)
    with pytest.raises(BadRequest, match="larger"):
        await ramp_experiment(engine, CONFIG, "default", "tone", 0.2, NOW, by=BY)
    await stop_experiment(engine, CONFIG, "default", "tone", "", NOW, by=BY)
    with pytest.raises(Conflict, match="is stopped"):
        await start(engine)


async def test_two_experiments_on_the_same_thing_need_a_layer(engine: Engine) -> None:
    await make(engine)
    await start(engine)
    await make(engine, "second")
    with pytest.raises(Conflict, match="both change models of the route 'ask'") as refused:
        await start(engine, "second")
    assert refused.value.detail_code == "experiments_clash"
    warm = {"plain": {"weight": 1}, "warm": {"weight": 1, "settings": {"temperature": 1}}}
    await make(engine, "beside", variants=warm)
    await start(engine, "beside")  # another thing of the same requests
    await make(engine, "elsewhere", "acme")
    await start(engine, "elsewhere", "acme")  # the same thing of other requests


async def test_segments_of_one_layer_do_not_meet(engine: Engine) -> None:
    await make(engine, layer="models", segment=[0.0, 0.5])
    await start(engine)
    await make(engine, "meets", layer="models", segment=[0.4, 0.9])
    with pytest.raises(Conflict, match=r"from 0\.4 to 0\.5.*Free in the layer: \[\(0\.5, 1\.0\)\]"):
        await start(engine, "meets")
    await make(engine, "other-unit", layer="models", segment=[0.5, 1.0], unit="session")
    with pytest.raises(Conflict, match="share its units"):
        await start(engine, "other-unit")
    await make(engine, "fits", layer="models", segment=[0.5, 1.0])
    await start(engine, "fits")
    assert await published(engine) == {"fits": 1.0, "tone": 1.0}


async def test_a_tenant_sees_its_own_and_those_of_everybody_and_changes_its_own(
    engine: Engine,
) -> None:
    await make(engine, "mine", "acme")
    await make(engine, "everybodys", "*")
    await make(engine, "others", "globex")
    reader = Principal(
        name="user:a", origin="test", grants=(Grant("operator", TenantId("acme")),),
        tree=TenantTree({TenantId("acme"): None}),
    )  # fmt: skip
    found = await list_experiments(engine, CONFIG, "acme", by=reader)
    assert [one.name for one in found] == ["declared", "everybodys", "mine"]
    shared = await show_experiment(engine, CONFIG, "acme", "everybodys", by=reader)
    assert shared.tenant_id == "*"
    with pytest.raises(NotFound):
        await start_experiment(engine, CONFIG, "acme", "everybodys", NOW, by=reader)
    with pytest.raises(NotAllowed):
        await start_experiment(engine, CONFIG, "*", "everybodys", NOW, by=reader)
    with pytest.raises(NotFound):
        await show_experiment(engine, CONFIG, "globex", "others", by=reader)
