"""The golden signals in SQL: three questions over one window, each in all, by route and by tenant."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import duckdb

from santral.traces.record import SHADOW_SUFFIX
from santral.traces.signals.signal import (
    EXCLUSIONS,
    Cost,
    Golden,
    Latency,
    Quality,
    Quantiles,
    Safety,
    Signals,
    Tally,
)
from santral.traces.whose import MEANT, Whose, names
from santral.wire.usage import CLASSES

Row = tuple[Any, ...]
#: Of which route or tenant a row speaks; ("", "") is everything.
Group = tuple[str, str]

# The one rule of what is meant, for all three questions.
_MEANT = f"""
    {MEANT}
    AND started_at_us >= $since AND started_at_us < $until AND ($route = '' OR route = $route)
    AND ($route <> '' OR NOT ends_with(route, '{SHADOW_SUFFIX}'))
"""
_GROUP = "CASE WHEN grouping(route) = 0 THEN 'route' WHEN grouping(tenant_id) = 0 THEN 'tenant' ELSE '' END"
_SETS = "(), (route), (tenant_id)"

_REQUESTS = f"""
    WITH w AS (
        SELECT *, status < 400 AND NOT is_cancelled AND cache IN ('off', 'miss') AS is_timed,
               status < 400 AND NOT is_cancelled AND cache IN ('hit', 'semantic') AS is_cached,
               coalesce({" + ".join(CLASSES)}, 0) > 0
                   AS is_billed
        FROM traces WHERE {_MEANT})
    SELECT {_GROUP}, coalesce(route, tenant_id, ''),
        count(*),
        count(ttft_us) FILTER (is_timed),
        quantile_disc(ttft_us, [0.5, 0.95, 0.99]) FILTER (is_timed AND ttft_us IS NOT NULL),
        count(*) FILTER (is_timed),
        quantile_disc(duration_us, [0.5, 0.95, 0.99]) FILTER (is_timed),
        quantile_disc(overhead_us, [0.5, 0.95, 0.99]) FILTER (is_timed),
        count(*) FILTER (is_cached),
        quantile_disc(duration_us, [0.5, 0.95, 0.99]) FILTER (is_cached),
        count(*) FILTER (is_billed),
        coalesce(sum(cost_nanousd), 0),
        count(*) FILTER (is_billed AND cost_nanousd IS NULL),
        count(*) FILTER (is_billed AND is_estimated),
        count(*) FILTER (status >= 400),
        count(*) FILTER (is_cancelled),
        count(*) FILTER (is_degraded),
        count(*) FILTER (cache IN ('hit', 'semantic', 'collapsed')),
        count(*) FILTER (cache <> 'off'),
        count(*) FILTER (finish_reason = 'content_filter'),
        coalesce(sum(cache_saved_nanousd), 0),
        {", ".join(f"coalesce(sum({name}), 0)" for name in CLASSES)}
    FROM w GROUP BY GROUPING SETS ({_SETS})
"""  # noqa: S608 - composed of constants
_FINISH = f"""
    SELECT {_GROUP}, coalesce(route, tenant_id, ''), finish_reason, count(*)
    FROM traces WHERE {_MEANT} AND finish_reason <> ''
    GROUP BY GROUPING SETS ((finish_reason), (finish_reason, route), (finish_reason, tenant_id))
"""  # noqa: S608 - composed of constants
_OF_WINDOW = f"""
    w AS (SELECT n, tenant_id, route FROM traces WHERE {_MEANT}),
    v AS (SELECT w.route, v.* FROM verdicts v
          JOIN w ON v.n = w.n AND v.tenant_id = w.tenant_id
          WHERE v.n BETWEEN (SELECT min(n) FROM w) AND (SELECT max(n) FROM w))
"""  # noqa: S608 - composed of constants
_CHECKS = f"""
    WITH {_OF_WINDOW}
    SELECT {_GROUP}, coalesce(route, tenant_id, ''), "check",
        count(*) FILTER (verdict = 'passed'),
        count(*) FILTER (verdict = 'found'),
        count(*) FILTER (verdict = 'failed')
    FROM v GROUP BY GROUPING SETS (("check"), ("check", route), ("check", tenant_id))
"""  # noqa: S608 - composed of constants
# By request first: counting distinct requests in every group costs six times as much (measured).
_SAFETY = f"""
    WITH {_OF_WINDOW},
    r AS (SELECT route, tenant_id, n,
              max(action = 'refuse' AND "check" <> 'refusal')::INT AS refused,
              max("check" = 'refusal' AND verdict = 'found')::INT AS model_refused,
              coalesce(sum("count") FILTER ("check" = 'pii' AND action = 'mask'), 0) AS masked,
              max("check" = 'pii' AND action = 'mask')::INT AS is_masked,
              max("check" = 'injection' AND action = 'refuse')::INT AS injection,
              count(*) FILTER (verdict = 'failed') AS failures,
              count(*) FILTER (verdict = 'failed' AND action <> 'refuse') AS failed_open
          FROM v GROUP BY route, tenant_id, n)
    SELECT {_GROUP}, coalesce(route, tenant_id, ''), sum(refused), sum(model_refused), sum(masked),
        sum(is_masked), sum(injection), sum(failures), sum(failed_open)
    FROM r GROUP BY GROUPING SETS ({_SETS})
