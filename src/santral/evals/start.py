"""Begin an evaluation in the control process: the same for admin API and console."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

import msgspec

from santral.audit.note import note
from santral.db.engine import Engine, writing
from santral.evals.job import EVALUATE, EvaluateArguments, check_baseline
from santral.evals.suites import known_suite
from santral.jobs.job import Job
from santral.jobs.queue import start_job
from santral.tenants.key import RandomBytes
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId


async def start_evaluation(
    engine: Engine,
    folder: Path,
    tenant: str,
    arguments: EvaluateArguments,
    now: datetime,
    *,
    by: Principal,
    rng: RandomBytes = secrets.token_bytes,
) -> Job:
    """Let a job run a suite of the folder; its runs are called as the job.

    Raises:
        NotFound: no such tenant or suite.
        NotAllowed: no role that may run evaluations there.
        BadRequest: the suite cannot be read, or the baseline is none a job could find.
    """
    by.require("evals.run", TenantId(tenant))
    known_suite(folder, arguments.suite)
    check_baseline(arguments.baseline)
    async with writing(engine) as conn:
        owner = await known_tenant(conn, tenant)
        asked = msgspec.to_builtins(arguments)
        job = await start_job(conn, rng, EVALUATE, owner.id, asked, now, actor=by.actor)
        await note(
            conn, by.actor, "evals.start", f"suite:{arguments.suite}",
            tenant_id=owner.id, after={"job": job.id, **asked},
        )  # fmt: skip
        return job
