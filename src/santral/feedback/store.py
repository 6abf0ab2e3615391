"""Questions to the telemetry store that signals of behaviour are made from."""

from __future__ import annotations

from typing import NamedTuple

import duckdb

from santral.traces.record import SHADOW_SUFFIX

#: Of every tenant: signals are made of each, and a pair never spans two.
_REPEATS = f"""
    WITH w AS (
        SELECT n, tenant_id, trace_id, request_id, route, started_at_us, session, "user",
               CASE WHEN session <> '' THEN 's' || session ELSE 'u' || "user" END AS who
        FROM traces
        WHERE started_at_us >= $since - $within AND started_at_us < $until AND status < 400
          AND (session <> '' OR "user" <> '') AND NOT ends_with(route, '{SHADOW_SUFFIX}')),
    pairs AS (
        SELECT *, lag(n) OVER p AS before_n, lag(started_at_us) OVER p AS before_us
        FROM w WINDOW p AS (PARTITION BY tenant_id, route, who ORDER BY started_at_us, n))
    SELECT b.tenant_id, b.trace_id, b.request_id, b.session, b."user", q.request, q.is_sealed,
           p.trace_id, p.request_id, r.request, r.is_sealed, p.started_at_us
    FROM pairs p JOIN traces b ON b.n = p.before_n AND b.tenant_id = p.tenant_id
    JOIN payloads q ON q.n = b.n AND q.tenant_id = b.tenant_id
    JOIN payloads r ON r.n = p.n AND r.tenant_id = p.tenant_id
    WHERE p.started_at_us >= $since AND p.started_at_us - p.before_us <= $within
    ORDER BY p.started_at_us, p.n LIMIT $limit
"""  # noqa: S608 - composed of constants
_CORRECTED = """
    SELECT s.id, s.tenant_id, s.trace_id, s.rater, s.at_us, s.comment, s.is_sealed,
           t.request_id, t.session, t."user", p.response, p.is_sealed
    FROM scores s
    JOIN traces t ON t.tenant_id = s.tenant_id AND t.trace_id = s.trace_id
    JOIN payloads p ON p.n = t.n AND p.tenant_id = t.tenant_id
    WHERE s.at_us >= $since AND s.name IN ('correction', 'final_text') AND s.comment <> ''
      AND NOT EXISTS (
        SELECT 1 FROM scores e WHERE e.tenant_id = s.tenant_id AND e.trace_id = s.trace_id
          AND e.name = 'edit_similarity' AND e.rater = s.rater AND e.at_us >= s.at_us)
    ORDER BY s.at_us LIMIT $limit
"""


class Repeat(NamedTuple):
    """Two requests of one session, or of one user without any, to one route, one after the other."""

    tenant_id: str
    trace_id: str  # of the first
    request_id: str
    session: str
    user: str
    request: str
    is_sealed: bool
    next_trace_id: str
    next_request_id: str
    next_request: str
    next_is_sealed: bool
    next_at_us: int


class Corrected(NamedTuple):
    """What somebody made of an answer, and the answer."""

    score_id: str
    tenant_id: str
    trace_id: str
    rater: str
    at_us: int
    words: str
    is_sealed: bool
    request_id: str
    session: str
    user: str
    answer: str
    answer_is_sealed: bool


def repeats(
    connection: duckdb.DuckDBPyConnection, since_us: int, until_us: int, within_us: int, limit: int
) -> list[Repeat]:
    """Return pairs whose second request began in a window, the oldest first."""
    params = {"since": since_us, "until": until_us, "within": within_us, "limit": limit}
    return [Repeat(*row) for row in connection.execute(_REPEATS, params).fetchall()]


def corrected(connection: duckdb.DuckDBPyConnection, since_us: int, limit: int) -> list[Corrected]:
    """Return corrections that were not compared with their answer yet, the oldest first."""
    params = {"since": since_us, "limit": limit}
    return [Corrected(*row) for row in connection.execute(_CORRECTED, params).fetchall()]
