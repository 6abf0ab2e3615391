"""Stored traces looked up, in SQL; each function works on the cursor that it is given."""

from __future__ import annotations

from typing import Any

import duckdb

from santral.errors import NotFound
from santral.traces.found import billed_in, bucket_in, summary_in
from santral.traces.question import (
    BilledAttempt,
    Bucket,
    Cursor,
    Filters,
    FoundTrace,
    TracePage,
    TraceSummary,
)
from santral.traces.record import SHADOW_SUFFIX
from santral.traces.rows import TABLES, record_of
from santral.traces.trouble import no_trace
from santral.traces.whose import MEANT, Whose, names
from santral.wire.usage import CLASSES, INPUT_CLASSES, OUTPUT_CLASSES

#: Further requests of one trace that its page names. Chosen.
_MOST_OTHERS = 50

_SUMMARY = f"""
    trace_id, request_id, tenant_id, route, started_at_us, duration_us, status, error,
    is_streaming, is_cancelled, is_degraded, ttft_us, deployment, model, cache, prompt,
    prompt_version, variant, {" + ".join(INPUT_CLASSES)}, {" + ".join(OUTPUT_CLASSES)},
    cost_nanousd
"""
_LIST = f"""
    SELECT n, {_SUMMARY} FROM traces
    WHERE {MEANT}
      AND started_at_us >= $since AND started_at_us < $until
      AND ($route = '' OR route = $route)
      AND ($route <> '' OR NOT ends_with(route, '{SHADOW_SUFFIX}'))
      AND status >= $least AND status < $most
      AND ($error = '' OR contains(error, $error))
      AND ($at IS NULL OR (started_at_us, n) < ($at, $n))
    ORDER BY started_at_us DESC, n DESC LIMIT $limit
"""  # noqa: S608 - composed of constants
_FIND = f"""
    SELECT DISTINCT trace_id FROM traces
    WHERE {MEANT}
      AND (starts_with(trace_id, $id) OR request_id = $id OR caller_trace_id = $id)
    ORDER BY trace_id LIMIT 3
"""  # noqa: S608 - composed of constants
_GET = f"""
    SELECT {{columns}} FROM traces
    WHERE {MEANT} AND trace_id = $trace_id LIMIT 1
"""  # noqa: S608 - composed of constants
_OTHERS = f"""
    SELECT {_SUMMARY} FROM traces
    WHERE tenant_id = $tenant_id AND caller_trace_id = $caller_trace_id AND n <> $n
    ORDER BY started_at_us, n LIMIT $limit
"""  # noqa: S608 - composed of constants
_HISTORY = f"""
    SELECT (started_at_us - $since) // $width AS bucket, count(*),
           count(*) FILTER (status >= 400),
           quantile_disc(duration_us, [0.5, 0.95]) FILTER (status < 400 AND cache IN ('off', 'miss')),
           coalesce(sum(cost_nanousd), 0)
    FROM traces
    WHERE {MEANT}
      AND started_at_us >= $since AND started_at_us < $until AND ($route = '' OR route = $route)
      AND ($route <> '' OR NOT ends_with(route, '{SHADOW_SUFFIX}'))
    GROUP BY bucket ORDER BY bucket
"""  # noqa: S608 - composed of constants
_BILLED = f"""
    SELECT t.trace_id, t.request_id, t.tenant_id, t.started_at_us, a.number, a.deployment,
           a.provider, a.model, a.purpose, a.cost_nanousd, a.price_version, a.price_row,
           a.price_variant, a.is_estimated, {", ".join(f"a.{name}" for name in CLASSES)}
    FROM traces t JOIN attempts a ON a.n = t.n AND a.tenant_id = t.tenant_id
    WHERE t.started_at_us >= $since AND t.started_at_us < $until
      AND {MEANT.replace("tenant_id", "t.tenant_id")}
      AND (a.cost_nanousd IS NOT NULL OR a.input_uncached IS NOT NULL)
    LIMIT $limit
"""  # noqa: S608 - composed of constants
_ROUTES = f"""
    SELECT DISTINCT route FROM traces
    WHERE {MEANT} AND started_at_us >= $since
    ORDER BY route LIMIT 200
"""  # noqa: S608 - composed of constants


