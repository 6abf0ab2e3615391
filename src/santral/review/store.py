"""SQL of queues and of what is in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, delete, func, insert, select, update

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.tables import review_items, review_queues, review_tasks
from santral.review.item import Content, Item, ItemState, Task
from santral.review.queue import Progress, Queue, Settings

_QUEUE = [
    review_queues.c.tenant_id,
    review_queues.c.name,
    review_queues.c.settings,
    review_queues.c.cursor,
    review_queues.c.is_paused,
    review_queues.c.created_by,
    review_queues.c.created_at,
]
_ITEM = [review_items.c[name] for name in Item.__struct_fields__]
_TASK = [review_tasks.c[name] for name in Task.__struct_fields__]

# queues


async def insert_queue(conn: Connection, tenant_id: str, queue: Queue) -> bool:
    """Add a queue where there is none of its name; return whether it was added."""
    statement = upsert(conn, review_queues).values(
        tenant_id=tenant_id,
        name=queue.name,
        settings=msgspec.to_builtins(queue.settings),
        cursor=msgspec.to_builtins(queue.progress),
        is_paused=queue.is_paused,
        created_by=queue.created_by,
        created_at=queue.created_at,
    )
    return (await conn.execute(statement.on_conflict_do_nothing())).rowcount == 1


async def find_queue(conn: Connection, tenant_id: str, name: str) -> Queue | None:
    """Return a queue, or nothing."""
    statement = select(*_QUEUE).where(
        review_queues.c.tenant_id == tenant_id, review_queues.c.name == name
    )
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else _queue(row)


async def list_queues(conn: Connection, tenant_id: str | None) -> list[Queue]:
    """Return the queues of a tenant, or of all, by tenant and name."""
    statement = select(*_QUEUE).order_by(review_queues.c.tenant_id, review_queues.c.name)
    if tenant_id is not None:
        statement = statement.where(review_queues.c.tenant_id == tenant_id)
    return [_queue(row) for row in await conn.execute(statement)]


async def update_queue(
    conn: Connection, tenant_id: str, name: str, settings: Settings, *, is_paused: bool
) -> None:
    """Replace the settings of a queue."""
    await conn.execute(
        update(review_queues)
        .where(review_queues.c.tenant_id == tenant_id, review_queues.c.name == name)
        .values(settings=msgspec.to_builtins(settings), is_paused=is_paused)
    )


async def save_progress(conn: Connection, tenant_id: str, name: str, progress: Progress) -> None:
    """Write down how far a queue has looked."""
    await conn.execute(
        update(review_queues)
        .where(review_queues.c.tenant_id == tenant_id, review_queues.c.name == name)
        .values(cursor=msgspec.to_builtins(progress))
    )


async def delete_queue(conn: Connection, tenant_id: str, name: str) -> None:
    """Remove a queue with its items and all that was said of them."""
    items = select(review_items.c.id).where(
        review_items.c.tenant_id == tenant_id, review_items.c.queue == name
    )
    await conn.execute(
        delete(review_tasks).where(
            review_tasks.c.tenant_id == tenant_id, review_tasks.c.item_id.in_(items)
        )
    )
    await conn.execute(
        delete(review_items).where(
            review_items.c.tenant_id == tenant_id, review_items.c.queue == name
        )
    )
    await conn.execute(
        delete(review_queues).where(
            review_queues.c.tenant_id == tenant_id, review_queues.c.name == name
        )
    )


# items


async def insert_item(conn: Connection, tenant_id: str, item: Item) -> bool:
    """Add an item where its queue has none of its key; return whether it was added."""
    row = {**msgspec.structs.asdict(item), "content": _written(item.content)}
    statement = upsert(conn, review_items).values(**{**row, "tenant_id": tenant_id})
    return (await conn.execute(statement.on_conflict_do_nothing())).rowcount == 1


async def find_item(
    conn: Connection, tenant_id: str, item_id: str, *, is_locked: bool = False
) -> Item | None:
    """Return an item, or nothing; locked, nobody else changes it or its tasks until the end."""
    statement = select(*_ITEM).where(
        review_items.c.tenant_id == tenant_id, review_items.c.id == item_id
    )
    if is_locked:
        statement = statement.with_for_update()
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else item_of(row)


async def find_by_keys(
    conn: Connection, tenant_id: str, queue: str, keys: Collection[str]
) -> dict[str, Item]:
    """Return the items of a queue that are about ``keys``, by key."""
    statement = select(*_ITEM).where(
        review_items.c.tenant_id == tenant_id,
        review_items.c.queue == queue,
        review_items.c.key.in_(keys),
    )
    return {row.key: item_of(row) for row in await conn.execute(statement)}


async def list_items(
    conn: Connection,
    tenant_id: str,
    queue: str,
    states: Collection[ItemState],
    *,
    after: tuple[datetime, str] | None = None,
    limit: int,
) -> list[Item]:
    """Return items of a queue, the oldest first, after a moment and id."""
    statement = (
        select(*_ITEM)
        .where(review_items.c.tenant_id == tenant_id, review_items.c.queue == queue)
        .order_by(review_items.c.created_at, review_items.c.id)
        .limit(limit)
    )
    if states:
        statement = statement.where(review_items.c.state.in_(states))
    if after is not None:
        moment, last = after
        statement = statement.where(
            (review_items.c.created_at > moment)
            | ((review_items.c.created_at == moment) & (review_items.c.id > last))
        )
    return [item_of(row) for row in await conn.execute(statement)]


async def update_item(conn: Connection, tenant_id: str, item_id: str, **changed: Any) -> None:
    """Change what is known of an item."""
    if isinstance(changed.get("content"), Content):
        changed["content"] = _written(changed["content"])
    await conn.execute(
        update(review_items)
        .where(review_items.c.tenant_id == tenant_id, review_items.c.id == item_id)
        .values(**changed)
    )


async def count_items(conn: Connection, tenant_id: str) -> dict[str, dict[ItemState, int]]:
    """Return, by queue, how many items are in each state; gold is not counted."""
    statement = (
        select(review_items.c.queue, review_items.c.state, func.count())
        .where(review_items.c.tenant_id == tenant_id, review_items.c.gold.is_(None))
        .group_by(review_items.c.queue, review_items.c.state)
    )
    counted: dict[str, dict[ItemState, int]] = {}
    for queue, state, count in await conn.execute(statement):
        counted.setdefault(queue, {})[state] = count
    return counted


async def unscored(conn: Connection, tenant_id: str, limit: int) -> list[Item]:
    """Return items whose outcome was not made scores of their traces yet, the oldest first."""
    statement = (
        select(*_ITEM)
        .where(
            review_items.c.tenant_id == tenant_id,
            review_items.c.state == "done",
            review_items.c.scored_at.is_(None),
            review_items.c.trace_id != "",
            review_items.c.gold.is_(None),
        )
        .order_by(review_items.c.closed_at, review_items.c.id)
        .limit(limit)
    )
    return [item_of(row) for row in await conn.execute(statement)]


async def open_held(conn: Connection, tenant_id: str, queue: str) -> list[Item]:
    """Return items of a queue for which a caller waits."""
    statement = select(*_ITEM).where(
        review_items.c.tenant_id == tenant_id,
        review_items.c.queue == queue,
        review_items.c.state == "open",
        review_items.c.held_id != "",
    )
    return [item_of(row) for row in await conn.execute(statement)]


async def delete_items_before(
    conn: Connection, tenant_id: str, queue: str, before: datetime
) -> int:
    """Remove items of a queue, and what was said of them, that came before a moment."""
    old = (
        select(review_items.c.id)
        .where(review_items.c.tenant_id == tenant_id, review_items.c.queue == queue)
        .where(review_items.c.created_at < before, review_items.c.gold.is_(None))
        .where(
            (review_items.c.scored_at.is_not(None))
            | (review_items.c.state != "done")
            | (review_items.c.trace_id == "")
        )
    )
    ids = list((await conn.execute(old)).scalars())
    if not ids:
        return 0
    await conn.execute(
        delete(review_tasks).where(
            review_tasks.c.tenant_id == tenant_id, review_tasks.c.item_id.in_(ids)
        )
    )
    await conn.execute(
        delete(review_items).where(
            review_items.c.tenant_id == tenant_id, review_items.c.id.in_(ids)
        )
    )
    return len(ids)


# tasks


async def tasks_of(conn: Connection, tenant_id: str, item_id: str) -> list[Task]:
    """Return every part of an item, by slot."""
    statement = (
        select(*_TASK)
        .where(review_tasks.c.tenant_id == tenant_id, review_tasks.c.item_id == item_id)
        .order_by(review_tasks.c.slot)
    )
    return [task_of(row) for row in await conn.execute(statement)]


async def tasks_of_queue(conn: Connection, tenant_id: str, queue: str) -> dict[str, list[Task]]:
    """Return every part of a queue's items, by item and slot."""
    statement = (
        select(*_TASK)
        .join(review_items, review_items.c.id == review_tasks.c.item_id)
        .where(review_items.c.tenant_id == tenant_id, review_items.c.queue == queue)
        .order_by(review_tasks.c.item_id, review_tasks.c.slot)
    )
    found: dict[str, list[Task]] = {}
    for row in await conn.execute(statement):
        task = task_of(row)
        found.setdefault(task.item_id, []).append(task)
    return found


