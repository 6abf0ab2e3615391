"""Make, change and delete queues: the same for command line, API and console."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from santral.audit.note import note
from santral.db.engine import Connection, Engine, writing
from santral.errors import Conflict
from santral.review import store
from santral.review.known import known_queue
from santral.review.queue import Progress, Queue, Settings, checked_name, parse_settings
from santral.review.rating.settle import settle
from santral.tenants.key import RandomBytes
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

#: Queues of one tenant: each looks through its traces. Chosen.
_MOST_QUEUES = 100


async def create_queue(
    engine: Engine,
    tenant: str,
    name: str,
    settings: Mapping[str, Any],
    now: datetime,
    *,
    by: Principal,
    rng: RandomBytes,
) -> Queue:
    """Make a queue; its rules look at traces from now on.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may write queues there.
        BadRequest: a name or a setting that means nothing.
        Conflict: there is one of this name.
    """
    by.require("review.write", TenantId(tenant))
    checked = replace(parse_settings(settings), salt=rng(8).hex())
    now_us = int(now.timestamp() * 1e6)
    async with writing(engine) as conn:
        owner = await known_tenant(conn, tenant)
        if len(await store.list_queues(conn, owner.id)) >= _MOST_QUEUES:
            raise Conflict(
                f"The tenant '{owner.id}' has {_MOST_QUEUES} queues. Delete one first.",
                code="too_many_queues",
            )
        queue = Queue(
            tenant_id=owner.id,
            name=checked_name(name),
            settings=checked,
            progress=Progress(since_us=now_us, scores_us=now_us),
            is_paused=False,
            created_by=by.name,
            created_at=now,
        )
        if not await store.insert_queue(conn, owner.id, queue):
            raise Conflict(f"There is a queue '{name}' already.", code="queue_exists")
        await note(
            conn, by.actor, "review.create", f"queue:{name}",
            tenant_id=owner.id, after=written(checked),
        )  # fmt: skip
    return queue


async def change_queue(
    engine: Engine,
    tenant: str,
    name: str,
    changes: Mapping[str, Any],
    *,
    by: Principal,
    now: datetime,
    is_paused: bool | None = None,
) -> Queue:
    """Change settings; one that is null goes back to its default. Items that fewer raters now
    complete are closed.

    Raises:
        NotFound: no such queue.
        NotAllowed: no role that may write it.
        BadRequest: a setting means nothing.
    """
    async with writing(engine) as conn:
        before = await known_queue(conn, tenant, name, "review.write", by=by)
        asked = {**msgspec.to_builtins(before.settings), **changes}
        kept = parse_settings({key: value for key, value in asked.items() if value is not None})
        kept = replace(kept, salt=before.settings.salt)
        paused = before.is_paused if is_paused is None else is_paused
        await store.update_queue(conn, before.tenant_id, name, kept, is_paused=paused)
        after = replace(before, settings=kept, is_paused=paused)
        if kept.raters_per_item < before.settings.raters_per_item:
            await _settle_all(conn, after, now)
        await note(
            conn, by.actor, "review.change", f"queue:{name}", tenant_id=before.tenant_id,
            before={**written(before.settings), "is_paused": before.is_paused},
            after={**written(kept), "is_paused": paused},
        )  # fmt: skip
    return after


async def delete_queue(
    engine: Engine, tenant: str, name: str, *, by: Principal, is_forced: bool = False
) -> Queue:
    """Delete a queue with its items and all that was said of them.

    Raises:
        NotFound: no such queue.
        NotAllowed: no role that may write it.
        Conflict: it holds items, and nobody has said that they may go.
    """
    async with writing(engine) as conn:
        queue = await known_queue(conn, tenant, name, "review.write", by=by)
        count = sum((await store.count_items(conn, queue.tenant_id)).get(name, {}).values())
        if count and not is_forced:
            raise Conflict(
                f"The queue '{name}' holds {count} items. They go with it: say force.",
                code="queue_not_empty",
            )
        await store.delete_queue(conn, queue.tenant_id, name)
        await note(
            conn, by.actor, "review.delete", f"queue:{name}",
            tenant_id=queue.tenant_id, before={"items": count},
        )  # fmt: skip
    return queue


def written(settings: Settings) -> dict[str, Any]:
    """Return what differs from the defaults, as JSON; the salt stays out."""
    return msgspec.to_builtins(replace(settings, salt=""))


async def _settle_all(conn: Connection, queue: Queue, now: datetime) -> None:
    for item_id in await store.tasks_of_queue(conn, queue.tenant_id, queue.name):
        item = await store.find_item(conn, queue.tenant_id, item_id, is_locked=True)
        if item is not None:
            await settle(conn, queue, item, now)
