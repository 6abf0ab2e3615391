"""Make closed items the hidden test of those who rate after."""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from santral.audit.note import note
from santral.db.engine import Engine, writing
from santral.errors import Conflict
from santral.review import store
from santral.review.content import kept, opened
from santral.review.item import Content, Item
from santral.review.known import known_item, known_queue
from santral.secrets.sealer import Sealer
from santral.tenants.permission import Principal


async def make_gold(
    engine: Engine,
    sealer: Sealer | None,
    tenant: str,
    queue_name: str,
    item_id: str,
    *,
    by: Principal,
) -> Item:
    """Copy a closed item as gold: its outcome is the answer that raters are measured by.

    Who rated the item, or decided it, does not meet the copy.

    Raises:
        NotFound: no such item.
        NotAllowed: no role that may write the queue.
        Conflict: it is not closed with an outcome, or it is gold already.
    """
    async with writing(engine) as conn:
        queue = await known_queue(conn, tenant, queue_name, "review.write", by=by)
        item = await known_item(conn, queue, item_id)
        tasks = await store.tasks_of(conn, item.tenant_id, item.id)
    texts = {label.name for label in queue.settings.labels if label.kind == "text"}
    answer = {k: v for k, v in (item.outcome or {}).items() if k not in texts}
    if item.state != "done" or not answer or item.gold is not None:
        raise Conflict(
            f"The item {item.id} is {item.state}: only one that is done, with an outcome, can be gold.",
            code="not_done",
        )
    gold_id = "rvw_" + hashlib.sha256(f"gold {item.id}".encode()).hexdigest()[:24]
    shown = await opened(sealer, item)
    content = await kept(sealer, item.tenant_id, gold_id, Content(shown=shown))
    gold = replace(
        item, id=gold_id, key=f"gold:{item.id}"[:160], content=content, gold=answer, state="open",
        outcome=None, held_id="", priority=0, created_by=by.name, closed_at=None, scored_at=None,
    )  # fmt: skip
    async with writing(engine) as conn:
        if not await store.insert_item(conn, item.tenant_id, gold):
            raise Conflict(f"The item {item.id} is gold already.", code="is_gold_already")
        for number, task in enumerate(tasks, 1):
            seen = replace(
                task, item_id=gold_id, slot=-number, state="skipped", labels=None, comment="",
                leased_until=None, seconds=0.0,
            )  # fmt: skip
            await store.insert_task(conn, item.tenant_id, seen)
        await note(
            conn, by.actor, "review.gold", f"review_item:{gold_id}",
            tenant_id=item.tenant_id, after={"queue": queue.name, "of": item.id},
        )  # fmt: skip
    return gold
