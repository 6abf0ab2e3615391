"""What has to hold before an experiment runs: its names mean something, and it meets no other one."""

from __future__ import annotations

from collections.abc import Sequence

from santral.config.schema import Config
from santral.config.trials import (
    Planned,
    clash,
    declared_experiments,
    free_segments,
    planned,
    unknown_names,
)
from santral.db.engine import Connection
from santral.errors import BadRequest, Conflict
from santral.experiments import store
from santral.experiments.experiment import HOLDOUT
from santral.experiments.known import declared_error, within
from santral.experiments.made import StoredExperiment
from santral.experiments.metric import metric_named
from santral.tenants.tenant import EVERYWHERE


def check_settings(config: Config, mine: Planned) -> None:
    """Refuse settings that could do nothing."""
    problems = list(unknown_names(mine.config, config))
    if not mine.routes:
        problems.append("routes: name at least one route whose requests take part")
    if HOLDOUT in mine.config.variants:
        problems.append(f"variants: no arm can be called {HOLDOUT}")
    asked = [*mine.config.primary, *(guard.metric for guard in mine.config.guards)]
    if mine.config.bandit is not None:
        asked.append(mine.config.bandit.metric)
    problems += [f"there is no metric '{name}'" for name in asked if metric_named(name) is None]
    if problems:
        raise BadRequest("; ".join(problems), code="bad_experiment", param="settings")


async def running_experiments(conn: Connection, config: Config) -> list[Planned]:
    """Return everything that runs: of the file, and made."""
    kept = await store.list_experiments(conn, None)
    return [
        *declared_experiments(config),
        *(
            planned(one.name, one.config, config, within(one.tenant_id, one.config.tenants))
            for one in kept
            if one.state == "running"
        ),
    ]


def require_no_clash(mine: Planned, running: Sequence[Planned]) -> None:
    for other in running:
        if other.name == mine.name:
            continue
        problem = clash(other, mine)
        if problem:
            free = free_segments(mine.config.layer_name, {o.name: o.config for o in running})
            hint = f" Free in the layer: {free}." if mine.config.layer and free else ""
            raise Conflict(problem + hint, code="experiments_clash")


def require_free(config: Config, known: Sequence[StoredExperiment], tenant: str, name: str) -> None:
    """Refuse a name that another experiment on the same requests has: exposures are told by it."""
    if name in config.experiments:
        raise declared_error(name)
    for one in known:
        if one.name == name and (EVERYWHERE in (one.tenant_id, tenant) or one.tenant_id == tenant):
            raise Conflict(
                f"There is an experiment '{name}' already. Its traces carry the name, so a new one "
                "takes another.",
                code="experiment_exists",
            )
