"""``/api/limits``: the admin API of limits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from santral.db.engine import Engine
from santral.quota.change import ScopeRow, replace_limits, show_limits
from santral.quota.limit import Limits
from santral.tenants.permission import Authorise
from santral.tenants.tenant import DEFAULT_TENANT


class LimitsBody(BaseModel):
    """The limits of a tenant, or of one of its keys; what is left out is not limited there."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(description="The tenant.")
    key_id: str | None = Field(None, description="One of its keys, by id or prefix.")
    requests_per_second: float | None = Field(None, description="Sustained rate.")
    burst: int | None = Field(None, description="Requests at once; default is the rate.")
    tokens_per_day: int | None = Field(None, description="Input and output, UTC day.")


class LimitsList(BaseModel):
    """What a tenant and its keys have of their own; the rest comes from the configuration."""

    limits: list[LimitsBody]


def limits_router(
    engine: Engine,
    authorise: Authorise,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints; ``authorise`` is a dependency that raises for all but administrators."""
    router = APIRouter(prefix="/api", tags=["limits"], dependencies=[Depends(authorise("limits.write"))])

    @router.get("/limits")
    async def get_limits(
        tenant_id: Annotated[str, Query(description="Whose limits.")] = DEFAULT_TENANT,
    ) -> LimitsList:
        """Show what a tenant and its keys may use."""
        return LimitsList(limits=[_body(row) for row in await show_limits(engine, tenant_id)])

    @router.put("/limits")
    async def put_limits(body: LimitsBody) -> LimitsBody:
        """Set them in place of what was set before; gateways follow within two seconds."""
        own = Limits(body.requests_per_second, body.burst, body.tokens_per_day)
        return _body(await replace_limits(engine, body.tenant_id, body.key_id, own, clock()))

    del get_limits, put_limits  # the router holds them
    return router


def _body(row: ScopeRow) -> LimitsBody:
    return LimitsBody(
        tenant_id=row.tenant_id,
        key_id=row.key_id,
        requests_per_second=row.limits.requests_per_second,
        burst=row.limits.burst,
        tokens_per_day=row.limits.tokens_per_day,
    )
