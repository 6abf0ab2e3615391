"""``/api/review``: queues, rating, adjudication, reports and what is made of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from santral.review.add import MOST_PAIRS, Pair, add_pairs, send_trace
from santral.review.change import change_queue, create_queue, delete_queue
from santral.review.gold import make_gold
from santral.review.held import Decided, decide_held
from santral.review.item import Item, Said
from santral.review.known import MAX_ITEMS, QueueLine, list_items, list_queues, show_queue
from santral.review.looking.look import Traces
from santral.review.rating.submit import adjudicate, skip, submit
from santral.review.rating.take import renew, take_next
from santral.review.report.report import report_of
from santral.review.results import add_to_dataset, export
from santral.review.seat import Seat
from santral.review.start import start_look
from santral.tenants.key import RandomBytes
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT

_Tenant = Annotated[str, Query(max_length=128, description="Whose queues.")]
_Name = Annotated[str, Path(max_length=128, description="The queue.")]
_Id = Annotated[str, Path(max_length=64, description="The item.")]
_State = Annotated[
    list[Literal["open", "disputed", "done", "skipped"]] | None,
    Query(description="Only these states."),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(DEFAULT_TENANT, max_length=128, description="Whose queue.")


class NewQueue(_Body):
    """A queue to make."""

    name: str = Field(max_length=128, description="Letters, digits and . _ -")
    settings: dict[str, Any] = Field(
        description="labels, rules, raters_per_item, access, lease_minutes, gold_share, ..."
    )


class ChangedQueue(_Body):
    """What changes; a setting that is null goes back to its default."""

    settings: dict[str, Any] = Field(default_factory=dict[str, Any], description="Only these.")
    is_paused: bool | None = Field(None, description="Whether nobody is given items of it.")


class SentTrace(_Body):
    """A trace to be judged."""

    trace_id: str = Field(max_length=64, description="Its whole id, 32 hex digits.")
    reason: str = Field("", max_length=1000, description="What raters are told of it.")


class PairBody(BaseModel):
    """Two answers to one question."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(max_length=128, description="The same one is never added twice.")
    question: str = Field(max_length=100_000, description="What was asked.")
    a: str = Field(max_length=200_000, description="One answer.")
    b: str = Field(max_length=200_000, description="The other one.")
    names: tuple[str, str] = Field(
        ("a", "b"), description="Where they are from; raters do not see."
    )


class NewPairs(_Body):
    """Pairs to compare."""

    pairs: list[PairBody] = Field(max_length=MOST_PAIRS, description="At least one.")


class QueueBody(_Body):
    """Who asks for the next item: whoever holds the key."""


class RatingBody(_Body):
    """What a rater says of an item."""

    labels: dict[str, bool | int | float | str] = Field(
        default_factory=dict[str, "bool | int | float | str"],
        description="By label; a preference is first, second or tie as it was shown.",
    )
    comment: str = Field("", max_length=4000, description="Beside the labels.")
    seconds: float = Field(0.0, ge=0, description="How long it took.")
    decision: Literal["release", "replace", "refuse"] | None = Field(
        None, description="Of an answer that a caller waits for."
    )
    replacement: str = Field("", max_length=100_000, description="What the caller gets instead.")
    reason: str = Field("", max_length=1000, description="Of a refusal; the caller is told.")


class ReasonBody(_Body):
    """Why an item is given back."""

    reason: str = Field(max_length=1000, description="A word is enough.")


class AdjudicationBody(_Body):
    """What a third person decides."""

    labels: dict[str, bool | int | float | str] = Field(description="By label.")
    reason: str = Field("", max_length=4000, description="Why.")


class IntoDatasetBody(_Body):
    """Where closed items go."""

    dataset: str = Field(max_length=128, description="A data set that is there.")
    form: Literal["examples", "judged"] = Field("examples", description="judged: for a judge.")


class ReviewExportBody(_Body):
    """In which form closed items are wanted."""

    form: str = Field("examples", description="examples, judged, pairs or labels.")


def review_router(
    seat: Seat,
    traces: Traces,
    authorise: Authorise,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    rng: RandomBytes = secrets.token_bytes,
) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter(prefix="/api/review", tags=["review"])
    _add_queues(router, seat, authorise, clock, rng)
    _add_items(router, seat, traces, authorise, clock)
    _add_rating(router, seat, authorise, clock)
    _add_results(router, seat, authorise, clock)
    return router


