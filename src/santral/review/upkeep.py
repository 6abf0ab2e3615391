"""What queues need done again and again: look at traces, fetch held answers, deliver, forget."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from santral.db.engine import Engine, reading, writing
from santral.errors import SantralError
from santral.gateway.held.cabinet import HeldCabinet
from santral.jobs.job import Hold
from santral.review import store
from santral.review.deliver import Delivery, InsertScores
from santral.review.held import collect_held
from santral.review.looking.look import Looker, Traces
from santral.tenants.inherit import inherited
from santral.tenants.store import list_tenants
from santral.tenants.tenant import TenantId

log = logging.getLogger(__name__)

#: What the job is called in the table of jobs.
LOOK_FOR_REVIEW = "review.look"


class QueueArguments(Struct, frozen=True):
    """The queue to look for, at once."""

    queue: str


class Upkeep:
    """The repeated work over one installation's queues."""

    def __init__(
        self,
        engine: Engine,
        traces: Traces,
        insert: InsertScores,
        cabinet: HeldCabinet,
        clock: Callable[[], datetime],
        keep_days: int | None = None,
    ) -> None:
        """Take ``keep_days`` as what holds where neither queue nor tenant says how long."""
        self._engine = engine
        self._traces = traces
        self._cabinet = cabinet
        self._clock = clock
        self._keep_days = keep_days
        self._looker = Looker(engine, traces, clock)
        self._delivery = Delivery(engine, insert, clock)

    async def once(self, tenant: str | None = None, queue: str = "") -> dict[str, int]:
        """Do everything once, for one queue or all; return what was done, counted.

        Raises:
            StoreError: a database cannot be used; what is not done yet is done the next time.
        """
        held = await collect_held(
            self._engine, self._traces.sealer, self._cabinet, self._clock(), tenant
        )
        return {
            "held": held,
            "taken": await self._looker.look(tenant, queue),
            "delivered": await self._delivery.deliver(tenant),
            "forgotten": await self._forget(tenant),
        }

    async def run(self, every_s: float) -> None:
        """Do everything again and again, until cancelled; a failure is said once, and tried again."""
        said = ""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.once()
                said = ""
            except SantralError as error:
                if error.message != said:
                    log.warning("review_upkeep_failed", extra={"reason": error.message})
                    said = error.message

    async def __call__(self, hold: Hold, arguments: QueueArguments) -> Mapping[str, Any]:
        """Do the job ``review.look``."""
        await hold.report("looking through traces")
        return await self.once(hold.job.tenant_id, arguments.queue)

    async def _forget(self, tenant: str | None) -> int:
        """Remove items over the time of their queue, else of their tenant; outcomes go to the traces
        before."""
        async with reading(self._engine) as conn:
            queues = await store.list_queues(conn, tenant)
            own = {one.id: one.retention_days for one in inherited(await list_tenants(conn))}
        gone = 0
        for queue in queues:
            days = (
                queue.settings.retention_days
                or own.get(TenantId(queue.tenant_id))
                or self._keep_days
            )
            if days is not None:
                before = self._clock() - timedelta(days=days)
                async with writing(self._engine) as conn:
                    gone += await store.delete_items_before(
                        conn, queue.tenant_id, queue.name, before
                    )
        return gone
