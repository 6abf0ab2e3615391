"""Make, start, widen, pause, stop and decide experiments: the same for command line, API and console.

An experiment in santral.toml is declared: it runs as long as it stands there, and changes with the file.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from santral.audit.note import Actor
from santral.config.schema import Config
from santral.config.trials import planned
from santral.db.engine import Connection, Engine, writing
from santral.errors import BadRequest, Conflict, NotFound, nearest
from santral.experiments import store
from santral.experiments.beside import (
    check_settings,
    require_free,
    require_no_clash,
    running_experiments,
)
from santral.experiments.known import declared_error, found_experiment, within
from santral.experiments.log import keep_changed, note_event
from santral.experiments.look import first_step, next_step
from santral.experiments.made import Now, State, StoredExperiment, parse_settings, written
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Principal
from santral.tenants.tenant import EVERYWHERE, TenantId

#: What an experiment may be called: as names of santral.toml, without a slash, which an address could
#: not hold.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
#: Experiments of one tenant. Chosen: every running one is looked at by each request of its routes.
_MOST_EXPERIMENTS = 200

#: From which state which act leads where.
_FROM: Mapping[str, tuple[State, ...]] = {
    "start": ("draft", "paused"),
    "pause": ("running",),
    "ramp": ("running", "paused"),
    "stop": ("draft", "running", "paused"),
}


async def create_experiment(
    engine: Engine,
    config: Config,
    tenant: str,
    name: str,
    settings: Mapping[str, Any],
    now: datetime,
    *,
    by: Principal,
    rng: Callable[[int], bytes] = secrets.token_bytes,
) -> StoredExperiment:
    """Make a draft; nobody sees it before it is started. A salt is drawn where none is given.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may write experiments there.
        BadRequest: a setting means nothing; names it.
        Conflict: there is one of this name.
    """
    by.require("experiments.write", TenantId(tenant))
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"An experiment cannot be called {name[:64]!r}. Take letters, digits and . _ : @ -, "
            "128 at most, a letter or digit first.",
            param="name",
        )
    asked = parse_settings({"salt": rng(8).hex(), **settings})
    check_settings(config, planned(name, asked, config, within(tenant, asked.tenants)))
    async with writing(engine) as conn:
        if tenant != EVERYWHERE:
            await known_tenant(conn, tenant)
        known = await store.list_experiments(conn, None)
        require_free(config, known, tenant, name)
        if sum(one.tenant_id == tenant for one in known) >= _MOST_EXPERIMENTS:
            raise Conflict(
                f"The tenant '{tenant}' has {_MOST_EXPERIMENTS} experiments. Use another tenant, or "
                "declare further ones in santral.toml.",
                code="too_many_experiments",
            )
        kept, first = written(asked), Now(share=asked.share)
        await store.insert_experiment(
            conn, tenant, name, kept, first, asked.description, by.name, now
        )
        made = await _row(conn, tenant, name)
        await note_event(conn, made, "created", {"settings": kept}, by.actor, now)
        return made


async def start_experiment(
    engine: Engine, config: Config, tenant: str, name: str, now: datetime, *, by: Principal
) -> StoredExperiment:
    """Let units take part, within two seconds; a paused one goes on where it was.

    Raises:
        NotFound: no such experiment.
        NotAllowed: no role that may write experiments there.
        Conflict: it has been stopped, or changes what another running one changes.
    """
    async with writing(engine) as conn:
        before = await _changeable(conn, config, tenant, name, "start", by)
        mine = planned(name, before.config, config, within(tenant, before.config.tenants))
        check_settings(config, mine)
        require_no_clash(mine, await running_experiments(conn, config))
        is_first = before.started_at is None
        place = first_step(before, now.timestamp()) if is_first else before.now
        made = replace(before, state="running", now=place, started_at=before.started_at or now)
        kind = "started" if is_first else "resumed"
        return await keep_changed(conn, made, kind, {"share": place.share}, by.actor, now)


async def ramp_experiment(
    engine: Engine,
    config: Config,
    tenant: str,
    name: str,
    share: float | None,
    now: datetime,
    *,
    by: Principal,
) -> StoredExperiment:
    """Let more units take part: those of the next step, or a share. Units that do stay.

    Raises:
        NotFound: no such experiment.
        NotAllowed: no role that may write experiments there.
        BadRequest: the share is none, or less than what takes part.
        Conflict: it does not run, or is on its last step.
    """
    async with writing(engine) as conn:
        before = await _changeable(conn, config, tenant, name, "ramp", by)
        if share is None:
            wider = next_step(before, now.timestamp())
            if wider is None:
                raise Conflict(
                    f"'{name}' is on the last step of its ramp. Name a share, as 0.5.",
                    code="experiment_state",
                )
        else:
            if not before.now.share <= share <= 1.0:
                raise BadRequest(
                    f"'{name}' is seen by a share of {before.now.share:g} of its units. Give a larger "
                    "one, 1 at most: units that take part stay, so that what they saw can be read.",
                    param="share",
                )
            wider = replace(before.now, share=share, step_at_s=now.timestamp())
        evidence = {"before": before.now.share, "share": wider.share, "reason": "asked"}
        return await keep_changed(
            conn, replace(before, now=wider), "ramped", evidence, by.actor, now
        )


async def pause_experiment(
    engine: Engine, config: Config, tenant: str, name: str, now: datetime, *, by: Principal
) -> StoredExperiment:
    """Give every unit the control until it is started again; raises as ``stop_experiment``."""
    async with writing(engine) as conn:
        before = await _changeable(conn, config, tenant, name, "pause", by)
        return await keep_changed(
            conn, replace(before, state="paused"), "paused", {}, by.actor, now
        )


async def stop_experiment(
    engine: Engine,
    config: Config,
    tenant: str,
    name: str,
    reason: str,
    now: datetime,
    *,
    by: Principal,
) -> StoredExperiment:
    """End it for good: every unit sees the control within two seconds. What was seen stays readable.

    Raises:
        NotFound: no such experiment.
        NotAllowed: no role that may write experiments there.
        Conflict: it has ended, or santral.toml declares it.
    """
    async with writing(engine) as conn:
        before = await _changeable(conn, config, tenant, name, "stop", by)
        made = replace(before, state="stopped", ended_at=now)
        evidence = {"reason": reason[:500] or "asked"}
        return await keep_changed(conn, made, "stopped", evidence, by.actor, now)


async def decide_experiment(
    engine: Engine,
    config: Config,
    tenant: str,
    name: str,
    arm: str,
    reason: str,
    now: datetime,
    *,
    by: Principal,
    evidence: Mapping[str, Any] | None = None,
) -> StoredExperiment:
    """Write down which arm is taken, and why; it is stopped where it still runs.

    The route itself is changed where it is declared: what an arm is worth outlives the experiment
    there and nowhere else.

    Raises:
        NotFound: no such experiment, or no such arm.
        NotAllowed: no role that may write experiments there.
    """
    async with writing(engine) as conn:
        before = await found_experiment(conn, config, tenant, name, "experiments.write", by)
        if before.is_declared:
            raise declared_error(name)
        if arm not in before.config.variants:
            raise NotFound(
                f"'{name}' has no arm '{arm[:64]}'.{nearest(arm[:64], before.config.variants)}",
                param="arm",
            )
        made = replace(before, state="stopped", ended_at=before.ended_at or now)
        told = {"arm": arm, "reason": reason[:2000], **(evidence or {})}
        return await keep_changed(conn, made, "decided", told, by.actor, now)


async def apply_act(
    engine: Engine,
    stored: StoredExperiment,
    kind: str,
    now_state: Now,
    evidence: Mapping[str, Any],
    actor: Actor,
    now: datetime,
) -> StoredExperiment | None:
    """Do what a look decided, unless somebody changed the experiment meanwhile; None: they did."""
    async with writing(engine) as conn:
        current = await store.find_experiment(conn, stored.tenant_id, stored.name)
        if current is None or current.state != "running" or current.now != stored.now:
            return None
        is_stop = kind == "stopped"
        made = replace(
            current,
            now=now_state,
            state="stopped" if is_stop else "running",
            ended_at=now if is_stop else None,
        )
        return await keep_changed(conn, made, kind, evidence, actor, now)


async def _changeable(
    conn: Connection, config: Config, tenant: str, name: str, act: str, by: Principal
) -> StoredExperiment:
    found = await found_experiment(conn, config, tenant, name, "experiments.write", by)
    if found.is_declared:
        raise declared_error(name)
    if found.state not in _FROM[act]:
        raise Conflict(
            f"'{name}' is {found.state}; to {act} it, it must be {' or '.join(_FROM[act])}.",
            code="experiment_state",
        )
    return found


async def _row(conn: Connection, tenant: str, name: str) -> StoredExperiment:
    found = await store.find_experiment(conn, tenant, name)
    assert found is not None  # noqa: S101 - it was written in this transaction
    return found
