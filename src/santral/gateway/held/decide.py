"""What reviewers do with held answers: see them, release, replace or refuse them; each act is noted."""

from __future__ import annotations

from msgspec import Struct

from santral.audit.note import note
from santral.db.engine import Engine, writing
from santral.errors import BadRequest, Conflict, NotFound
from santral.gateway.held.answer import Decision, Held, Status, status_of
from santral.gateway.held.cabinet import HeldCabinet
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

#: Longest reason and replacement. Chosen.
MOST_REASON, MOST_REPLACEMENT = 1000, 100_000


class HeldAnswer(Struct, frozen=True, kw_only=True):
    """A held answer as its reviewer sees it."""

    held: Held
    status: Status
    decision: Decision | None = None


async def list_held(
    cabinet: HeldCabinet,
    tenant_id: TenantId,
    now: float,
    *,
    by: Principal,
    only_waiting: bool = True,
) -> list[HeldAnswer]:
    """Return the held answers of a tenant, the newest first.

    Raises:
        NotAllowed: none of its roles there allows it.
    """
    by.require("review.read", tenant_id)
    found = [await _seen(cabinet, held, now) for held in await cabinet.list(tenant_id)]
    return [one for one in found if one.status == "waiting" or not only_waiting]


async def read_held(
    cabinet: HeldCabinet, tenant_id: TenantId, held_id: str, now: float, *, by: Principal
) -> HeldAnswer:
    """Return one held answer.

    Raises:
        NotFound: there is none.
        NotAllowed: none of its roles there allows it.
    """
    by.require("review.read", tenant_id)
    return await _find(cabinet, tenant_id, held_id, now)


async def release(
    cabinet: HeldCabinet,
    engine: Engine,
    tenant_id: TenantId,
    held_id: str,
    now: float,
    *,
    by: Principal,
    replacement: str | None = None,
) -> Decision:
    """Let an answer go to its caller, or ``replacement`` in its place.

    Raises:
        NotFound: there is none.
        Conflict: it was decided before, or is over its time.
        NotAllowed: none of its roles there allows it.
    """
    if replacement is not None and not 0 < len(replacement) <= MOST_REPLACEMENT:
        raise BadRequest(
            f"A replacement has 1 to {MOST_REPLACEMENT} characters.", param="replacement"
        )
    status = "released" if replacement is None else "replaced"
    decision = Decision(status=status, by=by.name, at=now, replacement=replacement)
    return await _decide(cabinet, engine, tenant_id, held_id, decision, by)


async def refuse(
    cabinet: HeldCabinet,
    engine: Engine,
    tenant_id: TenantId,
    held_id: str,
    now: float,
    *,
    by: Principal,
    reason: str,
) -> Decision:
    """Keep an answer from its caller, who is told ``reason``; raises as ``release``."""
    if len(reason) > MOST_REASON:
        raise BadRequest(f"A reason has at most {MOST_REASON} characters.", param="reason")
    decision = Decision(status="refused", by=by.name, at=now, reason=reason)
    return await _decide(cabinet, engine, tenant_id, held_id, decision, by)


async def _decide(
    cabinet: HeldCabinet,
    engine: Engine,
    tenant_id: TenantId,
    held_id: str,
    decision: Decision,
    by: Principal,
) -> Decision:
    by.require("review.rate", tenant_id)
    found = await _find(cabinet, tenant_id, held_id, decision.at)
    if found.status != "waiting":
        raise Conflict(f"{held_id} is {found.status}: it waits no more.", code="held_decided")
    async with writing(engine) as conn:
        await note(
            conn,
            by.actor,
            f"held.{_ACTS[decision.status]}",
            held_id,
            tenant_id=tenant_id,
            after={"status": decision.status, "trace_id": found.held.trace_id},
        )
        await cabinet.decide(found.held, decision)  # one that was there before undoes the row
    return decision


_ACTS = {"released": "release", "replaced": "replace", "refused": "refuse"}


async def _find(cabinet: HeldCabinet, tenant_id: TenantId, held_id: str, now: float) -> HeldAnswer:
    held = await cabinet.get(tenant_id, held_id, float("inf"))
    if held is None:
        raise NotFound(f"There is no held answer '{held_id[:128]}'.", param="id")
    return await _seen(cabinet, held, now)


async def _seen(cabinet: HeldCabinet, held: Held, now: float) -> HeldAnswer:
    decision = await cabinet.decision(held.tenant_id, held.id)
    return HeldAnswer(held=held, status=status_of(held, decision, now), decision=decision)
