"""Make, pause, look with and delete monitors: the same for command line, API and console."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from santral.audit.note import Actor, note
from santral.db.engine import Connection, Engine, reading, writing
from santral.errors import Conflict, NotFound, nearest
from santral.evals.drift import store
from santral.evals.drift.finding import Finding
from santral.evals.drift.monitor import Monitor, checked_name, settings_from
from santral.jobs.job import Job
from santral.jobs.queue import start_job
from santral.tenants.key import RandomBytes
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

#: What the job is called in the table of jobs.
LOOK = "evals.drift"
#: Findings of one page. Chosen.
MOST_FINDINGS = 50


class LookArguments(Struct, frozen=True):
    """Which monitor looks."""

    monitor: str


async def create_monitor(
    engine: Engine,
    tenant: str,
    name: str,
    settings: Mapping[str, Any],
    now: datetime,
    *,
    by: Principal,
) -> Monitor:
    """Make a monitor; its first look is due at once.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may run evaluations there.
        BadRequest: the name or a setting cannot be.
        Conflict: there is one of this name.
    """
    by.require("evals.run", TenantId(tenant))
    made = Monitor(
        tenant_id=tenant,
        name=checked_name(name),
        settings=settings_from(settings),
        state={},
        is_paused=False,
        next_at=now,
        created_by=by.name,
        created_at=now,
    )
    async with writing(engine) as conn:
        owner = await known_tenant(conn, tenant)
        if await store.find_monitor(conn, owner.id, name) is not None:
            raise Conflict(
                f"There is a monitor '{name}' already. Delete it first, or name another."
            )
        await store.insert_monitor(conn, owner.id, made)
        after = {"signals": list(made.settings.signals), "route": made.settings.route}
        await _note(conn, by.actor, "create", made, after=after)
    return made


async def pause_monitor(
    engine: Engine, tenant: str, name: str, is_paused: bool, now: datetime, *, by: Principal
) -> Monitor:
    """Let a monitor rest, or go on: then its next look is due at once.

    Raises:
        NotFound: there is no such monitor.
        NotAllowed: no role that may run evaluations there.
    """
    by.require("evals.run", TenantId(tenant))
    async with writing(engine) as conn:
        found = await known_monitor(conn, tenant, name)
        changed: dict[str, Any] = {"is_paused": is_paused} | ({} if is_paused else {"next_at": now})
        await store.update_monitor(conn, tenant, name, changed)
        before, after = {"is_paused": found.is_paused}, {"is_paused": is_paused}
        await _note(conn, by.actor, "pause", found, before=before, after=after)
        return await known_monitor(conn, tenant, name)


async def delete_monitor(engine: Engine, tenant: str, name: str, *, by: Principal) -> None:
    """Forget a monitor and what it found; raises as ``pause_monitor``."""
    by.require("evals.run", TenantId(tenant))
    async with writing(engine) as conn:
        found = await known_monitor(conn, tenant, name)
        await store.delete_monitor(conn, tenant, name)
        before = {"signals": list(found.settings.signals)}
        await _note(conn, by.actor, "delete", found, before=before)


async def start_look(
    engine: Engine,
    tenant: str,
    name: str,
    now: datetime,
    *,
    by: Principal,
    rng: RandomBytes = secrets.token_bytes,
) -> Job:
    """Let a monitor look now; raises as ``pause_monitor``."""
    by.require("evals.run", TenantId(tenant))
    async with writing(engine) as conn:
        found = await known_monitor(conn, tenant, name)
        job = await look_job(conn, found, now, actor=by.actor, rng=rng)
        await _note(conn, by.actor, "look", found, after={"job": job.id})
        return job


async def look_job(
    conn: Connection,
    monitor: Monitor,
    now: datetime,
    *,
    actor: Actor,
    rng: RandomBytes = secrets.token_bytes,
) -> Job:
    """Add the job of one look in the caller's transaction."""
    arguments = msgspec.to_builtins(LookArguments(monitor.name))
    return await start_job(
        conn, rng, LOOK, TenantId(monitor.tenant_id), arguments, now, actor=actor
    )


async def findings_of(
    engine: Engine, tenant: str, name: str, *, by: Principal, limit: int = MOST_FINDINGS
) -> tuple[Monitor, list[Finding]]:
    """Return a monitor and its latest findings; raises NotFound, NotAllowed."""
    by.require("evals.read", TenantId(tenant))
    async with reading(engine) as conn:
        found = await known_monitor(conn, tenant, name)
        return found, await store.list_findings(conn, tenant, name, min(limit, MOST_FINDINGS))


async def list_monitors(engine: Engine, *, by: Principal) -> list[Monitor]:
    """Return the monitors that ``by`` may see."""
    async with reading(engine) as conn:
        return await store.list_monitors(conn, by.tenants("evals.read"))


async def known_monitor(conn: Connection, tenant: str, name: str) -> Monitor:
    """Return a monitor; raises NotFound, with the nearest name."""
    found = await store.find_monitor(conn, tenant, name)
    if found is None:
        known = [one.name for one in await store.list_monitors(conn, [tenant])]
        raise NotFound(
            f"There is no monitor '{name[:64]}'.{nearest(name[:64], known)} List them with: "
            "santral monitors list"
        )
    return found


def next_look(monitor: Monitor, now: datetime) -> datetime:
    """Return when a monitor that looks now looks again."""
    return now + timedelta(hours=monitor.settings.every_hours)


async def _note(conn: Connection, actor: Actor, act: str, monitor: Monitor, **said: Any) -> None:
    object_ = f"monitor:{monitor.name}"
    await note(conn, actor, f"monitors.{act}", object_, tenant_id=monitor.tenant_id, **said)
