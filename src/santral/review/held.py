"""Answers that wait for a person: they come before everything else, and end with a decision."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TypeAlias, get_args

from msgspec import Struct

from santral.db.engine import Engine, reading, writing
from santral.errors import BadRequest, Conflict
from santral.gateway.held.answer import Held, status_of
from santral.gateway.held.cabinet import HeldCabinet
from santral.gateway.held.decide import refuse, release
from santral.review import store
from santral.review.content import kept
from santral.review.item import Content, Item, Said, Shown
from santral.review.known import known_item, known_queue
from santral.review.label import Value, checked_labels
from santral.review.looking.look import RULES, item_id_of
from santral.review.queue import Queue
from santral.review.rating.take import own_task
from santral.review.seat import Seat
from santral.secrets.sealer import Sealer
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId
from santral.traces.readable import messages

Verb: TypeAlias = Literal["release", "replace", "refuse"]
VERBS: tuple[Verb, ...] = get_args(Verb)

#: Somebody waits for it: before what people sent, and what rules took. Chosen.
_URGENT = 100


class Decided(Struct, frozen=True, kw_only=True):
    """What a rater wants done with a held answer."""

    verb: Verb
    replacement: str = ""
    reason: str = ""


async def collect_held(
    engine: Engine,
    sealer: Sealer | None,
    cabinet: HeldCabinet,
    now: datetime,
    tenant: str | None = None,
) -> int:
    """Put answers that wait into the queues whose rules mean them, and close items whose answer waits
    no more; return how many came in."""
    async with reading(engine) as conn:
        queues = [
            queue
            for queue in await store.list_queues(conn, tenant)
            if any(rule.kind == "held" for rule in queue.settings.rules)
        ]
    made = 0
    for queue in queues:
        waiting = await _waiting(cabinet, queue, now)
        items = [await _item(sealer, queue, held, now) for held in waiting.values()]
        async with writing(engine) as conn:
            for item in items:
                if not queue.is_paused:
                    made += await store.insert_item(conn, queue.tenant_id, item)
            for item in await store.open_held(conn, queue.tenant_id, queue.name):
                if item.held_id not in waiting:
                    await store.update_item(
                        conn, queue.tenant_id, item.id, state="skipped", closed_at=now
                    )
    return made


async def decide_held(
    seat: Seat,
    tenant: str,
    queue_name: str,
    item_id: str,
    decided: Decided,
    labels: Mapping[str, object],
    now: datetime,
    *,
    by: Principal,
) -> str:
    """Release, replace or refuse the held answer of an item that a rater has; return its state.

    Labels may be left out: the caller waits. The audit log has the decision.

    Raises:
        NotFound: no such item.
        BadRequest: a refusal without a reason, a replacement without words, or a wrong label.
        Conflict: it is not this rater's, or somebody decided before.
    """
    _require_words(decided)
    async with writing(seat.engine) as conn:
        queue = await known_queue(conn, tenant, queue_name, "review.rate", by=by)
        item = await known_item(conn, queue, item_id, is_locked=True)
        if item.kind != "held":
            raise Conflict(f"Nobody waits for the item {item.id}: rate it.", code="not_held")
        task = await own_task(conn, item, by)
        said = checked_labels(queue.settings.labels, labels) if labels else dict[str, Value]()
    await _decide(seat, queue, item, decided, now, by)
    async with writing(seat.engine) as conn:
        changed = {
            "state": "done", "leased_until": None, "labels": said, "submitted_at": now,
            "comment": decided.reason or decided.verb,
        }  # fmt: skip
        await store.update_task(conn, item.tenant_id, item.id, task.slot, changed)
        await store.update_item(
            conn, item.tenant_id, item.id, state="done", outcome=said, closed_at=now
        )
    return "done"


async def _decide(
    seat: Seat, queue: Queue, item: Item, decided: Decided, now: datetime, by: Principal
) -> None:
    tenant, at = TenantId(queue.tenant_id), now.timestamp()
    if decided.verb == "refuse":
        await refuse(
            seat.cabinet, seat.engine, tenant, item.held_id, at, by=by, reason=decided.reason
        )
        return
    words = decided.replacement if decided.verb == "replace" else None
    await release(seat.cabinet, seat.engine, tenant, item.held_id, at, by=by, replacement=words)


def _require_words(decided: Decided) -> None:
    if decided.verb not in VERBS:
        raise BadRequest(f"Choose one of: {', '.join(VERBS)}.", param="decision")
    if decided.verb == "refuse" and not decided.reason.strip():
        raise BadRequest("Say why: the caller is told.", param="reason")
    if decided.verb == "replace" and not decided.replacement.strip():
        raise BadRequest("Write the answer that the caller gets instead.", param="replacement")


async def _waiting(cabinet: HeldCabinet, queue: Queue, now: datetime) -> dict[str, Held]:
    routes = {rule.route for rule in queue.settings.rules if rule.kind == "held"}
    found: dict[str, Held] = {}
    for held in await cabinet.list(queue.tenant_id):
        decision = await cabinet.decision(held.tenant_id, held.id)
        is_meant = "" in routes or held.route in routes
        if is_meant and status_of(held, decision, now.timestamp()) == "waiting":
            found[held.id] = held
    return found


async def _item(sealer: Sealer | None, queue: Queue, held: Held, now: datetime) -> Item:
    key = f"held:{held.id}"
    item_id = item_id_of(queue, key)
    shown = Shown(
        said=[Said(role, text) for role, text in messages(bytes(held.messages).decode())],
        answers=[held.text],
        passages=list(dict.fromkeys(source.document for source in held.sources)),
        note=held.reason,
    )
    expires = datetime.fromtimestamp(held.expires_at, UTC).isoformat()
    content = Content(rules={"held": 1.0}, shown=shown, expires_at=expires)
    return Item(
        id=item_id,
        tenant_id=queue.tenant_id,
        queue=queue.name,
        kind="held",
        key=key,
        trace_id=held.trace_id,
        content=await kept(sealer, queue.tenant_id, item_id, content),
        subject=held.user or (f"session:{held.session}" if held.session else ""),
        rule="held",
        probability=1.0,
        gold=None,
        held_id=held.id,
        state="open",
        outcome=None,
        priority=_URGENT,
        created_by=RULES,
        created_at=now,
    )
