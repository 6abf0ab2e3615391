"""SQL of experiments that people make, and of every decision about them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, func, insert, select, update

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.tables import experiment_events, experiments
from santral.experiments.made import (
    ExperimentEvent,
    Now,
    Running,
    State,
    StoredExperiment,
    parse_settings,
)

_EXPERIMENT = list(experiments.c)
_EVENT = [experiment_events.c[name] for name in ExperimentEvent.__struct_fields__]


async def insert_experiment(
    conn: Connection,
    tenant_id: str,
    name: str,
    settings: Mapping[str, Any],
    now: Now,
    description: str,
    created_by: str,
    at: datetime,
) -> bool:
    """Keep a draft where the tenant has none of its name; return whether it was kept."""
    statement = upsert(conn, experiments).values(
        tenant_id=tenant_id,
        name=name,
        state="draft",
        settings={"asked": settings, "now": msgspec.to_builtins(now)},
        description=description,
        created_by=created_by,
        created_at=at,
    )
    return (await conn.execute(statement.on_conflict_do_nothing())).rowcount == 1


async def find_experiment(conn: Connection, tenant_id: str, name: str) -> StoredExperiment | None:
    """Return an experiment as its row says, or nothing."""
    statement = select(*_EXPERIMENT).where(
        experiments.c.tenant_id == tenant_id, experiments.c.name == name
    )
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else _experiment(row)


async def list_experiments(conn: Connection, tenant_id: str | None) -> list[StoredExperiment]:
    """Return the experiments of a tenant, or of all, by tenant and name."""
    statement = select(*_EXPERIMENT).order_by(experiments.c.tenant_id, experiments.c.name)
    if tenant_id is not None:
        statement = statement.where(experiments.c.tenant_id == tenant_id)
    return [_experiment(row) for row in (await conn.execute(statement)).all()]


async def running_experiments(conn: Connection) -> list[Running]:
    """Return what workers have to know: the running experiments of every tenant."""
    statement = (
        select(experiments.c.tenant_id, experiments.c.name, experiments.c.settings)
        .where(experiments.c.state == "running")
        .order_by(experiments.c.tenant_id, experiments.c.name)
    )
    found: list[Running] = []
    for tenant_id, name, settings in (await conn.execute(statement)).all():
        now = msgspec.convert(settings["now"], Now)
        found.append(
            Running(
                tenant_id=tenant_id,
                name=name,
                settings=settings["asked"],
                share=now.share,
                weights=now.weights,
            )
        )
    return found


async def update_experiment(
    conn: Connection,
    tenant_id: str,
    name: str,
    state: State,
    settings: Mapping[str, Any],
    now: Now,
    started_at: datetime | None,
    ended_at: datetime | None,
) -> None:
    """Replace what of an experiment changes while it runs."""
    await conn.execute(
        update(experiments)
        .where(experiments.c.tenant_id == tenant_id, experiments.c.name == name)
        .values(
            state=state,
            settings={"asked": settings, "now": msgspec.to_builtins(now)},
            started_at=started_at,
            ended_at=ended_at,
        )
    )


async def insert_event(
    conn: Connection, tenant_id: str, experiment: str, event: ExperimentEvent
) -> None:
    """Add one decision to the log of an experiment."""
    values = msgspec.structs.asdict(event)
    await conn.execute(
        insert(experiment_events).values(tenant_id=tenant_id, experiment=experiment, **values)
    )


async def last_event_number(conn: Connection, tenant_id: str, experiment: str) -> int:
    """Return the number of the newest decision, 0 where there is none."""
    statement = select(func.coalesce(func.max(experiment_events.c.number), 0)).where(
        experiment_events.c.tenant_id == tenant_id, experiment_events.c.experiment == experiment
    )
    return (await conn.execute(statement)).scalar_one()


async def list_events(
    conn: Connection, tenant_id: str, experiment: str, limit: int
) -> list[ExperimentEvent]:
    """Return the newest decisions about an experiment, newest first."""
    statement = (
        select(*_EVENT)
        .where(
            experiment_events.c.tenant_id == tenant_id,
            experiment_events.c.experiment == experiment,
        )
        .order_by(experiment_events.c.number.desc())
        .limit(limit)
    )
    return [ExperimentEvent(**row) for row in (await conn.execute(statement)).mappings()]


def _experiment(row: Row[Any]) -> StoredExperiment:
    settings = row.settings
    return StoredExperiment(
        tenant_id=row.tenant_id,
        name=row.name,
        state=row.state,
        config=parse_settings(settings["asked"]),
        now=msgspec.convert(settings["now"], Now),
        description=row.description,
        created_by=row.created_by,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
