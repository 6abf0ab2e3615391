"""Outcomes become scores of their traces: rows wait in the database until the traces' store took them.

Whoever rates, by API, console or command line, needs no telemetry store; the process that has it open
delivers. A score's id comes from its item, so one that is delivered twice is stored once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from santral.db.engine import Engine, reading, writing
from santral.review import store
from santral.review.item import Item
from santral.review.queue import Queue
from santral.traces.scores.score import ScoreRecord

#: Items of one step. Chosen.
_AT_ONCE = 500

#: Stores scores that no worker spooled; see ``TraceStore.insert_scores``.
InsertScores = Callable[[Sequence[ScoreRecord]], Awaitable[int]]


class Delivery:
    """Takes outcomes to the traces."""

    def __init__(self, engine: Engine, insert: InsertScores, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._insert = insert
        self._clock = clock

    async def deliver(self, tenant: str | None = None) -> int:
        """Deliver what waits; return how many items that was.

        Raises:
            StoreError: the telemetry store cannot be written; what waits goes on waiting.
        """
        async with reading(self._engine) as conn:
            queues = await store.list_queues(conn, tenant)
        tenants = dict.fromkeys(queue.tenant_id for queue in queues)
        known = {(queue.tenant_id, queue.name): queue for queue in queues}
        return sum([await self._deliver_of(tenant_id, known) for tenant_id in tenants])

    async def _deliver_of(self, tenant_id: str, queues: dict[tuple[str, str], Queue]) -> int:
        delivered = 0
        while True:
            async with reading(self._engine) as conn:
                items = await store.unscored(conn, tenant_id, _AT_ONCE)
            if not items:
                return delivered
            await self._insert(
                [
                    score
                    for item in items
                    if (queue := queues.get((tenant_id, item.queue))) is not None
                    for score in scores_of(queue, item)
                ]
            )
            async with writing(self._engine) as conn:
                for item in items:
                    await store.update_item(conn, tenant_id, item.id, scored_at=self._clock())
            delivered += len(items)


def scores_of(queue: Queue, item: Item) -> list[ScoreRecord]:
    """Return the scores that an outcome makes: one for each label but texts, by the queue as a whole."""
    texts = {label.name for label in queue.settings.labels if label.kind == "text"}
    closed = item.closed_at or item.created_at
    return [
        ScoreRecord(
            id=hashlib.sha256(f"{item.id}\n{name}".encode()).hexdigest()[:32],
            tenant_id=item.tenant_id,
            trace_id=item.trace_id,
            name=name,
            source="reviewer",
            at_us=int(closed.timestamp() * 1e6),
            value=None if isinstance(value, str) else float(value),
            label=value if isinstance(value, str) else "",
            rater=f"queue:{queue.name}",
            probability=item.probability,
            user="" if item.subject.startswith("session:") else item.subject,
            session=item.subject.removeprefix("session:")
            if item.subject.startswith("session:")
            else "",
        )
        for name, value in (item.outcome or {}).items()
        if name not in texts
    ]
