"""What rules look at, in SQL: answered requests, what checks found of them, scores they were given.

Each statement works on the cursor of the telemetry store, or the connection, that it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import duckdb
from msgspec import Struct
from sqlalchemy import select

from santral.db.engine import Connection
from santral.db.tables import monitor_findings
from santral.traces.record import SHADOW_SUFFIX

#: What of the traces can be judged: it was answered, the caller stayed, and it is no mirrored one.
_MEANT = f"""
    tenant_id = $tenant_id AND status < 400 AND NOT is_cancelled
    AND NOT ends_with(route, '{SHADOW_SUFFIX}')
"""
_LINE = 'n, trace_id, route, "user", session, finish_reason'
_NEW = f"""
    SELECT {_LINE} FROM traces
    WHERE {_MEANT} AND n > $after AND started_at_us >= $since ORDER BY n LIMIT $limit
"""  # noqa: S608 - composed of constants
_NAMED = f"""
    SELECT {_LINE} FROM traces
    WHERE {_MEANT} AND trace_id IN (SELECT unnest($traces)) AND started_at_us >= $since ORDER BY n
"""  # noqa: S608 - composed of constants
_FOUND = """
    SELECT n, "check" FROM verdicts
    WHERE tenant_id = $tenant_id AND n IN (SELECT unnest($numbers)) AND verdict = 'found'
"""
_SCORES = """
    SELECT trace_id, name, source, value FROM current_scores
    WHERE tenant_id = $tenant_id AND trace_id IN (SELECT unnest($traces)) AND value IS NOT NULL
      AND source <> 'reviewer'
"""
_SCORED = """
    SELECT id, trace_id, at_us FROM scores
    WHERE tenant_id = $tenant_id AND source <> 'reviewer' AND NOT contains(trace_id, ':')
      AND (at_us, id) > ($at, $id) ORDER BY at_us, id LIMIT $limit
"""


class Line(Struct, frozen=True):
    """A request that could be judged."""

    n: int
    trace_id: str
    route: str
    user: str
    session: str
    finish_reason: str

    @property
    def subject(self) -> str:
        """Whose words it holds: a user, else a session; erasure finds it by this."""
        return self.user or (f"session:{self.session}" if self.session else "")


class Scored(Struct, frozen=True):
    """A score that a trace was given."""

    id: str
    trace_id: str
    at_us: int


class Given(Struct, frozen=True):
    """The value of a score in force."""

    name: str
    source: str
    value: float


def new_lines(
    conn: duckdb.DuckDBPyConnection, tenant_id: str, after: int, since_us: int, limit: int
) -> list[Line]:
    """Return requests that were stored after row ``after``, in the order of rows."""
    params = {"tenant_id": tenant_id, "after": after, "since": since_us, "limit": limit}
    return [Line(*row) for row in conn.execute(_NEW, params).fetchall()]


def named_lines(
    conn: duckdb.DuckDBPyConnection, tenant_id: str, traces: Sequence[str], since_us: int = 0
) -> list[Line]:
    """Return requests by the ids of their traces."""
    params = {"tenant_id": tenant_id, "traces": list(traces), "since": since_us}
    return [Line(*row) for row in conn.execute(_NAMED, params).fetchall()]


def found_by_checks(
    conn: duckdb.DuckDBPyConnection, tenant_id: str, numbers: Sequence[int]
) -> dict[int, set[str]]:
    """Return which checks found something, by row."""
    params = {"tenant_id": tenant_id, "numbers": list(numbers)}
    found: dict[int, set[str]] = {}
    for n, check in conn.execute(_FOUND, params).fetchall():
        found.setdefault(n, set()).add(check)
    return found


def scores_in_force(
    conn: duckdb.DuckDBPyConnection, tenant_id: str, traces: Sequence[str]
) -> dict[str, list[Given]]:
    """Return the scores of traces that no reviewer gave, by trace."""
    params = {"tenant_id": tenant_id, "traces": list(traces)}
    given: dict[str, list[Given]] = {}
    for trace_id, *score in conn.execute(_SCORES, params).fetchall():
        given.setdefault(trace_id, []).append(Given(*score))
    return given


def scored_after(
    conn: duckdb.DuckDBPyConnection, tenant_id: str, after: tuple[int, str], limit: int
) -> list[Scored]:
    """Return scores given after a moment and id, the oldest first."""
    params: dict[str, Any] = {
        "tenant_id": tenant_id, "at": after[0], "id": after[1], "limit": limit,
    }  # fmt: skip
    return [Scored(*row) for row in conn.execute(_SCORED, params).fetchall()]


async def findings_after(
    conn: Connection, tenant_id: str, after: datetime, limit: int
) -> list[tuple[datetime, dict[str, Any]]]:
    """Return what monitors found after a moment, the oldest first."""
    statement = (
        select(monitor_findings.c.created_at, monitor_findings.c.found)
        .where(monitor_findings.c.tenant_id == tenant_id, monitor_findings.c.created_at > after)
        .order_by(monitor_findings.c.created_at)
        .limit(limit)
    )
    return [(row.created_at, row.found) for row in await conn.execute(statement)]