"""  # noqa: S608 - composed of constants

#: The newest word of each user; a score is given after its request began, but for another clock.
_RATED = f"""
    WITH w AS (SELECT tenant_id, route, trace_id FROM traces WHERE {_MEANT} AND status < 400),
    s AS (
        SELECT tenant_id, trace_id, avg(value) FILTER (name = 'thumbs') AS thumb FROM (
            SELECT *, row_number() OVER (
                PARTITION BY tenant_id, trace_id, name, rater ORDER BY at_us DESC, id DESC) AS age
            FROM scores WHERE source = 'user' AND at_us >= $since - 60000000)
        WHERE age = 1 AND NOT is_retracted GROUP BY tenant_id, trace_id)
    SELECT {_GROUP.replace("(route", "(w.route").replace("(tenant_id", "(w.tenant_id")},
           coalesce(w.route, w.tenant_id, ''),
           count(*), count(s.trace_id), count(s.thumb), count(*) FILTER (s.thumb > 0.5)
    FROM w LEFT JOIN s ON s.tenant_id = w.tenant_id AND s.trace_id = w.trace_id
    GROUP BY GROUPING SETS ((), (w.route), (w.tenant_id))
"""  # noqa: S608 - composed of constants


def signals(
    cursor: duckdb.DuckDBPyConnection,
    whose: Whose,
    since_us: int,
    until_us: int,
    route: str = "",
) -> Signals:
    """Return the four signals of the requests that began in the window."""
    params = {"whose": names(whose), "since": since_us, "until": until_us, "route": route}
    finish: dict[Group, dict[str, int]] = defaultdict(dict)
    for row in cursor.execute(_FINISH, params).fetchall():
        finish[row[0], row[1]][row[2]] = row[3]
    checks: dict[Group, dict[str, Tally]] = defaultdict(dict)
    for row in cursor.execute(_CHECKS, params).fetchall():
        checks[row[0], row[1]][row[2]] = Tally(passed=row[3], found=row[4], failed=row[5])
    safety = {(row[0], row[1]): row for row in cursor.execute(_SAFETY, params).fetchall()}
    rated = {(row[0], row[1]): row for row in cursor.execute(_RATED, params).fetchall()}
    groups = {
        (row[0], row[1]): _golden(
            row,
            finish[row[0], row[1]],
            safety.get((row[0], row[1])),
            checks[row[0], row[1]],
            rated.get((row[0], row[1])),
        )
        for row in cursor.execute(_REQUESTS, params).fetchall()
    }
    return Signals(
        since_us=since_us,
        until_us=until_us,
        route=route,
        exclusions=EXCLUSIONS,
        total=groups.get(("", ""), Golden()),
        by_route={name: golden for (kind, name), golden in groups.items() if kind == "route"},
        by_tenant={name: golden for (kind, name), golden in groups.items() if kind == "tenant"},
    )


def _golden(
    row: Row,
    finish: dict[str, int],
    verdicts: Row | None,
    checks: dict[str, Tally],
    rated: Row | None,
) -> Golden:
    answered, ratings, thumbs, thumbs_up = rated[2:] if rated else (0, 0, 0, 0)
    return Golden(
        n=row[2],
        latency=Latency(
            ttft=_quantiles(row[3], row[4]),
            total=_quantiles(row[5], row[6]),
            overhead=_quantiles(row[5], row[7]),
            cached=_quantiles(row[8], row[9]),
        ),
        cost=Cost(
            n=row[10],
            tokens=dict(zip(CLASSES, map(int, row[21:]), strict=True)),
            cost_nanousd=int(row[11]),
            unknown_price=row[12],
            saved_nanousd=int(row[20]),
            estimated_usage=row[13],
        ),
        quality=Quality(
            n=row[2],
            errors=row[14],
            cancelled=row[15],
            degraded=row[16],
            cache_hits=row[17],
            cache_asked=row[18],
            finish_reasons=finish,
            schema=checks.get("json_schema", Tally()),
            citations=checks.get("citations", Tally()),
            answered=answered,
            rated=ratings,
            thumbs=thumbs,
            thumbs_up=thumbs_up,
        ),
        safety=_safety(row, verdicts, checks),
    )


def _safety(row: Row, verdicts: Row | None, checks: dict[str, Tally]) -> Safety:
    refused, model, masked, is_masked, injections, failures, failed_open = (
        int(value or 0) for value in (verdicts or (None,) * 9)[2:]
    )
    return Safety(
        n=row[2],
        refused_by_guardrail=refused,
        refused_by_model=model,
        refused_by_provider=row[19],
        pii_masked=masked,
        pii_requests=is_masked,
        injections_blocked=injections,
        check_failures=failures,
        failed_open=failed_open,
        checks=dict(sorted(checks.items())),
    )


def _quantiles(n: int, values: list[int] | None) -> Quantiles:
    p50, p95, p99 = values or (None, None, None)
    return Quantiles(n=n, p50_us=p50, p95_us=p95, p99_us=p99)
