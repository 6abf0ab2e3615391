"""``/api/monitors``: what watches for drift, and what it found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from santral.db.engine import Engine
from santral.evals.drift import keep
from santral.evals.drift.finding import Finding
from santral.evals.drift.monitor import Monitor
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT


class NewMonitorBody(BaseModel):
    """A monitor to make."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(DEFAULT_TENANT, max_length=128, description="Whose requests it watches.")
    name: str = Field(max_length=128, description="What it is called.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="route, prompt, signals, windows; all have defaults."
    )


class MonitorChangeBody(BaseModel):
    """What to change of a monitor."""

    model_config = ConfigDict(extra="forbid")

    is_paused: bool = Field(description="Whether it rests; when it goes on it looks at once.")


class MonitorBody(BaseModel):
    """A monitor."""

    tenant_id: str
    name: str
    settings: dict[str, Any]
    is_paused: bool
    next_at: datetime | None
    created_by: str
    created_at: datetime


class FindingBody(BaseModel):
    """What one look found."""

    id: str
    verdict: str = Field(description="drift, suspect, steady or not_enough_data.")
    found: dict[str, Any] = Field(description="Each signal, what was said, and the windows.")
    created_at: datetime


class MonitorList(BaseModel):
    """Monitors, by tenant and name."""

    monitors: list[MonitorBody]


class MonitorFindings(MonitorBody):
    """A monitor and its latest findings, the newest first."""

    findings: list[FindingBody]


class LookBody(BaseModel):
    """The job of a look: `GET /api/jobs/{id}` says how far it is."""

    job: str


_Name = Annotated[str, Path(max_length=128, description="Its name.")]
_Tenant = Annotated[str, Query(max_length=128, description="Whose.")]


def monitors_router(
    engine: Engine,
    authorise: Authorise,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter(prefix="/api", tags=["monitors"])
    reader: Any = Depends(authorise("evals.read"))
    runner: Any = Depends(authorise("evals.run"))

    @router.get("/monitors")
    async def list_monitors(by: Principal = reader) -> MonitorList:
        """List monitors."""
        return MonitorList(monitors=list(map(_body, await keep.list_monitors(engine, by=by))))

    @router.post("/monitors", status_code=201)
    async def create_monitor(body: NewMonitorBody, by: Principal = runner) -> MonitorBody:
        """Make a monitor; its first look begins within seconds."""
        return _body(
            await keep.create_monitor(
                engine, body.tenant_id, body.name, body.settings, clock(), by=by
            )
        )

    @router.get("/monitors/{name}")
    async def show_monitor(
        name: _Name, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> MonitorFindings:
        """Show a monitor and what it found lately."""
        monitor, findings = await keep.findings_of(engine, tenant_id, name, by=by)
        return MonitorFindings(
            **_body(monitor).model_dump(), findings=[_finding(one) for one in findings]
        )

    @router.patch("/monitors/{name}")
    async def change_monitor(
        name: _Name,
        body: MonitorChangeBody,
        tenant_id: _Tenant = DEFAULT_TENANT,
        by: Principal = runner,
    ) -> MonitorBody:
        """Let a monitor rest, or go on."""
        return _body(
            await keep.pause_monitor(engine, tenant_id, name, body.is_paused, clock(), by=by)
        )

    @router.post("/monitors/{name}/look", status_code=202)
    async def look(
        name: _Name, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = runner
    ) -> LookBody:
        """Let a monitor look now."""
        return LookBody(job=(await keep.start_look(engine, tenant_id, name, clock(), by=by)).id)

    @router.delete("/monitors/{name}", status_code=204)
    async def delete_monitor(
        name: _Name, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = runner
    ) -> None:
        """Delete a monitor and what it found."""
        await keep.delete_monitor(engine, tenant_id, name, by=by)

    del list_monitors, create_monitor, show_monitor, change_monitor, look, delete_monitor
    return router


def _body(monitor: Monitor) -> MonitorBody:
    shown = {name: getattr(monitor, name) for name in MonitorBody.model_fields}
    return MonitorBody(**shown | {"settings": msgspec.to_builtins(monitor.settings)})


def _finding(finding: Finding) -> FindingBody:
    return FindingBody(**{name: getattr(finding, name) for name in FindingBody.model_fields})
