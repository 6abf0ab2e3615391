"""Statements on the telemetry store: what units did in an experiment, and before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
from msgspec import Struct

from santral.config.experiments import Unit
from santral.experiments.metric import SCORE, SLOW
from santral.experiments.units.table import UnitTable
from santral.traces.record import CACHE_SERVED, SHADOW_SUFFIX
from santral.traces.whose import MEANT, Whose, names
from santral.wire.usage import OUTPUT_CLASSES

_ANSWERED = "status < 400 AND NOT is_cancelled"
_SERVED = ", ".join(f"'{outcome}'" for outcome in CACHE_SERVED)
_TOKENS = " + ".join(f"coalesce({name}, 0)" for name in OUTPUT_CLASSES)
_REFUSED = "error IN ('guardrail_refused', 'output_refused') OR finish_reason = 'content_filter'"

#: By metric: what is added up, and what it is divided by.
_SUMS = {
    "cost_usd": ("sum(cost_nanousd)", "count(cost_nanousd)"),
    "latency_ms": (
        f"sum(duration_us) FILTER ({_ANSWERED})",
        f"count(*) FILTER ({_ANSWERED})",
    ),
    "ttft_ms": (f"sum(ttft_us) FILTER ({_ANSWERED})", f"count(ttft_us) FILTER ({_ANSWERED})"),
    "output_tokens": (f"sum({_TOKENS})", "count(output_text)"),
    "error_rate": ("count(*) FILTER (status >= 500)", "count(*)"),
    "refusal_rate": (f"count(*) FILTER ({_REFUSED})", "count(*)"),
    "retry_rate": ("count(*) FILTER (tries > 1)", "count(*)"),
    "cache_hit_rate": (
        f"count(*) FILTER (cache IN ({_SERVED}))",
        "count(*) FILTER (cache <> 'off')",
    ),
    SLOW: (
        f"count(*) FILTER ({_ANSWERED} AND duration_us > $slow_us)",
        f"count(*) FILTER ({_ANSWERED})",
    ),
}
_SUM_COLUMNS = ", ".join(
    f'coalesce({top}, 0)::DOUBLE AS "sum {name}", {bottom}::DOUBLE AS "count {name}"'
    for name, (top, bottom) in _SUMS.items()
)
_SEEN = f"""
    SELECT e.unit, e.variant AS arm, e.is_holdout AS is_out, e.propensity AS chance, t.*
    FROM exposures e JOIN traces t ON t.n = e.n
    WHERE e.experiment = $experiment AND {MEANT.replace("tenant_id", "t.tenant_id")}
      AND t.started_at_us >= $since AND t.started_at_us < $until
      AND NOT ends_with(t.route, '{SHADOW_SUFFIX}')
"""  # noqa: S608 - composed of constants
#: The same units before: whoever stands behind each is known from the requests of the experiment.
_BEFORE = """
    SELECT w.unit, '' AS arm, false AS is_out, 1.0::DOUBLE AS chance, p.*
    FROM (
        SELECT unit, any_value(tenant_id) AS tenant_id, any_value({who}) AS who
        FROM ({seen}) GROUP BY unit) w
    JOIN traces p ON p.tenant_id = w.tenant_id AND p.{who} = w.who AND w.who <> ''
    WHERE p.started_at_us >= $before AND p.started_at_us < $since
      AND list_contains($routes::VARCHAR[], p.route)
"""
_BY_UNIT = """
    WITH seen AS ({seen}),
    tried AS (
        SELECT n, count(*) FILTER (purpose IN ('', 'retry', 'fallback', 'last_resort')) AS tries
        FROM attempts WHERE n IN (SELECT n FROM seen) GROUP BY n)
    SELECT unit, arm, is_out, arg_min(chance, started_at_us)::DOUBLE AS chance,
           min(started_at_us) AS first_us, count(*)::DOUBLE AS requests, {sums}
    FROM seen LEFT JOIN tried USING (n)
    GROUP BY unit, arm, is_out ORDER BY unit, arm
