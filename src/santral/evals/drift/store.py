"""SQL of monitors and of what they found."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import RowMapping, delete, insert, select, update

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.tables import monitor_findings, monitors
from santral.evals.drift.finding import Finding
from santral.evals.drift.monitor import Monitor

_MONITOR = [monitors.c[name] for name in Monitor.__struct_fields__]
_FINDING = [monitor_findings.c[name] for name in Finding.__struct_fields__]


async def insert_monitor(conn: Connection, tenant_id: str, monitor: Monitor) -> None:
    """Keep a monitor."""
    row = {name: getattr(monitor, name) for name in Monitor.__struct_fields__}
    row |= {"tenant_id": tenant_id, "settings": msgspec.to_builtins(monitor.settings)}
    await conn.execute(insert(monitors).values(**row))


async def find_monitor(conn: Connection, tenant_id: str, name: str) -> Monitor | None:
    """Return a monitor, or None."""
    statement = select(*_MONITOR).where(monitors.c.tenant_id == tenant_id, monitors.c.name == name)
    row = (await conn.execute(statement)).mappings().one_or_none()
    return None if row is None else _monitor(row)


async def list_monitors(conn: Connection, tenants: Collection[str] | None) -> list[Monitor]:
    """Return monitors by tenant and name; ``tenants`` None means those of every tenant."""
    statement = select(*_MONITOR).order_by(monitors.c.tenant_id, monitors.c.name)
    if tenants is not None:
        statement = statement.where(monitors.c.tenant_id.in_(sorted(tenants)))
    return [_monitor(row) for row in (await conn.execute(statement)).mappings()]


async def due_monitors(conn: Connection, now: datetime, limit: int) -> list[Monitor]:
    """Return the monitors of all tenants whose moment has come."""
    statement = (
        select(*_MONITOR)
        .where(monitors.c.next_at <= now, monitors.c.is_paused.is_(False))
        .order_by(monitors.c.next_at, monitors.c.tenant_id, monitors.c.name)
        .limit(limit)
    )
    return [_monitor(row) for row in (await conn.execute(statement)).mappings()]


async def claim(
    conn: Connection, tenant_id: str, name: str, due_at: datetime, next_at: datetime
) -> bool:
    """Put a monitor's next moment off; False where another process did so already."""
    statement = (
        update(monitors)
        .where(
            monitors.c.tenant_id == tenant_id,
            monitors.c.name == name,
            monitors.c.next_at == due_at,
        )
        .values(next_at=next_at)
    )
    return (await conn.execute(statement)).rowcount > 0


async def update_monitor(
    conn: Connection, tenant_id: str, name: str, changed: Mapping[str, Any]
) -> None:
    """Write other values of a monitor."""
    statement = update(monitors).where(monitors.c.tenant_id == tenant_id, monitors.c.name == name)
    await conn.execute(statement.values(**changed))


async def delete_monitor(conn: Connection, tenant_id: str, name: str) -> None:
    """Forget a monitor with everything it found."""
    findings = delete(monitor_findings).where(
        monitor_findings.c.tenant_id == tenant_id, monitor_findings.c.monitor == name
    )
    await conn.execute(findings)
    statement = delete(monitors).where(monitors.c.tenant_id == tenant_id, monitors.c.name == name)
    await conn.execute(statement)


async def insert_finding(conn: Connection, tenant_id: str, finding: Finding) -> None:
    """Keep what a look found; a look that is done again after a crash changes nothing."""
    row = {name: getattr(finding, name) for name in Finding.__struct_fields__}
    statement = upsert(conn, monitor_findings).values(**row | {"tenant_id": tenant_id})
    await conn.execute(statement.on_conflict_do_nothing())


async def list_findings(
    conn: Connection, tenant_id: str, monitor: str, limit: int
) -> list[Finding]:
    """Return the latest findings of a monitor, the newest first."""
    statement = (
        select(*_FINDING)
        .where(monitor_findings.c.tenant_id == tenant_id, monitor_findings.c.monitor == monitor)
        .order_by(monitor_findings.c.created_at.desc(), monitor_findings.c.id.desc())
        .limit(limit)
    )
    return [Finding(**row) for row in (await conn.execute(statement)).mappings()]


async def drop_old_findings(
    conn: Connection, tenant_id: str, monitor: str, before: datetime
) -> None:
    """Forget what was found long ago."""
    statement = delete(monitor_findings).where(
        monitor_findings.c.tenant_id == tenant_id,
        monitor_findings.c.monitor == monitor,
        monitor_findings.c.created_at < before,
    )
    await conn.execute(statement)


def _monitor(row: RowMapping) -> Monitor:
    values = {str(name): value for name, value in row.items()}
    return msgspec.convert(values | {"state": values["state"] or {}}, Monitor)
