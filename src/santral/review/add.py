"""Put single things into a queue: a trace that somebody wants judged, or two answers to compare."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from santral.audit.note import note
from santral.db.engine import Engine, reading, writing
from santral.errors import BadRequest, Conflict, NotFound
from santral.review import store
from santral.review.content import kept, shown_of
from santral.review.item import Content, Item, Said, Shown
from santral.review.known import known_queue
from santral.review.looking import store as lines_store
from santral.review.looking.look import Traces, item_id_of, new_item, trace_record
from santral.review.queue import Queue
from santral.secrets.sealer import Sealer
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId
from santral.traces.trouble import no_trace

#: What a person sent is judged before what rules took. Chosen.
_BY_HAND = 10
#: Who makes pairs: nobody's own words, so that whoever adds them may compare them, blind to the order.
_RUNS = "runs"
#: Pairs of one call. Chosen: each is a row.
MOST_PAIRS = 10_000


class Pair(Struct, frozen=True, kw_only=True):
    """Two answers to one question, a and b, and what each comes from."""

    key: str  # the same pair is never added twice
    said: list[Said]
    a: str
    b: str
    names: tuple[str, str] = ("a", "b")  # raters never see them


async def send_trace(
    engine: Engine,
    traces: Traces,
    tenant: str,
    queue_name: str,
    trace_id: str,
    now: datetime,
    *,
    by: Principal,
    reason: str = "",
) -> Item:
    """Put a trace into a queue by hand; it counts in no weighted rate, and its sender does not rate it.

    Raises:
        NotFound: no such queue or trace.
        NotAllowed: no role that may rate there, or that may read what was said.
        BadRequest: nothing was kept of what was said.
        Conflict: it is there already.
    """
    by.require("payloads.read", TenantId(tenant))
    async with reading(engine) as conn:
        queue = await known_queue(conn, tenant, queue_name, "review.read", by=by)
    lines = await traces.ask(
        lambda conn: lines_store.named_lines(conn, queue.tenant_id, [trace_id])
    )
    record = await trace_record(traces, queue.tenant_id, lines[0].n) if lines else None
    if record is None:
        raise NotFound(no_trace(trace_id))
    shown = shown_of(record, note=reason.strip())
    if shown is None:
        raise BadRequest(
            "Nothing was kept of what was said in this trace, so nobody can judge it. The tenant's "
            "logging policy decides: santral privacy payloads",
            code="no_payload",
        )
    item = await new_item(
        traces.sealer, queue, lines[0], shown, now, by=by.name,
        rules={}, rule="manual", probability=1.0, priority=_BY_HAND,
    )  # fmt: skip
    async with writing(engine) as conn:
        if not await store.insert_item(conn, queue.tenant_id, item):
            raise Conflict(
                f"The trace is in the queue '{queue.name}' already.", code="in_queue_already"
            )
        await note(
            conn, by.actor, "review.send", f"review_item:{item.id}",
            tenant_id=queue.tenant_id, after={"queue": queue.name, "trace": trace_id},
        )  # fmt: skip
    return item


async def add_pairs(
    engine: Engine,
    sealer: Sealer | None,
    tenant: str,
    queue_name: str,
    pairs: Sequence[Pair],
    now: datetime,
    *,
    by: Principal,
) -> int:
    """Put pairs of answers into a pairwise queue; return how many were new.

    Raises:
        NotFound: no such queue.
        NotAllowed: no role that may write it.
        BadRequest: it is no pairwise queue, or these are too many.
    """
    async with reading(engine) as conn:
        queue = await known_queue(conn, tenant, queue_name, "review.write", by=by)
    if queue.settings.mode != "pairwise":
        raise BadRequest(
            f"The queue '{queue.name}' compares nothing: make one with mode = pairwise.",
            param="queue",
        )
    if len(pairs) > MOST_PAIRS:
        raise BadRequest(f"Add {MOST_PAIRS} pairs at once at most.", param="pairs")
    items = [await _pair(sealer, queue, pair, now) for pair in pairs]
    async with writing(engine) as conn:
        added = sum([await store.insert_item(conn, queue.tenant_id, item) for item in items])
        await note(
            conn, by.actor, "review.add_pairs", f"queue:{queue.name}",
            tenant_id=queue.tenant_id, after={"pairs": added},
        )  # fmt: skip
    return added


async def _pair(sealer: Sealer | None, queue: Queue, pair: Pair, now: datetime) -> Item:
    key = f"pair:{pair.key}"[:160]
    item_id = item_id_of(queue, key)
    shown = Shown(said=pair.said, answers=[pair.a, pair.b])
    content = Content(shown=shown, names=list(pair.names))
    return Item(
        id=item_id,
        tenant_id=queue.tenant_id,
        queue=queue.name,
        kind="pair",
        key=key,
        trace_id="",
        content=await kept(sealer, queue.tenant_id, item_id, content),
        subject="",
        rule="pairwise",
        probability=1.0,
        gold=None,
        held_id="",
        state="open",
        outcome=None,
        priority=0,
        created_by=_RUNS,
        created_at=now,
    )
