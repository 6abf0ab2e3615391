"""SQL over the telemetry store: a sample of the requests of one window, with their scores."""

from __future__ import annotations

from typing import Any

import duckdb

from santral.traces.record import SHADOW_SUFFIX
from santral.wire.usage import INPUT_CLASSES, OUTPUT_CLASSES

_SAMPLE = f"""
    SELECT t.n, t.trace_id, t.request_id, coalesce(nullif(t.session, ''), nullif(t."user", ''),
           t.trace_id) AS session, t.started_at_us, t.route,
           t.prompt || CASE WHEN t.prompt_version = '' THEN '' ELSE '@' || t.prompt_version END,
           t.model, t.duration_us, t.ttft_us, t.cost_nanousd, {" + ".join(f"t.{c}" for c in INPUT_CLASSES)},
           {" + ".join(f"t.{c}" for c in OUTPUT_CLASSES)}, t.status >= 400,
           t.cache IN ('hit', 'semantic', 'collapsed'),
           t.finish_reason IN ('content_filter', 'refusal') OR EXISTS (
               SELECT 1 FROM verdicts v WHERE v.n = t.n AND v.tenant_id = t.tenant_id
               AND v.check = 'refusal' AND v.verdict = 'found'),
           p.request, p.response, p.is_sealed
    FROM traces t LEFT JOIN payloads p ON p.n = t.n AND p.tenant_id = t.tenant_id
    WHERE t.tenant_id = $tenant_id AND t.started_at_us >= $since AND t.started_at_us < $until
      AND NOT ends_with(t.route, '{SHADOW_SUFFIX}')
      AND ($route = '' OR t.route = $route) AND ($prompt = '' OR t.prompt = $prompt)
    ORDER BY hash(t.trace_id) LIMIT $limit
"""  # noqa: S608 - composed of constants
_SCORES = """
    SELECT trace_id, name, avg(value) FROM current_scores
    WHERE tenant_id = $tenant_id AND value IS NOT NULL AND at_us >= $since
      AND list_contains($traces::VARCHAR[], trace_id)
    GROUP BY trace_id, name
"""


def sample(
    cursor: duckdb.DuckDBPyConnection,
    tenant_id: str,
    since_us: int,
    until_us: int,
    route: str,
    prompt: str,
    limit: int,
) -> list[tuple[Any, ...]]:
    """Return the rows of a sample: the same traces however often they are looked at."""
    asked = {
        "tenant_id": tenant_id,
        "since": since_us,
        "until": until_us,
        "route": route,
        "prompt": prompt,
        "limit": limit,
    }
    return cursor.execute(_SAMPLE, asked).fetchall()


def scores(
    cursor: duckdb.DuckDBPyConnection, tenant_id: str, since_us: int, traces: list[str]
) -> list[tuple[str, str, float]]:
    """Return the scores of some traces, averaged over raters: trace, name, value."""
    asked = {"tenant_id": tenant_id, "since": since_us, "traces": traces}
    return cursor.execute(_SCORES, asked).fetchall()