def _add_queues(
    router: APIRouter,
    seat: Seat,
    authorise: Authorise,
    clock: Callable[[], datetime],
    rng: RandomBytes,
) -> None:
    engine = seat.engine
    reader: Any = Depends(authorise("review.read"))
    writer: Any = Depends(authorise("review.write"))

    @router.get("/queues")
    async def get_queues(
        tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> dict[str, Any]:
        """List the queues of a tenant."""
        return {"queues": [_queue(line) for line in await list_queues(engine, tenant_id, by=by)]}

    @router.post("/queues", status_code=201)
    async def post_queue(body: NewQueue, by: Principal = writer) -> dict[str, Any]:
        """Make a queue; its rules look at traces from now on."""
        made = await create_queue(
            engine, body.tenant_id, body.name, body.settings, clock(), by=by, rng=rng
        )
        return _queue(QueueLine(queue=made))

    @router.get("/queues/{name}")
    async def get_queue(
        name: _Name, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> dict[str, Any]:
        """Show one queue."""
        return _queue(await show_queue(engine, tenant_id, name, by=by))

    @router.patch("/queues/{name}")
    async def patch_queue(
        name: _Name, body: ChangedQueue, by: Principal = writer
    ) -> dict[str, Any]:
        """Change settings, pause it or let it go on."""
        await change_queue(
            engine, body.tenant_id, name, body.settings, by=by, now=clock(),
            is_paused=body.is_paused,
        )  # fmt: skip
        return _queue(await show_queue(engine, body.tenant_id, name, by=by))

    @router.delete("/queues/{name}")
    async def remove_queue(
        name: _Name,
        tenant_id: _Tenant = DEFAULT_TENANT,
        force: Annotated[bool, Query(description="Although it holds items.")] = False,
        by: Principal = writer,
    ) -> dict[str, Any]:
        """Delete a queue with its items and ratings."""
        gone = await delete_queue(engine, tenant_id, name, by=by, is_forced=force)
        return _queue(QueueLine(queue=gone))

    @router.post("/queues/{name}/look", status_code=202)
    async def post_look(name: _Name, body: QueueBody, by: Principal = writer) -> dict[str, Any]:
        """Look through new traces at once; returns the job."""
        job = await start_look(engine, body.tenant_id, name, clock(), by=by, rng=rng)
        return {"job": job.id, "state": job.state}

    del get_queues, post_queue, get_queue, patch_queue, remove_queue, post_look


def _add_items(
    router: APIRouter,
    seat: Seat,
    traces: Traces,
    authorise: Authorise,
    clock: Callable[[], datetime],
) -> None:
    engine = seat.engine
    reader: Any = Depends(authorise("review.read"))
    writer: Any = Depends(authorise("review.write"))

    @router.get("/queues/{name}/items")
    async def get_items(
        name: _Name,
        tenant_id: _Tenant = DEFAULT_TENANT,
        state: _State = None,
        limit: Annotated[int, Query(ge=1, le=MAX_ITEMS, description="Most items.")] = 50,
        by: Principal = reader,
    ) -> dict[str, Any]:
        """List items, the oldest first, gold too: for who keeps the queue."""
        found = await list_items(engine, tenant_id, name, tuple(state or ()), by=by, limit=limit)
        return {"items": [_item(item) for item in found]}

    @router.post("/queues/{name}/items", status_code=201)
    async def post_item(name: _Name, body: SentTrace, by: Principal = writer) -> dict[str, Any]:
        """Put a trace into the queue by hand."""
        made = await send_trace(
            engine, traces, body.tenant_id, name, body.trace_id, clock(), by=by,
            reason=body.reason,
        )  # fmt: skip
        return _item(made)

    @router.post("/queues/{name}/pairs", status_code=201)
    async def post_pairs(name: _Name, body: NewPairs, by: Principal = writer) -> dict[str, Any]:
        """Put pairs of answers into a pairwise queue."""
        pairs = [
            Pair(key=one.key, said=[Said("user", one.question)], a=one.a, b=one.b, names=one.names)
            for one in body.pairs
        ]
        added = await add_pairs(engine, seat.sealer, body.tenant_id, name, pairs, clock(), by=by)
        return {"added": added}

    @router.post("/queues/{name}/items/{id}/gold", status_code=201)
    async def post_gold(
        name: _Name, id: _Id, body: QueueBody, by: Principal = writer
    ) -> dict[str, Any]:
        """Make a hidden test item of a closed one."""
        return _item(await make_gold(engine, seat.sealer, body.tenant_id, name, id, by=by))

    @router.post("/queues/{name}/items/{id}/adjudicate")
    async def post_verdict(
        name: _Name, id: _Id, body: AdjudicationBody, by: Principal = reader
    ) -> dict[str, Any]:
        """Decide what raters disagree on, as a third person."""
        decided = await adjudicate(
            engine, body.tenant_id, name, id, body.labels, body.reason, clock(), by=by
        )
        return _item(decided)

    del get_items, post_item, post_pairs, post_gold, post_verdict


def _add_rating(
    router: APIRouter, seat: Seat, authorise: Authorise, clock: Callable[[], datetime]
) -> None:
    rater: Any = Depends(authorise("review.rate"))

    @router.post("/queues/{name}/next")
    async def post_next(name: _Name, body: QueueBody, by: Principal = rater) -> dict[str, Any]:
        """Take the next item, or the one that you hold; ``item`` is null when there is none."""
        taken = await take_next(
            seat.engine, seat.sealer, body.tenant_id, name, clock(), by=by, chance=seat.chance
        )
        return {"item": None if taken is None else msgspec.to_builtins(taken)}

    @router.post("/queues/{name}/items/{id}/renew")
    async def post_renew(
        name: _Name, id: _Id, body: QueueBody, by: Principal = rater
    ) -> dict[str, Any]:
        """Hold an item for longer."""
        until = await renew(seat.engine, body.tenant_id, name, id, clock(), by=by)
        return {"leased_until": until.isoformat()}

    @router.post("/queues/{name}/items/{id}/submit")
    async def post_rating(
        name: _Name, id: _Id, body: RatingBody, by: Principal = rater
    ) -> dict[str, Any]:
        """Say what you think of an item that you hold, or decide about an answer that waits."""
        if body.decision is not None:
            decided = Decided(verb=body.decision, replacement=body.replacement, reason=body.reason)
            state = await decide_held(
                seat, body.tenant_id, name, id, decided, body.labels, clock(), by=by
            )
        else:
            state = await submit(
                seat.engine, body.tenant_id, name, id, body.labels, clock(), by=by,
                comment=body.comment, seconds=body.seconds,
            )  # fmt: skip
        return {"state": state}

    @router.post("/queues/{name}/items/{id}/skip")
    async def post_skip(
        name: _Name, id: _Id, body: ReasonBody, by: Principal = rater
    ) -> dict[str, Any]:
        """Give an item back; you do not meet it again."""
        state = await skip(seat.engine, body.tenant_id, name, id, body.reason, clock(), by=by)
        return {"state": state}

    del post_next, post_renew, post_rating, post_skip


def _add_results(
    router: APIRouter, seat: Seat, authorise: Authorise, clock: Callable[[], datetime]
) -> None:
    reader: Any = Depends(authorise("review.read"))
    writer: Any = Depends(authorise("review.write"))

    @router.get("/queues/{name}/report")
    async def get_report(
        name: _Name, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> dict[str, Any]:
        """Return agreement, raters, disagreements, and rates of all traffic with intervals."""
        made = await report_of(seat.engine, tenant_id, name, by=by, rng=np.random.default_rng(0))
        return msgspec.to_builtins(made)

    @router.post("/queues/{name}/export")
    async def post_export(
        name: _Name, body: ReviewExportBody, by: Principal = writer
    ) -> dict[str, Any]:
        """Return closed items as examples, for a judge, as pairs to train on, or as plain labels."""
        rows = await export(seat.engine, seat.sealer, body.tenant_id, name, body.form, by=by)
        return {"rows": rows}

    @router.post("/queues/{name}/dataset")
    async def post_dataset(
        name: _Name, body: IntoDatasetBody, by: Principal = writer
    ) -> dict[str, Any]:
        """Put closed items into a data set."""
        changed = await add_to_dataset(
            seat.engine, seat.sealer, body.tenant_id, name, body.dataset, clock(), by=by,
            form=body.form,
        )  # fmt: skip
        return msgspec.to_builtins(changed)

    del get_report, post_export, post_dataset


def _queue(line: QueueLine) -> dict[str, Any]:
    queue = line.queue
    settings: dict[str, Any] = msgspec.to_builtins(queue.settings)
    settings.pop("salt", None)
    return {
        "tenant_id": queue.tenant_id,
        "name": queue.name,
        "settings": settings,
        "is_paused": queue.is_paused,
        "items": dict(line.counts),
        "progress": msgspec.to_builtins(queue.progress),
        "created_by": queue.created_by,
        "created_at": queue.created_at.isoformat(),
    }


def _item(item: Item) -> dict[str, Any]:
    """Return what is known of an item but for what was said: raters and exports see that."""
    return {
        "id": item.id,
        "kind": item.kind,
        "trace_id": item.trace_id,
        "rule": item.rule,
        "probability": item.probability,
        "gold": item.gold,
        "state": item.state,
        "outcome": item.outcome,
        "created_by": item.created_by,
        "created_at": item.created_at.isoformat(),
        "closed_at": None if item.closed_at is None else item.closed_at.isoformat(),
        "scored_at": None if item.scored_at is None else item.scored_at.isoformat(),
    }
