"""Which experiments there are, of the file and made, and who may see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from santral.config.schema import Config
from santral.db.engine import Connection, Engine, reading
from santral.errors import Conflict, NotFound, nearest
from santral.experiments import store
from santral.experiments.made import ExperimentEvent, Now, StoredExperiment
from santral.tenants.permission import Action, Principal
from santral.tenants.tenant import EVERYWHERE, TenantId

#: Events of one log that are shown. Chosen.
MOST_EVENTS = 200


async def list_experiments(
    engine: Engine, config: Config, tenant: str, *, by: Principal
) -> list[StoredExperiment]:
    """Return the experiments that are about a tenant's requests, those of the file too."""
    by.require("experiments.read", TenantId(tenant))
    async with reading(engine) as conn:
        kept = await store.list_experiments(conn, tenant)
        shared = [] if tenant == EVERYWHERE else await store.list_experiments(conn, EVERYWHERE)
    own = [one for one in shared if _is_about(one, tenant)]
    return [*declared_rows(config, tenant), *own, *kept]


async def show_experiment(
    engine: Engine, config: Config, tenant: str, name: str, *, by: Principal
) -> StoredExperiment:
    """Return one experiment; raises NotFound with the nearest name."""
    async with reading(engine) as conn:
        return await found_experiment(conn, config, tenant, name, "experiments.read", by)


async def list_events(
    engine: Engine, config: Config, tenant: str, name: str, *, by: Principal
) -> list[ExperimentEvent]:
    """Return the decisions about an experiment, newest first; one of the file has none here."""
    async with reading(engine) as conn:
        known = await found_experiment(conn, config, tenant, name, "experiments.read", by)
        return await store.list_events(conn, known.tenant_id, name, MOST_EVENTS)


async def found_experiment(
    conn: Connection, config: Config, tenant: str, name: str, action: Action, by: Principal
) -> StoredExperiment:
    by.require(action, TenantId(tenant))
    kept = await store.find_experiment(conn, tenant, name)
    if kept is None and tenant != EVERYWHERE and action == "experiments.read":
        shared = await store.find_experiment(conn, EVERYWHERE, name)
        kept = shared if shared is not None and _is_about(shared, tenant) else None
    if kept is not None:
        return kept
    declared = {one.name: one for one in declared_rows(config, tenant)}
    if name in declared:
        return declared[name]
    known = [one.name for one in await store.list_experiments(conn, tenant)]
    raise NotFound(
        f"The tenant '{tenant}' has no experiment '{name[:64]}'."
        f"{nearest(name[:64], [*known, *declared])}",
        param="name",
    )


def declared_error(name: str) -> Conflict:
    return Conflict(
        f"'{name}' stands in santral.toml, under [experiments.{name}]. Change it there.",
        code="experiment_declared",
    )


def declared_rows(config: Config, tenant: str) -> list[StoredExperiment]:
    began = datetime.fromtimestamp(0, tz=UTC)
    return [
        StoredExperiment(
            tenant_id=EVERYWHERE,
            name=name,
            state="running",
            config=asked,
            now=Now(share=asked.share),
            description=asked.description,
            created_by="santral.toml",
            created_at=began,
            is_declared=True,
        )
        for name, asked in config.experiments.items()
        if tenant == EVERYWHERE or not asked.tenants or tenant in asked.tenants
    ]


def _is_about(one: StoredExperiment, tenant: str) -> bool:
    return not one.config.tenants or tenant in one.config.tenants


def within(tenant: str, tenants: Sequence[str]) -> frozenset[str]:
    return frozenset(tenants) if tenant == EVERYWHERE else frozenset({tenant})
