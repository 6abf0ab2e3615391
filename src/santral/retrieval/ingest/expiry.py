"""What expires: no search shows it from that moment on, and a job that waits for it takes it out."""

from __future__ import annotations

from hashlib import blake2b

from santral.db.engine import writing
from santral.jobs import store as jobs
from santral.jobs.job import Job, JobId
from santral.retrieval import store
from santral.retrieval.ingest.workplace import INGEST, Workplace
from santral.tenants.tenant import TenantId


async def plan_sweep(place: Workplace, tenant_id: str, collection: str) -> bool:
    """Let a job take out what expires next, at that moment; return whether something does.

    One waits for each moment: the id of the job is made of it.
    """
    now = place.clock()
    async with writing(place.engine) as conn:
        moment = await store.next_expiry(conn, tenant_id, collection, now)
        if moment is None:
            return False
        name = "\0".join((tenant_id, collection, moment.isoformat())).encode()
        job = Job(
            id=JobId(f"job_expiry_{blake2b(name, digest_size=12).hexdigest()}"),
            tenant_id=TenantId(tenant_id),
            kind=INGEST,
            arguments={"collection": collection},
            created_by="system",
            created_at=now,
            leased_until=moment,
        )
        await jobs.insert_job(conn, job.tenant_id, job)
    return True
