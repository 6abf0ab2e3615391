"""Take the next item, and hold it: the server keeps every rule, whatever a client believes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

from msgspec import Struct
from msgspec.structs import replace

from santral.db.engine import Connection, Engine, writing
from santral.errors import Conflict, NotAllowed
from santral.review import store as rows
from santral.review.content import for_rater, opened
from santral.review.item import Item, Shown, Task
from santral.review.known import known_item, known_queue
from santral.review.queue import Queue
from santral.review.rating import gold, store
from santral.secrets.sealer import Sealer
from santral.tenants.permission import Principal

#: A number from 0 to below 1: which item is gold, and which answer stands first.
Chance = Callable[[], float]
#: Items that others took first, before a rater is told to come again. Chosen.
_MOST_TRIES = 20


class Taken(Struct, frozen=True, kw_only=True):
    """An item as its rater sees it: nothing tells gold from the rest."""

    item_id: str
    kind: str
    shown: Shown
    leased_until: datetime
    expires_at: str = ""  # of a held answer: who waits for it waits until then
    waiting: int = 0  # further items that this rater could take


async def take_next(
    engine: Engine,
    sealer: Sealer | None,
    tenant: str,
    queue_name: str,
    now: datetime,
    *,
    by: Principal,
    chance: Chance,
) -> Taken | None:
    """Give a rater the item they hold, or lease them the next one; None when there is none.

    Raises:
        NotFound: no such queue.
        NotAllowed: no role that may rate, not one of the assigned raters, or paused for their accuracy.
        Conflict: the queue is paused.
    """
    async with writing(engine) as conn:
        queue = await known_queue(conn, tenant, queue_name, "review.rate", by=by)
        await _require_rater(conn, queue, by)
        until = now + timedelta(minutes=queue.settings.lease_minutes)
        found = await _resumed(conn, queue, by.name, now, until)
        if found is None:
            found = await _leased(conn, queue, by.name, now, until, chance)
        waiting = await store.count_waiting(
            conn, queue.tenant_id, queue.name, by.name, queue.settings.raters_per_item, now
        )
    if found is None:
        return None
    item, task = found
    return Taken(
        item_id=item.id,
        kind=item.kind,
        shown=for_rater(queue, await opened(sealer, item), task.shown),
        leased_until=until,
        expires_at=item.content.expires_at,
        waiting=waiting,
    )


async def renew(
    engine: Engine, tenant: str, queue_name: str, item_id: str, now: datetime, *, by: Principal
) -> datetime:
    """Hold an item for longer; return until when.

    Raises:
        NotFound: no such item.
        Conflict: it is not this rater's any more.
    """
    async with writing(engine) as conn:
        queue = await known_queue(conn, tenant, queue_name, "review.rate", by=by)
        item = await known_item(conn, queue, item_id, is_locked=True)
        task = await own_task(conn, item, by)
        until = now + timedelta(minutes=queue.settings.lease_minutes)
        await rows.update_task(conn, item.tenant_id, item.id, task.slot, {"leased_until": until})
    return until


async def own_task(conn: Connection, item: Item, by: Principal) -> Task:
    """Return the place that a rater holds of a locked item.

    Raises:
        Conflict: they hold none: it ran out and somebody else took it, or they have said all.
    """
    tasks = await rows.tasks_of(conn, item.tenant_id, item.id)
    mine = next((task for task in tasks if task.rater == by.name), None)
    if mine is not None and mine.state == "leased" and item.state == "open":
        return mine
    if mine is not None and mine.state == "done":
        raise Conflict("You have rated this item already.", code="already_rated")
    raise Conflict(
        "This item is not yours any more: your time for it ran out and another rater took it, or it "
        "was closed. Take the next one.",
        code="lease_lost",
    )


async def _require_rater(conn: Connection, queue: Queue, by: Principal) -> None:
    if queue.is_paused:
        raise Conflict(
            f"The queue '{queue.name}' is paused. Who keeps it can let it go on.",
            code="queue_paused",
        )
    settings = queue.settings
    if settings.access == "assigned" and by.name not in settings.raters:
        raise NotAllowed(
            f"The queue '{queue.name}' has raters of its own. Ask who keeps it to add {by.name}.",
            code="not_a_rater",
        )
    if settings.gold_floor and gold.is_surely_low(
        queue, (await gold.accuracies(conn, queue)).get(by.name)
    ):
        raise NotAllowed(
            f"You are paused in the queue '{queue.name}': too many of your ratings differ from "
            "what is known. Talk to who keeps it.",
            code="rater_paused",
        )


async def _resumed(
    conn: Connection, queue: Queue, rater: str, now: datetime, until: datetime
) -> tuple[Item, Task] | None:
    """Return the item that a rater holds, for longer."""
    held = await store.held_task(conn, queue.tenant_id, queue.name, rater)
    if held is None:
        return None
    item = await rows.find_item(conn, queue.tenant_id, held.item_id, is_locked=True)
    tasks = await rows.tasks_of(conn, queue.tenant_id, held.item_id)
    mine = next((t for t in tasks if t.rater == rater and t.state == "leased"), None)
    if item is None or item.state != "open" or mine is None:
        return None  # it went while we waited for it
    if item.gold is None and _filled(tasks, now, without=mine) >= queue.settings.raters_per_item:
        return None
    await rows.update_task(conn, item.tenant_id, item.id, mine.slot, {"leased_until": until})
    return item, replace(mine, leased_until=until)


async def _leased(
    conn: Connection, queue: Queue, rater: str, now: datetime, until: datetime, chance: Chance
) -> tuple[Item, Task] | None:
    """Lease the next item; gold at its share, where this rater has not met all of it."""
    wants_gold = chance() < queue.settings.gold_share
    for is_gold in (True, False) if wants_gold else (False,):
        tried: list[str] = []
        for _ in range(_MOST_TRIES):
            item = await store.next_item(
                conn, queue.tenant_id, queue.name, rater, queue.settings.raters_per_item, now,
                is_gold=is_gold, without=tried,
            )  # fmt: skip
            if item is None:
                break
            task = await _place(conn, queue, item, rater, now, until, chance)
            if task is not None:
                return item, task
            tried.append(item.id)
    return None


async def _place(
    conn: Connection,
    queue: Queue,
    item: Item,
    rater: str,
    now: datetime,
    until: datetime,
    chance: Chance,
) -> Task | None:
    """Lease a free place of a locked item; None when it was filled before the lock was ours."""
    tasks = await rows.tasks_of(conn, item.tenant_id, item.id)
    is_full = item.gold is None and _filled(tasks, now) >= queue.settings.raters_per_item
    if is_full or any(task.rater == rater for task in tasks):
        return None
    expired = next((task for task in tasks if task.slot > 0 and _is_free(task, now)), None)
    used = {task.slot for task in tasks}
    order = None if item.kind != "pair" else [0, 1] if chance() < 0.5 else [1, 0]
    task = Task(
        item_id=item.id,
        slot=expired.slot if expired else next(n for n in count(1) if n not in used),
        tenant_id=item.tenant_id,
        rater=rater,
        state="leased",
        leased_until=until,
        shown=order,
    )
    if expired is None:
        await rows.insert_task(conn, item.tenant_id, task)
    else:
        changed = {"rater": rater, "leased_until": until, "shown": order}
        await rows.update_task(conn, item.tenant_id, item.id, task.slot, changed)
    return task


def _is_free(task: Task, now: datetime) -> bool:
    return task.state == "leased" and task.leased_until is not None and task.leased_until <= now


def _filled(tasks: list[Task], now: datetime, without: Task | None = None) -> int:
    return sum(t.slot > 0 and not _is_free(t, now) for t in tasks if t is not without)
