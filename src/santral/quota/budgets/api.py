"""``/api/budgets`` and ``/api/alerts``: how fast money goes, and who was told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from msgspec.structs import asdict
from pydantic import BaseModel, Field

from santral.db.engine import Engine
from santral.quota.budgets.alert import Alert
from santral.quota.budgets.show import Outlook, show_alerts, show_budget, show_budgets
from santral.quota.rule import Rule
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT


class ForecastBody(BaseModel):
    """A budget of one scope, and where it is going. Amounts are in nano-dollars (10^-9 USD)."""

    id: str
    tenant_id: str
    scope: str
    scope_id: str
    window: str
    is_rolling: bool
    amount: int
    spent: int
    left: int
    last_hour: int
    last_day: int = Field(description="The last 24 hours.")
    per_hour: float = Field(description="The likely rate; the next two are its 90 % range.")
    low_per_hour: float
    high_per_hour: float
    ends_at: datetime | None = Field(description="When it begins anew; null: it rolls.")
    used_up_at: datetime | None = Field(description="Likely; null: not as things go.")
    used_up_earliest: datetime | None
    used_up_latest: datetime | None
    outlook: str


class ForecastList(BaseModel):
    """Budgets and their forecasts."""

    budgets: list[ForecastBody]


class AlertBody(BaseModel):
    """One alert, and how far its delivery is."""

    id: str
    tenant_id: str
    limit_id: str
    scope_id: str
    window_start: datetime
    kind: str
    text: str
    created_at: datetime
    delivered_at: datetime | None
    next_try_at: datetime | None
    tries: int
    error: str


class AlertList(BaseModel):
    """The latest alerts, newest first."""

    alerts: list[AlertBody]


def budgets_router(
    engine: Engine,
    authorise: Authorise,
    *,
    declared: Callable[[], Sequence[Rule]] = lambda: (),
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints; ``declared`` are the rules of the configuration."""
    router = APIRouter(prefix="/api", tags=["limits"])
    reader: Any = Depends(authorise("limits.read"))

    @router.get("/budgets")
    async def get_budgets(
        tenant_id: Annotated[str, Query(description="Whose.")] = DEFAULT_TENANT,
        by: Principal = reader,
    ) -> ForecastList:
        """Show what is spent of the budgets that hold for a tenant, and when they are used up."""
        now_s = int(clock().timestamp())
        rows = await show_budgets(engine, tenant_id, declared(), now_s, by=by)
        return ForecastList(budgets=list(map(_forecast, rows)))

    @router.get("/budgets/{id}/forecast")
    async def get_forecast(
        id: Annotated[str, Path(description="The limit's id.")], by: Principal = reader
    ) -> ForecastList:
        """Show one budget: an entry for each scope that it binds and that spent something."""
        rows = await show_budget(engine, id, int(clock().timestamp()), by=by)
        return ForecastList(budgets=list(map(_forecast, rows)))

    @router.get("/alerts")
    async def get_alerts(
        tenant_id: Annotated[str | None, Query(description="Of one tenant; default all.")] = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="Most alerts.")] = 50,
        by: Principal = reader,
    ) -> AlertList:
        """List the latest alerts about limits, newest first."""
        rows = await show_alerts(engine, tenant_id, limit, by=by)
        return AlertList(alerts=list(map(_alert, rows)))

    del get_budgets, get_forecast, get_alerts  # the router holds them
    return router


def _forecast(row: Outlook) -> ForecastBody:
    rule, seen = row.rule, row.forecast
    same = {
        name: value for name, value in asdict(seen).items() if name in ForecastBody.model_fields
    }
    return ForecastBody(
        id=rule.id,
        tenant_id=rule.tenant_id,
        scope=rule.scope.kind,
        scope_id=row.scope_id,
        window=rule.window,
        is_rolling=rule.is_rolling,
        amount=rule.limit,
        ends_at=_moment(seen.end_s),
        used_up_at=_moment(seen.likely_s),
        used_up_earliest=_moment(seen.earliest_s),
        used_up_latest=_moment(seen.latest_s),
        **same,
    )


def _alert(alert: Alert) -> AlertBody:
    values = {n: v for n, v in asdict(alert).items() if n in AlertBody.model_fields}
    return AlertBody(**values, text=alert.body["text"])


def _moment(seconds: int | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # further away than calendars reach
        return None
