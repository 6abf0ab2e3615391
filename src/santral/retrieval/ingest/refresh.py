"""Begin the run of a source: what schedules, webhooks and people ask for."""

from __future__ import annotations

from datetime import datetime

from santral.audit.note import Actor
from santral.db.engine import Connection
from santral.jobs.job import Job
from santral.retrieval.ingest.job import IngestArguments
from santral.retrieval.ingest.start import job_for
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId
from santral.tenants.tree import TenantTree


async def start_refresh(
    conn: Connection, tenant: str, collection: str, source_id: str, now: datetime, actor: Actor
) -> Job:
    """Return the job that takes a source in, in the transaction given; see ``sources.keep.StartRun``."""
    by = Principal(name=actor.name, origin=actor.origin, grants=(), tree=TenantTree({}))
    arguments = IngestArguments(collection=collection, source_id=source_id)
    job, _ = await job_for(conn, TenantId(tenant), arguments, now, by=by)
    return job