async def insert_task(conn: Connection, tenant_id: str, task: Task) -> None:
    """Give a person a place of an item; it must be free, and they must have none."""
    await conn.execute(
        insert(review_tasks), {**msgspec.structs.asdict(task), "tenant_id": tenant_id}
    )


async def update_task(
    conn: Connection, tenant_id: str, item_id: str, slot: int, changed: Mapping[str, Any]
) -> None:
    """Change a place of an item."""
    await conn.execute(
        update(review_tasks)
        .where(
            review_tasks.c.tenant_id == tenant_id,
            review_tasks.c.item_id == item_id,
            review_tasks.c.slot == slot,
        )
        .values(**changed)
    )


def item_of(row: Row[Any] | Sequence[Any]) -> Item:
    """Return the item of a row with the columns of :class:`Item`."""
    known = dict(zip(Item.__struct_fields__, row, strict=True))
    known["content"] = msgspec.convert(known["content"], Content)
    return Item(**known)


def task_of(row: Row[Any] | Sequence[Any]) -> Task:
    """Return the task of a row with the columns of :class:`Task`."""
    return Task(**dict(zip(Task.__struct_fields__, row, strict=True)))


def _queue(row: Row[Any]) -> Queue:
    return Queue(
        tenant_id=row.tenant_id,
        name=row.name,
        settings=msgspec.convert(row.settings, Settings),
        progress=msgspec.convert(row.cursor or {}, Progress),
        is_paused=row.is_paused,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def _written(content: Content) -> dict[str, Any]:
    return msgspec.to_builtins(content)