def list_traces(
    connection: duckdb.DuckDBPyConnection,
    whose: Whose,
    filters: Filters,
    before: Cursor | None,
    limit: int,
) -> TracePage:
    """Return the newest traces that ``filters`` mean, after ``before`` if given."""
    least, most = filters.status_range
    params = {
        "whose": names(whose),
        "since": filters.since_us,
        "until": filters.until_us,
        "route": filters.route,
        "error": filters.error,
        "least": least,
        "most": most,
        "at": before.started_at_us if before else None,
        "n": before.n if before else None,
        "limit": limit + 1,
    }
    rows = connection.execute(_LIST, params).fetchall()
    traces = [summary_in(row[1:]) for row in rows[:limit]]
    more = str(Cursor(rows[limit - 1][5], rows[limit - 1][0])) if len(rows) > limit else None
    return TracePage(traces, more)


def find(connection: duckdb.DuckDBPyConnection, whose: Whose, some_id: str) -> list[str]:
    """Return the ids of traces that ``some_id`` may mean; a few are enough to see that it is vague."""
    params = {"whose": names(whose), "id": some_id}
    return [row[0] for row in connection.execute(_FIND, params).fetchall()]


def get_trace(connection: duckdb.DuckDBPyConnection, whose: Whose, trace_id: str) -> FoundTrace:
    """Return one trace by its whole id, as it is stored: perhaps sealed, and without its scores.

    Raises:
        NotFound: there is none, or it belongs to another tenant.
    """
    params = {"whose": names(whose), "trace_id": trace_id}
    row = connection.execute(_GET.format(columns=_names("traces")), params).fetchone()
    if row is None:
        raise NotFound(no_trace(trace_id))
    owner = {"n": row[0], "tenant_id": row[1]}
    children = {
        table: connection.execute(
            f"SELECT {_names(table)} FROM {table} "  # noqa: S608 - names of our own tables
            "WHERE n = $n AND tenant_id = $tenant_id ORDER BY rowid",
            owner,
        ).fetchall()
        for table in TABLES
        if table != "traces"
    }
    record = record_of(row, children)
    return FoundTrace(record, _others(connection, owner, record.caller_trace_id))


def history(
    connection: duckdb.DuckDBPyConnection,
    whose: Whose,
    since_us: int,
    until_us: int,
    buckets: int,
    route: str,
) -> list[Bucket]:
    """Return the window cut into equal stretches, empty ones too."""
    width = max(1, -(-(until_us - since_us) // buckets))
    window = {"since": since_us, "until": until_us, "width": width, "route": route}
    rows = connection.execute(_HISTORY, {"whose": names(whose), **window}).fetchall()
    found = {row[0]: bucket_in(row, since_us, width) for row in rows}
    return [found.get(i, Bucket(start_us=since_us + i * width)) for i in range(buckets)]


def billed(
    connection: duckdb.DuckDBPyConnection, whose: Whose, since_us: int, until_us: int, limit: int
) -> list[BilledAttempt]:
    """Return the attempts of requests that began in a window and used or cost something."""
    params = {"whose": names(whose), "since": since_us, "until": until_us, "limit": limit}
    return list(map(billed_in, connection.execute(_BILLED, params).fetchall()))


def routes(connection: duckdb.DuckDBPyConnection, whose: Whose, since_us: int) -> list[str]:
    """Return the names of routes that were asked since then."""
    params = {"whose": names(whose), "since": since_us}
    return [row[0] for row in connection.execute(_ROUTES, params).fetchall()]


def _others(
    connection: duckdb.DuckDBPyConnection, owner: dict[str, Any], caller_trace_id: str
) -> list[TraceSummary]:
    """Return the further requests of the caller's trace, but for the one of ``owner``."""
    if not caller_trace_id:
        return []
    params = {**owner, "caller_trace_id": caller_trace_id, "limit": _MOST_OTHERS}
    return [summary_in(row) for row in connection.execute(_OTHERS, params).fetchall()]


def _names(table: str) -> str:
    return ", ".join(f'"{name}"' for name, _ in TABLES[table])
