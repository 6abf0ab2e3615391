"""SQL of calibrations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import insert, select

from santral.db.engine import Connection
from santral.db.tables import judge_calibrations
from santral.evals.standing import Standing


class Calibration(Struct, frozen=True, kw_only=True):
    """One calibration as it is kept."""

    id: str
    judge: str
    digest: str
    measured: Standing
    humans: int
    floor: float
    may_gate: bool
    created_by: str
    created_at: datetime


_CALIBRATION = [judge_calibrations.c[name] for name in Calibration.__struct_fields__]


async def insert_calibration(conn: Connection, tenant_id: str, one: Calibration) -> None:
    """Keep a calibration."""
    row: dict[str, Any] = {name: getattr(one, name) for name in Calibration.__struct_fields__}
    row |= {"tenant_id": tenant_id, "measured": msgspec.to_builtins(one.measured)}
    await conn.execute(insert(judge_calibrations), row)


async def list_calibrations(
    conn: Connection, tenant_id: str, judge: str = "", limit: int = 100
) -> Sequence[Calibration]:
    """Return calibrations, the newest first; of one judge where one is named."""
    statement = (
        select(*_CALIBRATION)
        .where(judge_calibrations.c.tenant_id == tenant_id)
        .order_by(judge_calibrations.c.created_at.desc(), judge_calibrations.c.id)
        .limit(limit)
    )
    if judge:
        statement = statement.where(judge_calibrations.c.judge == judge)
    rows = (await conn.execute(statement)).mappings().all()
    return [
        msgspec.convert({str(name): value for name, value in row.items()}, Calibration)
        for row in rows
    ]