"""
_SCORES = """
    WITH seen AS ({seen})
    SELECT unit, arm, is_out, s.name AS name, sum(s.value)::DOUBLE, count(s.value)::DOUBLE
    FROM seen JOIN current_scores s ON s.tenant_id = seen.tenant_id AND s.trace_id = seen.trace_id
    WHERE list_contains($names::VARCHAR[], s.name) AND s.value IS NOT NULL
    GROUP BY unit, arm, is_out, s.name
"""
_NAMES = """
    WITH seen AS ({seen})
    SELECT DISTINCT s.name FROM seen
    JOIN current_scores s ON s.tenant_id = seen.tenant_id AND s.trace_id = seen.trace_id
    WHERE s.value IS NOT NULL ORDER BY s.name LIMIT $limit
"""
#: The column of ``traces`` that says who a unit is; sessions and requests have no time before.
_WHO: dict[Unit, str] = {"user": '"user"', "key": "key_id", "tenant": "tenant_id"}


class Asked(Struct, frozen=True, kw_only=True):
    """Which requests are meant."""

    experiment: str
    whose: Whose = None
    since_us: int = 0
    until_us: int = 2**62
    slow_us: float = 0.0  # what counts as slow
    scores: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """What every statement is bound to."""
        return {
            "experiment": self.experiment,
            "whose": names(self.whose),
            "since": self.since_us,
            "until": self.until_us,
        }


def units_seen(cursor: duckdb.DuckDBPyConnection, asked: Asked) -> UnitTable:
    """Return what every unit did in every arm that it saw."""
    return _table(cursor, _SEEN, asked, asked.values)


def units_before(
    cursor: duckdb.DuckDBPyConnection,
    asked: Asked,
    unit: Unit,
    routes: Sequence[str],
    before_us: int,
) -> UnitTable | None:
    """Return what the same units did on these routes before; None where nobody can know."""
    who = _WHO.get(unit)
    if who is None:
        return None
    values = {**asked.values, "before": before_us, "routes": list(routes)}
    return _table(cursor, _BEFORE.format(seen=_SEEN, who=who), asked, values)


def scores_seen(cursor: duckdb.DuckDBPyConnection, asked: Asked, limit: int) -> list[str]:
    """Return the names of scores that requests of the experiment have."""
    rows = cursor.execute(_NAMES.format(seen=_SEEN), {**asked.values, "limit": limit}).fetchall()
    return [name for (name,) in rows]


def _table(
    cursor: duckdb.DuckDBPyConnection, seen: str, asked: Asked, values: dict[str, Any]
) -> UnitTable:
    statement = _BY_UNIT.format(seen=seen, sums=_SUM_COLUMNS)
    result: Any = cursor.execute(statement, {**values, "slow_us": asked.slow_us})
    found: dict[str, Any] = result.fetchnumpy()
    sums = {name: np.asarray(found[f"sum {name}"], np.float64) for name in _SUMS}
    counts = {name: np.asarray(found[f"count {name}"], np.float64) for name in _SUMS}
    size = len(found["unit"])
    for name in asked.scores:
        sums[SCORE + name], counts[SCORE + name] = np.zeros(size), np.zeros(size)
    if asked.scores:
        places = {
            key: index
            for index, key in enumerate(
                zip(found["unit"], found["arm"], found["is_out"], strict=True)
            )
        }
        rows = cursor.execute(
            _SCORES.format(seen=seen), {**values, "names": list(asked.scores)}
        ).fetchall()
        for unit, arm, is_out, name, total, count in rows:
            index = places[unit, arm, is_out]
            sums[SCORE + name][index], counts[SCORE + name][index] = total, count
    return UnitTable(
        units=np.asarray(found["unit"], object),
        arms=np.asarray(found["arm"], object),
        is_holdout=np.asarray(found["is_out"], np.bool_),
        propensities=np.asarray(found["chance"], np.float64),
        first_us=np.asarray(found["first_us"], np.int64),
        requests=np.asarray(found["requests"], np.float64),
        sums=sums,
        counts=counts,
    )
