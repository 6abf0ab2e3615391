"""What becomes of an item when its raters have spoken."""

from __future__ import annotations

from datetime import datetime

from santral.db.engine import Connection
from santral.review import store
from santral.review.item import Item
from santral.review.label import agreed
from santral.review.queue import Queue


async def settle(conn: Connection, queue: Queue, item: Item, now: datetime) -> str:
    """Close an open, locked item whose places are full, or set it aside; return its state.

    Where raters disagree it waits for a third person, unless the queue does without. One that too many
    gave back, and that nobody is at, is set aside.
    """
    if item.state != "open" or item.gold is not None:
        return item.state
    settings = queue.settings
    tasks = await store.tasks_of(conn, item.tenant_id, item.id)
    done = [task.labels or {} for task in tasks if task.state == "done" and task.slot > 0]
    if len(done) >= settings.raters_per_item:
        outcome, disputed = agreed(settings.labels, done, settings.beyond)
        if disputed and settings.adjudication == "on_disagreement":
            await store.update_item(conn, item.tenant_id, item.id, state="disputed")
            return "disputed"
        await store.update_item(
            conn, item.tenant_id, item.id, state="done", outcome=outcome, closed_at=now
        )
        return "done"
    skipped = sum(task.state == "skipped" for task in tasks)
    is_alone = not done and not any(
        task.state == "leased" and task.leased_until and task.leased_until > now for task in tasks
    )
    if skipped >= settings.skips and is_alone:
        await store.update_item(conn, item.tenant_id, item.id, state="skipped", closed_at=now)
        return "skipped"
    return "open"
