"""``/api/ledger``: what was spent, invoices, and what a proof reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Protocol

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from santral.db.engine import Engine
from santral.quota.ledger.showback import Month, invoice
from santral.quota.ledger.write import show_ledger
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT, EVERYWHERE, TenantId
from santral.traces.question import BilledAttempt
from santral.traces.whose import Whose

#: Attempts in one answer at most. Chosen: more than begin in a second.
_MOST = 1_000_000


class Attempts(Protocol):
    """Gives the attempts that traces know of."""

    async def billed(
        self, whose: Whose, since_us: int, until_us: int, limit: int
    ) -> Sequence[BilledAttempt]: ...


class SpentBody(BaseModel):
    """What was used on one day by one route and model."""

    day: date
    route: str
    model: str
    attempts: int
    tokens: int
    cost_nanousd: int = Field(description="In 10^-9 USD, corrections included.")
    unpriced: int = Field(description="Attempts without a known price: the cost is a lower bound.")
    estimated: int = Field(description="Attempts whose tokens Santral counted itself.")


class SpentList(BaseModel):
    """What a tenant used, the latest day first."""

    spent: list[SpentBody]


def ledger_router(engine: Engine, attempts: Attempts, authorise: Authorise) -> APIRouter:
    """Return the endpoints; ``attempts`` is the store of traces."""
    router = APIRouter(prefix="/api/ledger", tags=["ledger"])
    reader: Any = Depends(authorise("ledger.read"))

    @router.get("")
    async def get_ledger(
        tenant_id: Annotated[str, Query(description="Whose.")] = DEFAULT_TENANT,
        day: Annotated[date | None, Query(description="One UTC day; default all.")] = None,
        by: Principal = reader,
    ) -> SpentList:
        """Show what a tenant used by day, route and model."""
        rows = await show_ledger(engine, tenant_id, day, by=by)
        return SpentList(
            spent=[
                SpentBody(day=on, route=route, model=model, **msgspec.structs.asdict(sums))
                for on, route, model, sums in rows
            ]
        )

    @router.get("/invoice")
    async def get_invoice(
        month: Annotated[str, Query(description="Of UTC days, as 2026-11.")],
        tenant_id: Annotated[str, Query(description="Whose.")] = DEFAULT_TENANT,
        by: Principal = reader,
    ) -> Response:
        """Return what a tenant and those beneath it pay for a month, by model."""
        made = await invoice(engine, tenant_id, Month.parse(month), by=by)
        return Response(msgspec.json.encode(made), media_type="application/json")

    @router.get("/attempts")
    async def get_attempts(
        since_us: Annotated[int, Query(ge=0, description="From when on, microseconds since 1970.")],
        until_us: Annotated[int, Query(ge=0, description="Until before when.")],
        tenant: Annotated[str, Query(description="Id of one tenant; default every tenant.")] = "",
        limit: Annotated[int, Query(ge=1, description="Most attempts.")] = 20_000,
        by: Principal = reader,
    ) -> Response:
        """Return what traces say of attempts that used something: ``santral ledger verify`` asks."""
        by.require("ledger.read", TenantId(tenant) if tenant else EVERYWHERE)
        found = await attempts.billed(tenant or None, since_us, until_us, min(limit, _MOST))
        return Response(msgspec.json.encode(found), media_type="application/json")

    del get_ledger, get_invoice, get_attempts  # the router holds them
    return router
