"""SQL of what raters take."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, or_, select

from santral.db.engine import Connection
from santral.db.tables import review_items, review_tasks
from santral.review.item import Item, Task
from santral.review.store import item_of, task_of

_ITEM = [review_items.c[name] for name in Item.__struct_fields__]
_TASK = [review_tasks.c[name] for name in Task.__struct_fields__]


async def held_task(conn: Connection, tenant_id: str, queue: str, rater: str) -> Task | None:
    """Return the place of an open item of a queue that a rater has leased, run out or not."""
    statement = (
        select(*_TASK)
        .join(review_items, review_items.c.id == review_tasks.c.item_id)
        .where(
            review_tasks.c.tenant_id == tenant_id,
            review_tasks.c.rater == rater,
            review_tasks.c.state == "leased",
            review_items.c.queue == queue,
            review_items.c.state == "open",
        )
        .limit(1)
    )
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else task_of(row)


async def next_item(
    conn: Connection,
    tenant_id: str,
    queue: str,
    rater: str,
    raters_per_item: int,
    now: datetime,
    *,
    is_gold: bool,
    without: Collection[str],
) -> Item | None:
    """Return an open item with a free place that a rater may take, locked: the most urgent, then the
    oldest. Gold has a place for everybody."""
    parts = review_tasks.alias()
    taken = (
        select(func.count())
        .select_from(parts)
        .where(parts.c.tenant_id == tenant_id, parts.c.item_id == review_items.c.id)
        .where(parts.c.slot > 0, or_(parts.c.state == "done", parts.c.leased_until > now))
        .scalar_subquery()
    )
    met = select(review_tasks.c.item_id).where(
        review_tasks.c.tenant_id == tenant_id, review_tasks.c.rater == rater
    )
    statement = (
        select(*_ITEM)
        .where(
            review_items.c.tenant_id == tenant_id,
            review_items.c.queue == queue,
            review_items.c.state == "open",
            review_items.c.created_by != rater,
            review_items.c.id.not_in(met),
            review_items.c.id.not_in(list(without)),
        )
        .order_by(review_items.c.priority.desc(), review_items.c.created_at, review_items.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)  # PostgreSQL; SQLite's writers come one after the other
    )
    if is_gold:
        statement = statement.where(review_items.c.gold.is_not(None))
    else:
        statement = statement.where(review_items.c.gold.is_(None), taken < raters_per_item)
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else item_of(row)


async def gold_of(conn: Connection, tenant_id: str, queue: str) -> list[tuple[Task, Item]]:
    """Return what raters said of gold items, with the items, the oldest first."""
    width = len(_TASK)
    statement = (
        select(*_TASK, *_ITEM)
        .join(review_items, review_items.c.id == review_tasks.c.item_id)
        .where(
            review_tasks.c.tenant_id == tenant_id,
            review_items.c.queue == queue,
            review_items.c.gold.is_not(None),
            review_tasks.c.state == "done",
        )
        .order_by(review_tasks.c.submitted_at)
    )
    rows = [tuple(row) for row in await conn.execute(statement)]
    return [(task_of(row[:width]), item_of(row[width:])) for row in rows]


async def count_waiting(
    conn: Connection, tenant_id: str, queue: str, rater: str, raters_per_item: int, now: datetime
) -> int:
    """Return how many items of a queue a rater could still take."""
    parts = review_tasks.alias()
    taken = (
        select(func.count())
        .select_from(parts)
        .where(parts.c.tenant_id == tenant_id, parts.c.item_id == review_items.c.id)
        .where(parts.c.slot > 0, or_(parts.c.state == "done", parts.c.leased_until > now))
        .scalar_subquery()
    )
    met = select(review_tasks.c.item_id).where(
        review_tasks.c.tenant_id == tenant_id, review_tasks.c.rater == rater
    )
    statement = (
        select(func.count())
        .select_from(review_items)
        .where(
            review_items.c.tenant_id == tenant_id,
            review_items.c.queue == queue,
            review_items.c.state == "open",
            review_items.c.gold.is_(None),
            review_items.c.created_by != rater,
            review_items.c.id.not_in(met),
            taken < raters_per_item,
        )
    )
    return (await conn.execute(statement)).scalar_one()
