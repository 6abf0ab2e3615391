"""What a rater says of an item they hold, or that they give it back; and a third person's word."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from santral.audit.note import note
from santral.db.engine import Engine, writing
from santral.errors import BadRequest, Conflict, NotAllowed
from santral.review import store
from santral.review.item import ADJUDICATOR, Item, Task
from santral.review.known import known_item, known_queue
from santral.review.label import LONGEST_TEXT, Value, checked_labels
from santral.review.queue import Queue
from santral.review.rating.settle import settle
from santral.review.rating.take import own_task
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

#: Seconds that count for one item at most: who left for lunch did not judge that long. Chosen.
_MOST_SECONDS = 3600.0


async def submit(
    engine: Engine,
    tenant: str,
    queue_name: str,
    item_id: str,
    labels: Mapping[str, object],
    now: datetime,
    *,
    by: Principal,
    comment: str = "",
    seconds: float = 0.0,
) -> str:
    """Keep what a rater says of the item they hold; return the item's state.

    A preference is ``first``, ``second`` or ``tie`` as it was shown, or ``a`` or ``b`` by the answer.
    The row is the record: who, what, when and how long; the audit log has no further one.

    Raises:
        NotFound: no such item.
        BadRequest: a label is missing, unknown or has no such value.
        Conflict: it is not this rater's any more, or they have rated it.
    """
    async with writing(engine) as conn:
        queue = await known_queue(conn, tenant, queue_name, "review.rate", by=by)
        item = await known_item(conn, queue, item_id, is_locked=True)
        task = await own_task(conn, item, by)
        if item.held_id:
            raise BadRequest(
                "A caller waits for this answer: release, replace or refuse it.",
                param="decision",
                code="decision_missing",
            )
        said = checked_labels(queue.settings.labels, _canonical(queue, labels, task.shown))
        changed = {
            "state": "done",
            "leased_until": None,
            "labels": said,
            "comment": _text(comment),
            "seconds": min(max(seconds, 0.0), _MOST_SECONDS),
            "submitted_at": now,
        }
        await store.update_task(conn, item.tenant_id, item.id, task.slot, changed)
        return await settle(conn, queue, item, now)


async def skip(
    engine: Engine,
    tenant: str,
    queue_name: str,
    item_id: str,
    reason: str,
    now: datetime,
    *,
    by: Principal,
) -> str:
    """Give an item back with a reason; its rater does not meet it again. Return the item's state.

    Raises:
        NotFound: no such item.
        BadRequest: there is no reason.
        Conflict: it is not this rater's any more.
    """
    if not reason.strip():
        raise BadRequest("Say why: a word is enough.", param="reason")
    async with writing(engine) as conn:
        queue = await known_queue(conn, tenant, queue_name, "review.rate", by=by)
        item = await known_item(conn, queue, item_id, is_locked=True)
        task = await own_task(conn, item, by)
        tasks = await store.tasks_of(conn, item.tenant_id, item.id)
        changed = {
            "slot": min(0, *(one.slot for one in tasks)) - 1,
            "state": "skipped",
            "leased_until": None,
            "comment": _text(reason),
            "submitted_at": now,
        }
        await store.update_task(conn, item.tenant_id, item.id, task.slot, changed)
        return await settle(conn, queue, item, now)


async def adjudicate(
    engine: Engine,
    tenant: str,
    queue_name: str,
    item_id: str,
    labels: Mapping[str, object],
    reason: str,
    now: datetime,
    *,
    by: Principal,
) -> Item:
    """Decide what raters disagree on; return the item with its outcome.

    Raises:
        NotFound: no such item.
        NotAllowed: who decides has rated it, made it, or is no adjudicator.
        BadRequest: a label is missing, or has no such value.
        Conflict: raters do not disagree on it.
    """
    async with writing(engine) as conn:
        queue = await known_queue(conn, tenant, queue_name, "review.read", by=by)
        require_adjudicator(queue, by)
        item = await known_item(conn, queue, item_id, is_locked=True)
        if item.state != "disputed":
            raise Conflict(
                f"The item {item.id} is {item.state}: nothing waits for a decision.",
                code="not_disputed",
            )
        tasks = await store.tasks_of(conn, item.tenant_id, item.id)
        if item.created_by == by.name or any(task.rater == by.name for task in tasks):
            raise NotAllowed(
                "A third person decides: you have rated this item, or brought it here.",
                code="not_a_third_person",
            )
        said = checked_labels(queue.settings.labels, _canonical(queue, labels, None))
        task = Task(
            item_id=item.id, slot=ADJUDICATOR, tenant_id=item.tenant_id, rater=by.name,
            state="done", labels=said, comment=_text(reason), submitted_at=now,
        )  # fmt: skip
        await store.insert_task(conn, item.tenant_id, task)
        await store.update_item(
            conn, item.tenant_id, item.id, state="done", outcome=said, closed_at=now
        )
        await note(
            conn, by.actor, "review.adjudicate", f"review_item:{item.id}",
            tenant_id=item.tenant_id, after={"queue": queue.name, "labels": _noted(queue, said)},
        )  # fmt: skip
    return replace(item, state="done", outcome=said, closed_at=now)


def require_adjudicator(queue: Queue, by: Principal) -> None:
    """Return when somebody may decide in a queue: who keeps it, and whom it names.

    Raises:
        NotAllowed: neither.
    """
    tenant = TenantId(queue.tenant_id)
    is_named = by.name in queue.settings.adjudicators and by.may("review.rate", tenant)
    if not is_named:
        by.require("review.write", tenant)


def _canonical(
    queue: Queue, labels: Mapping[str, object], order: list[int] | None
) -> dict[str, object]:
    """Return labels with preferences by answer, not by the place in which it was shown."""
    names = {one.name for one in queue.settings.labels if one.kind == "preference"}
    first, second = ("b", "a") if order == [1, 0] else ("a", "b")
    told = {"first": first, "second": second}
    return {
        name: told.get(str(value), value) if name in names else value
        for name, value in labels.items()
    }


def _noted(queue: Queue, said: Mapping[str, Value]) -> dict[str, Value]:
    """Return labels without texts: the audit log keeps no words about people."""
    texts = {one.name for one in queue.settings.labels if one.kind == "text"}
    return {name: value for name, value in said.items() if name not in texts}


def _text(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise BadRequest(f"The comment is longer than {LONGEST_TEXT} characters.", param="comment")
    return text.strip()
