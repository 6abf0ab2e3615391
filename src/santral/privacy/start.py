"""Begin an export or an erasure: the same for command line and admin API."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

import msgspec

from santral.audit.note import note
from santral.db.engine import Engine, writing
from santral.jobs.job import PERSONAL, Job
from santral.jobs.queue import start_job
from santral.privacy.erase import ERASE
from santral.privacy.export import EXPORT
from santral.privacy.subject import Subject
from santral.tenants.issue import known_tenant
from santral.tenants.key import RandomBytes
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId


async def start_erasure(
    engine: Engine,
    tenant: str,
    subject: Subject,
    now: datetime,
    *,
    by: Principal,
    is_dry_run: bool = False,
    rng: RandomBytes = secrets.token_bytes,
) -> Job:
    """Begin to erase a person, or only to count; the control process does it.

    Raises:
        NotFound: no such tenant.
        NotAllowed: the caller may not.
    """
    by.require("privacy.write", TenantId(tenant))
    extra = {"dry_run": True} if is_dry_run else {}
    return await _start(engine, tenant, ERASE, subject, extra, now, by, rng)


async def start_export(
    engine: Engine,
    tenant: str,
    subject: Subject,
    now: datetime,
    *,
    by: Principal,
    rng: RandomBytes = secrets.token_bytes,
) -> Job:
    """Begin to export what is a person's own; raises as ``start_erasure``."""
    by.require("privacy.write", TenantId(tenant))
    return await _start(engine, tenant, EXPORT, subject, {}, now, by, rng)


async def _start(
    engine: Engine,
    tenant: str,
    kind: str,
    subject: Subject,
    extra: dict[str, Any],
    now: datetime,
    by: Principal,
    rng: RandomBytes,
) -> Job:
    arguments = {PERSONAL: msgspec.to_builtins(subject), **extra}
    async with writing(engine) as conn:
        owner = await known_tenant(conn, tenant)
        job = await start_job(conn, rng, kind, owner.id, arguments, now, actor=by.actor)
        # Whom it is about stays out of the log, which nobody can change: the proof names them by hash.
        await note(
            conn, by.actor, kind, f"job:{job.id}", tenant_id=owner.id, after=extra or None, now=now
        )
    return job
