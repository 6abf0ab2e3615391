"""``/api/evals/judges``: which judges were held against people, and what that showed."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from santral.db.engine import Engine
from santral.evals.calibration.kept import calibrations_of
from santral.evals.calibration.store import Calibration
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT, TenantId

_Tenant = Annotated[str, Query(max_length=128, description="Whose judges.")]
_Judge = Annotated[str, Path(max_length=128, description="What the suite calls it.")]


class CalibrationBody(BaseModel):
    """A judge, held against people."""

    id: str
    judge: str
    digest: str = Field(description="Of prompt, models and settings: another one is another judge.")
    humans: int = Field(description="Answers that people labelled, and the judge too.")
    floor: float = Field(description="What the lower end of its agreement has to reach.")
    may_gate: bool
    measured: dict[str, Any] = Field(description="Agreement, rates of right and wrong, cost.")
    created_by: str
    created_at: str


class CalibrationList(BaseModel):
    """Calibrations, the newest first."""

    judges: list[CalibrationBody]


def judges_router(engine: Engine, authorise: Authorise) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter(prefix="/api/evals/judges", tags=["evals"])
    reader: Any = Depends(authorise("evals.read"))

    @router.get("")
    async def get_judges(
        tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> CalibrationList:
        """List the judges that were held against people, the newest first."""
        found = await calibrations_of(engine, TenantId(tenant_id), by=by)
        return CalibrationList(judges=[_body(one) for one in found])

    @router.get("/{judge}")
    async def get_judge(
        judge: _Judge, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> CalibrationBody:
        """Show what the newest calibration of a judge measured."""
        return _body((await calibrations_of(engine, TenantId(tenant_id), judge, by=by, limit=1))[0])

    del get_judges, get_judge  # the router holds them
    return router


def _body(one: Calibration) -> CalibrationBody:
    return CalibrationBody(
        id=one.id,
        judge=one.judge,
        digest=one.digest,
        humans=one.humans,
        floor=one.floor,
        may_gate=one.may_gate,
        measured=msgspec.to_builtins(one.measured),
        created_by=one.created_by,
        created_at=one.created_at.isoformat(),
    )
