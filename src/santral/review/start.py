"""Let a control process look through the traces for a queue at once."""

from __future__ import annotations

from datetime import datetime

import msgspec

from santral.audit.note import note
from santral.db.engine import Engine, writing
from santral.jobs.job import Job
from santral.jobs.queue import start_job
from santral.review.known import known_queue
from santral.review.upkeep import LOOK_FOR_REVIEW, QueueArguments
from santral.tenants.key import RandomBytes
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId


async def start_look(
    engine: Engine, tenant: str, name: str, now: datetime, *, by: Principal, rng: RandomBytes
) -> Job:
    """Begin to look for a queue now; it is done again and again without that, too.

    Raises:
        NotFound: no such queue.
        NotAllowed: no role that may write it.
    """
    async with writing(engine) as conn:
        queue = await known_queue(conn, tenant, name, "review.write", by=by)
        arguments = msgspec.to_builtins(QueueArguments(queue=name))
        job = await start_job(
            conn, rng, LOOK_FOR_REVIEW, TenantId(queue.tenant_id), arguments, now, actor=by.actor
        )
        await note(
            conn, by.actor, "review.look", f"queue:{name}",
            tenant_id=queue.tenant_id, after={"job": job.id},
        )  # fmt: skip
    return job
