"""A queue or an item as it is known to somebody who may see it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field

from santral.db.engine import Connection, Engine, reading
from santral.errors import NotFound, nearest
from santral.review import store
from santral.review.item import Item, ItemState
from santral.review.queue import Queue
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Action, Principal
from santral.tenants.tenant import TenantId

#: Longest page of a list of items. Chosen.
MAX_ITEMS = 200


class QueueLine(Struct, frozen=True, kw_only=True):
    """A queue as a list shows it."""

    queue: Queue
    counts: Mapping[ItemState, int] = field(default_factory=dict[ItemState, int])

    @property
    def total(self) -> int:
        """How many items are in it."""
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        """How many nobody has to look at any more."""
        return self.counts.get("done", 0) + self.counts.get("skipped", 0)


async def known_queue(
    conn: Connection, tenant: str, name: str, action: Action, *, by: Principal
) -> Queue:
    """Return a tenant's queue on which ``by`` may do ``action``.

    Raises:
        NotFound: no such tenant or queue; names the nearest.
        NotAllowed: no role that may do it there.
    """
    by.require(action, TenantId(tenant))
    owner = await known_tenant(conn, tenant)
    found = await store.find_queue(conn, owner.id, name)
    if found is None:
        known = [one.name for one in await store.list_queues(conn, owner.id)]
        raise NotFound(
            f"There is no queue '{name[:64]}'.{nearest(name[:64], known)} "
            "List them with: santral review queues list",
            code="queue_not_found",
            param="queue",
        )
    return found


async def known_item(
    conn: Connection, queue: Queue, item_id: str, *, is_locked: bool = False
) -> Item:
    """Return an item of a queue; raises NotFound."""
    found = await store.find_item(conn, queue.tenant_id, item_id, is_locked=is_locked)
    if found is None or found.queue != queue.name:
        raise NotFound(
            f"There is no item '{item_id[:64]}' in the queue '{queue.name}'.",
            code="item_not_found",
            param="item",
        )
    return found


async def list_queues(engine: Engine, tenant: str, *, by: Principal) -> list[QueueLine]:
    """Return the queues of a tenant by name; raters see them too, for they work there."""
    async with reading(engine) as conn:
        by.require("review.read", TenantId(tenant))
        owner = await known_tenant(conn, tenant)
        counts = await store.count_items(conn, owner.id)
        return [
            QueueLine(queue=queue, counts=counts.get(queue.name, {}))
            for queue in await store.list_queues(conn, owner.id)
        ]


async def show_queue(engine: Engine, tenant: str, name: str, *, by: Principal) -> QueueLine:
    """Return one queue; raises as :func:`known_queue`."""
    async with reading(engine) as conn:
        queue = await known_queue(conn, tenant, name, "review.read", by=by)
        counts = await store.count_items(conn, queue.tenant_id)
        return QueueLine(queue=queue, counts=counts.get(name, {}))


async def list_items(
    engine: Engine,
    tenant: str,
    name: str,
    states: tuple[ItemState, ...] = (),
    *,
    by: Principal,
    after: tuple[datetime, str] | None = None,
    limit: int = MAX_ITEMS,
) -> list[Item]:
    """Return items of a queue, the oldest first.

    For who keeps a queue: it shows which items are gold, so raters may not.

    Raises:
        NotFound: no such queue.
        NotAllowed: no role that may write it.
    """
    async with reading(engine) as conn:
        queue = await known_queue(conn, tenant, name, "review.write", by=by)
        most = min(limit, MAX_ITEMS)
        return await store.list_items(conn, queue.tenant_id, name, states, after=after, limit=most)
