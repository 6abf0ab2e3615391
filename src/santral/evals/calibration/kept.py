"""Calibrations that are kept: the newest one of a judge's digest is what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from santral.audit.note import note
from santral.db.engine import Connection, Engine, reading, writing
from santral.errors import NotFound, nearest
from santral.evals.calibration import store
from santral.evals.calibration.store import Calibration
from santral.evals.standing import Standing
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

#: Calibrations that a process reads: the newest ones. Chosen.
_MOST_READ = 10_000


async def keep(
    engine: Engine, tenant: TenantId, id: str, standing: Standing, now: datetime, *, by: Principal
) -> Calibration:
    """Keep what a calibration measured; it is in force for the judge's digest from now on.

    Raises:
        NotFound, NotAllowed: no role that may run evaluations here.
    """
    by.require("evals.run", tenant)
    made = Calibration(
        id=id,
        judge=standing.judge,
        digest=standing.digest,
        measured=standing,
        humans=standing.examples,
        floor=standing.floor,
        may_gate=standing.may_gate,
        created_by=by.name,
        created_at=now,
    )
    async with writing(engine) as conn:
        await store.insert_calibration(conn, tenant, made)
        await note(
            conn, by.actor, "judge.calibrate", f"judge:{made.judge}", tenant_id=tenant,
            after={"id": id, "digest": made.digest, "may_gate": made.may_gate, "humans": made.humans},
        )  # fmt: skip
    return made


async def calibrations_of(
    engine: Engine, tenant: TenantId, judge: str = "", *, by: Principal, limit: int = 100
) -> Sequence[Calibration]:
    """Return what is kept of judges, or of one; the newest first.

    Raises:
        NotFound: nothing is kept of the judge that is named, or no role here.
        NotAllowed: no role that may read evaluations.
    """
    by.require("evals.read", tenant)
    async with reading(engine) as conn:
        found = await store.list_calibrations(conn, tenant, judge, limit)
        if judge and not found:
            known = {one.judge for one in await store.list_calibrations(conn, tenant)}
            raise NotFound(
                f"No judge '{judge[:64]}' was calibrated.{nearest(judge[:64], known)} "
                "Calibrate it with: santral judges calibrate",
                code="no_such_calibration",
            )
        return found


async def standings_of(conn: Connection, tenant_id: str) -> dict[str, Standing]:
    """Return what every judge is worth, by digest: for ``Tools.standings``."""
    found = await store.list_calibrations(conn, tenant_id, limit=_MOST_READ)
    return {one.digest: one.measured for one in reversed(found)}
