"""``/api/experiments``: the admin API of live experiments."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from santral.config.schema import Config
from santral.db.engine import Engine
from santral.experiments.change import (
    create_experiment,
    decide_experiment,
    pause_experiment,
    ramp_experiment,
    start_experiment,
    stop_experiment,
)
from santral.experiments.conclude import conclusions
from santral.experiments.known import list_events, list_experiments, show_experiment
from santral.experiments.made import State, StoredExperiment, written
from santral.experiments.status import read_status, shares_of
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT
from santral.traces.store import TraceStore

_Tenant = Annotated[
    str,
    Query(max_length=128, description="ExperimentAct experiments; * for those of every tenant."),
]
_Name = Annotated[str, Path(max_length=128, description="The experiment.")]


class NewExperiment(BaseModel):
    """An experiment to make."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(
        DEFAULT_TENANT,
        max_length=128,
        description="ExperimentAct requests it is about; * for everybody's.",
    )
    name: str = Field(max_length=128, description="Letters, digits and . _ : @ -")
    settings: dict[str, Any] = Field(description="As under [experiments.NAME] in santral.toml.")


class ExperimentAct(BaseModel):
    """Which experiment is meant."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(DEFAULT_TENANT, max_length=128, description="ExperimentAct experiment.")


class RampAct(ExperimentAct):
    """How many units take part from now on."""

    share: float | None = Field(
        None, gt=0, le=1, description="A share of the units; null: that of the ramp's next step."
    )


class StopAct(ExperimentAct):
    """Why it ends."""

    reason: str = Field("", max_length=500, description="For the decision log.")


class DecideAct(ExperimentAct):
    """Which arm is taken."""

    arm: str = Field(max_length=128, description="Its name.")
    reason: str = Field("", max_length=2000, description="For the decision log.")


class ExperimentBody(BaseModel):
    """An experiment."""

    tenant_id: str
    name: str
    state: State
    is_declared: bool = Field(description="Whether it stands in santral.toml.")
    description: str
    settings: dict[str, Any] = Field(description="Those that were given.")
    share: float = Field(description="The part of its units that takes part now.")
    step: int = Field(description="Of its ramp, from 0.")
    weights: dict[str, float] = Field(description="The share of every arm now.")
    created_by: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class ExperimentList(BaseModel):
    """The experiments about a tenant's requests."""

    experiments: list[ExperimentBody]


class EventBody(BaseModel):
    """One decision about an experiment."""

    number: int
    kind: str
    evidence: dict[str, Any]
    actor: str
    at: datetime


class EventList(BaseModel):
    """The decisions about an experiment, newest first."""

    events: list[EventBody]


class StatusBody(BaseModel):
    """How an experiment stands."""

    conclusions: list[str] = Field(description="What may be concluded and what not, in words.")
    status: dict[str, Any] = Field(
        description="Arms, sample ratio, and every comparison with its always-valid interval."
    )


def experiments_router(
    engine: Engine,
    config: Config,
    traces: TraceStore,
    authorise: Authorise,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter(prefix="/api/experiments", tags=["experiments"])
    reader: Any = Depends(authorise("experiments.read"))
    writer: Any = Depends(authorise("experiments.write"))

    parts = _Parts(engine, config, traces, clock)
    _add_made(router, parts, reader, writer)
    _add_acts(router, parts, writer)
    return router


class _Parts(NamedTuple):
    """What endpoints work on."""

    engine: Engine
    config: Config
    traces: TraceStore
    clock: Callable[[], datetime]


def _add_made(router: APIRouter, parts: _Parts, reader: Any, writer: Any) -> None:
    """Add what makes and reads experiments."""
    engine, config, traces, clock = parts

    @router.get("")
    async def get_experiments(
        tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> ExperimentList:
        """List the experiments about a tenant's requests, those of santral.toml too."""
        found = await list_experiments(engine, config, tenant_id, by=by)
        return ExperimentList(experiments=[_body(one) for one in found])

    @router.post("", status_code=201)
    async def post_experiment(body: NewExperiment, by: Principal = writer) -> ExperimentBody:
        """Make a draft; nobody sees it before it is started."""
        return _body(
            await create_experiment(
                engine, config, body.tenant_id, body.name, body.settings, clock(), by=by
            )
        )

    @router.get("/{name}")
    async def get_experiment(
        name: _Name, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> ExperimentBody:
        """Show one experiment."""
        return _body(await show_experiment(engine, config, tenant_id, name, by=by))

    @router.get("/{name}/status")
    async def get_status(
        name: _Name, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> StatusBody:
        """Tell what may be concluded now, and what not."""
        status = await read_status(engine, config, traces, tenant_id, name, clock(), by=by)
        return StatusBody(conclusions=conclusions(status), status=msgspec.to_builtins(status))

    @router.get("/{name}/log")
    async def get_log(
        name: _Name, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> EventList:
        """Show what was decided, by whom and on what evidence."""
        events = await list_events(engine, config, tenant_id, name, by=by)
        return EventList(
            events=[
                EventBody(number=e.number, kind=e.kind, evidence=e.evidence, actor=e.actor, at=e.at)
                for e in events
            ]
        )

    # the router holds them
    del get_experiments, post_experiment, get_experiment, get_status, get_log


def _add_acts(router: APIRouter, parts: _Parts, writer: Any) -> None:
    """Add what moves an experiment from one state to another."""
    engine, config, traces, clock = parts

    @router.post("/{name}/start")
    async def post_start(
        name: _Name, body: ExperimentAct, by: Principal = writer
    ) -> ExperimentBody:
        """Let units take part, within two seconds."""
        return _body(await start_experiment(engine, config, body.tenant_id, name, clock(), by=by))

    @router.post("/{name}/ramp")
    async def post_ramp(name: _Name, body: RampAct, by: Principal = writer) -> ExperimentBody:
        """Let more units take part; those that do stay."""
        return _body(
            await ramp_experiment(engine, config, body.tenant_id, name, body.share, clock(), by=by)
        )

    @router.post("/{name}/pause")
    async def post_pause(
        name: _Name, body: ExperimentAct, by: Principal = writer
    ) -> ExperimentBody:
        """Give every unit the control until it is started again."""
        return _body(await pause_experiment(engine, config, body.tenant_id, name, clock(), by=by))

    @router.post("/{name}/stop")
    async def post_stop(name: _Name, body: StopAct, by: Principal = writer) -> ExperimentBody:
        """End it for good; what was seen stays readable."""
        return _body(
            await stop_experiment(engine, config, body.tenant_id, name, body.reason, clock(), by=by)
        )

    @router.post("/{name}/decide")
    async def post_decision(name: _Name, body: DecideAct, by: Principal = writer) -> ExperimentBody:
        """Write down which arm is taken, with what was known; it ends where it still runs."""
        status = await read_status(engine, config, traces, body.tenant_id, name, clock(), by=by)
        made = await decide_experiment(
            engine, config, body.tenant_id, name, body.arm, body.reason, clock(),
            by=by, evidence={"conclusions": conclusions(status)},
        )  # fmt: skip
        return _body(made)

    del post_start, post_ramp, post_pause, post_stop, post_decision  # the router holds them


def _body(one: StoredExperiment) -> ExperimentBody:
    return ExperimentBody(
        tenant_id=one.tenant_id,
        name=one.name,
        state=one.state,
        is_declared=one.is_declared,
        description=one.description,
        settings=written(one.config),
        share=one.now.share,
        step=one.now.step,
        weights=shares_of(one),
        created_by=one.created_by,
        created_at=one.created_at,
        started_at=one.started_at,
        ended_at=one.ended_at,
    )
