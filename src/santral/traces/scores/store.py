"""Statements on scores; each works inside the transaction, or on the cursor, that it is given.

A score whose caller named a request or a response finds its trace when both are here; until then it
is in no rate. ``current_scores`` holds what is in force: the newest of a rater, unless taken back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal, TypeAlias

import duckdb
import numpy as np
from msgspec import Struct

from santral.traces.record import SHADOW_SUFFIX
from santral.traces.scores.score import OF_REQUEST, OF_RESPONSE, ScoreRecord
from santral.traces.whose import MEANT, Whose, names

#: Columns of the table ``scores``: the fields of a score, but for what only the spool needs.
COLUMNS: tuple[tuple[str, str], ...] = (
    ("id", "VARCHAR"),
    ("tenant_id", "VARCHAR"),
    ("trace_id", "VARCHAR"),
    ("name", "VARCHAR"),
    ("source", "VARCHAR"),
    ("at_us", "BIGINT"),
    ("value", "DOUBLE"),
    ("label", "VARCHAR"),
    ("comment", "VARCHAR"),
    ("rater", "VARCHAR"),
    ("evaluator_version", "VARCHAR"),
    ("probability", "DOUBLE"),
    ("session", "VARCHAR"),
    ("user", "VARCHAR"),
    ("is_retracted", "BOOLEAN"),
    ("is_sealed", "BOOLEAN"),
)
_NAMES = ", ".join(f'"{name}"' for name, _ in COLUMNS)
_DTYPES = {"VARCHAR": object, "BIGINT": np.int64, "DOUBLE": np.float64, "BOOLEAN": np.bool_}

#: How long before a score its trace may have begun, looked for at once and now and then, and after it
#: by the clock of another machine, in microseconds. Chosen: feedback comes within a day, at most a
#: month; only the blocks of that time are read.
_SOON_US, _LATE_US, _AFTER_US = 86_400_000_000, 31 * 86_400_000_000, 60_000_000
#: How often scores that found no trace look again, near and far, in microseconds. Chosen: measured with
#: a million traces of a month, near takes 10 ms and far 300.
_NEAR_EVERY_US, _FAR_EVERY_US = 5_000_000, 60_000_000
#: For how long a score looks for its trace, in microseconds. Chosen: a worker's segment is collected
#: within seconds; after an outage of the store both come together.
_LOOKS_FOR_US = 3_600_000_000

_BODY = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS)
#: How far apart two deliveries of one score can be, in microseconds. Chosen: whoever sends it again
#: with the same Idempotency-Key does so within a day.
_SAME_WITHIN_US = 86_400_000_000

_TABLE = f"CREATE TABLE IF NOT EXISTS scores ({_BODY})"
_CURRENT = f"""
    CREATE OR REPLACE VIEW current_scores AS
    SELECT {_NAMES} FROM (
        SELECT {_NAMES}, row_number() OVER (
            PARTITION BY tenant_id, trace_id, name, source, rater ORDER BY at_us DESC, id DESC) AS age
        FROM scores)
    WHERE age = 1 AND NOT is_retracted
"""  # noqa: S608 - composed of constants
_KNOWN = """
    SELECT i.i FROM incoming i JOIN scores s
      ON s.tenant_id = i.tenant_id AND s.id = i.id
    WHERE s.at_us BETWEEN $low AND $high
"""
#: The newest request that the caller can mean: a cached answer keeps the id of the first one.
_RESOLVE = f"""
    WITH lost AS (
        SELECT id, tenant_id, at_us, trace_id AS wanted FROM scores
        WHERE at_us >= $since AND contains(trace_id, ':')),
    near AS (
        SELECT tenant_id, trace_id, request_id, response_id, session, "user", started_at_us
        FROM traces WHERE started_at_us BETWEEN $since - $before AND $until + {_AFTER_US}),
    nearby AS (
        SELECT l.id, l.at_us, t.* FROM lost l JOIN near t
          ON t.tenant_id = l.tenant_id AND '{OF_REQUEST}' || t.request_id = l.wanted
        UNION ALL
        SELECT l.id, l.at_us, t.* FROM lost l JOIN near t
          ON t.tenant_id = l.tenant_id AND '{OF_RESPONSE}' || t.response_id = l.wanted),
    found AS (
        SELECT id, tenant_id, max_by(trace_id, started_at_us) AS trace_id,
               max_by(session, started_at_us) AS session, max_by("user", started_at_us) AS "user"
        FROM nearby WHERE started_at_us <= at_us + {_AFTER_US} GROUP BY id, tenant_id)
    UPDATE scores SET trace_id = f.trace_id, session = f.session, "user" = f."user"
    FROM found f WHERE scores.id = f.id AND scores.tenant_id = f.tenant_id
"""  # noqa: S608 - composed of constants
_LOST = "SELECT count(*) FROM scores WHERE at_us >= $since AND contains(trace_id, ':')"
_OF_TRACE = f"""
    SELECT {_NAMES} FROM current_scores
    WHERE {MEANT} AND trace_id = $trace_id ORDER BY at_us, id LIMIT $limit
"""  # noqa: S608 - composed of constants
_LIST = f"""
    SELECT {_NAMES} FROM current_scores
    WHERE {MEANT} AND at_us >= $since AND at_us < $until
      AND ($name = '' OR name = $name) AND ($source = '' OR source = $source)
      AND ($at IS NULL OR (at_us, id) < ($at, $id))
    ORDER BY at_us DESC, id DESC LIMIT $limit
"""  # noqa: S608 - composed of constants
_SCOPE = f"""
    {MEANT} AND started_at_us >= $since AND started_at_us < $until AND status < 400
      AND NOT ends_with(route, '{SHADOW_SUFFIX}')
      AND ($route = '' OR route = $route) AND ($prompt = '' OR prompt = $prompt)
      AND ($variant = '' OR variant = $variant)
"""
_GROUPS = {
    "": "''",
    "route": "route",
    "prompt": "prompt || CASE WHEN prompt_version = '' THEN '' ELSE '@' || prompt_version END",
    "variant": "experiment || CASE WHEN variant = '' THEN '' ELSE '/' || variant END",
}
_RATES = """
    WITH meant AS (
        SELECT tenant_id, trace_id, {by} AS part FROM traces WHERE {scope}),
    asked AS (SELECT part, count(*) AS n FROM meant GROUP BY part),
    given AS (
        SELECT tenant_id, trace_id, name, source, evaluator_version, value FROM (
            SELECT *, row_number() OVER (
                PARTITION BY tenant_id, trace_id, name, source, rater
                ORDER BY at_us DESC, id DESC) AS age
            FROM scores
            WHERE at_us >= $since - 60000000 AND ($name = '' OR name = $name))
        WHERE age = 1 AND NOT is_retracted)
    SELECT m.part, s.name, s.source, s.evaluator_version, any_value(a.n), count(DISTINCT s.trace_id),
           count(s.value), coalesce(sum(s.value), 0), coalesce(sum(s.value * s.value), 0),
           count(*) FILTER (s.value > 0)
    FROM given s JOIN meant m USING (tenant_id, trace_id) JOIN asked a ON a.part = m.part
    GROUP BY m.part, s.name, s.source, s.evaluator_version
    ORDER BY m.part, s.name, s.source, s.evaluator_version
"""
_ASKED = """
    SELECT {by} AS part, count(*) FROM traces WHERE {scope} GROUP BY part ORDER BY part
"""

Part: TypeAlias = Literal["", "route", "prompt", "variant"]


class RateRow(Struct, frozen=True, kw_only=True):
    """The scores of one name and source on the requests of one part, as sums."""

    part: str  # a route, a prompt with its version, a variant; empty for all
    name: str
    source: str
    evaluator_version: str
    responses: int  # requests that were answered and could have been scored
    rated: int  # of them: those that were
    valued: int  # scores that have a value; a rater each
    total: float
    squares: float
    positive: int  # values above zero


class RateFilters(Struct, frozen=True, kw_only=True):
    """On which requests scores are looked for. Empty means all."""

    since_us: int
    until_us: int
    route: str = ""
    prompt: str = ""
    variant: str = ""
    name: str = ""


def make(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table and the view."""
    connection.execute(_TABLE)
    connection.execute(_CURRENT)


def insert(connection: duckdb.DuckDBPyConnection, scores: Sequence[ScoreRecord]) -> int:
    """Store what is not stored yet; return how many were new."""
    fresh = _without_duplicates(connection, scores)
    if not fresh:
        return 0
    connection.register("incoming", _arrays(fresh))
    try:
        connection.execute("INSERT INTO scores BY NAME SELECT * FROM incoming")
    finally:
        connection.unregister("incoming")
    return len(fresh)


class Search:
    """Gives scores that name a request or a response their trace; far back only now and then."""

    def __init__(self) -> None:
        self._has_lost = True  # until asked, perhaps
        self._near_us = self._far_us = 0

    def look(self, connection: duckdb.DuckDBPyConnection, now_us: int, *, is_new: bool) -> None:
        """Look for the traces of all that have none, where it is time to, or ``is_new`` says so."""
        if not is_new and (not self._has_lost or now_us - self._near_us < _NEAR_EVERY_US):
            return
        self._near_us = now_us
        if self._find(connection, now_us, _SOON_US) and now_us - self._far_us >= _FAR_EVERY_US:
            self._far_us = now_us
            self._find(connection, now_us, _LATE_US)

    def _find(self, connection: duckdb.DuckDBPyConnection, now_us: int, before_us: int) -> bool:
        """Look as far back as ``before_us``; say whether some still have none."""
        since = {"since": now_us - _LOOKS_FOR_US}
        if _count(connection, _LOST, since):
            connection.execute(_RESOLVE, {**since, "until": now_us, "before": before_us})
        self._has_lost = _count(connection, _LOST, since) > 0
        return self._has_lost


def of_trace(
    connection: duckdb.DuckDBPyConnection, whose: Whose, trace_id: str, limit: int
) -> list[ScoreRecord]:
    """Return what is in force on one trace, the oldest first."""
    params = {"whose": names(whose), "trace_id": trace_id, "limit": limit}
    return [_score(row) for row in connection.execute(_OF_TRACE, params).fetchall()]


def list_scores(
    connection: duckdb.DuckDBPyConnection,
    whose: Whose,
    window: tuple[int, int],
    name: str,
    source: str,
    before: tuple[int, str] | None,
    limit: int,
) -> list[ScoreRecord]:
    """Return what is in force and was given in a window, the newest first."""
    at, some_id = before or (None, None)
    params = {"since": window[0], "until": window[1], "name": name, "source": source}
    found = connection.execute(
        _LIST, {**params, "whose": names(whose), "at": at, "id": some_id, "limit": limit}
    )
    return [_score(row) for row in found.fetchall()]


def rates(
    connection: duckdb.DuckDBPyConnection, whose: Whose, filters: RateFilters, by: Part
) -> list[RateRow]:
    """Return the scores on requests that began in a window, with how many could have been scored."""
    statement = _RATES.format(by=_GROUPS[by], scope=_SCOPE)
    params = {**_bound(whose, filters), "name": filters.name}
    return [_rate(row) for row in connection.execute(statement, params).fetchall()]


def responses(
    connection: duckdb.DuckDBPyConnection, whose: Whose, filters: RateFilters, by: Part
) -> dict[str, int]:
    """Return how many requests of each part could have been scored, also where none was."""
    statement = _ASKED.format(by=_GROUPS[by], scope=_SCOPE)
    return dict(connection.execute(statement, _bound(whose, filters)).fetchall())


def own_scores(
    connection: duckdb.DuckDBPyConnection,
    tenant_id: str,
    user: str,
    sessions: Sequence[str],
    numbers: Collection[int],
) -> list[ScoreRecord]:
    """Return every score by ``user``, and on the requests ``numbers``, taken back ones too."""
    params = {
        "tenant_id": tenant_id,
        "user": user,
        "sessions": list(sessions),
        "numbers": sorted(numbers),
    }
    found = connection.execute(f"SELECT {_NAMES} FROM scores WHERE {_OWN} ORDER BY at_us", params)  # noqa: S608
    return [_score(row) for row in found.fetchall()]


def delete_scores(
    connection: duckdb.DuckDBPyConnection, tenant_id: str, ids: Sequence[str]
) -> None:
    """Delete scores by their ids."""
    connection.execute(
        "DELETE FROM scores WHERE tenant_id = $tenant_id AND id IN (SELECT unnest($ids))",
        {"tenant_id": tenant_id, "ids": list(ids)},
    )


def delete_before(connection: duckdb.DuckDBPyConnection, tenant_id: str, before_us: int) -> int:
    """Delete a tenant's scores on requests that began, or that were given, before a moment.

    Asked before the requests themselves go: no score outlives its trace. Return how many went.
    """
    return _count(connection, _DELETE_OLD, {"tenant_id": tenant_id, "before": before_us})


def commented(
    connection: duckdb.DuckDBPyConnection, tenant_id: str, after: str, limit: int
) -> list[ScoreRecord]:
    """Return scores with a comment, by id after ``after``."""
    params = {"tenant_id": tenant_id, "after": after, "limit": limit}
    found = connection.execute(
        f"SELECT {_NAMES} FROM scores WHERE tenant_id = $tenant_id AND comment <> '' "  # noqa: S608
        "AND id > $after ORDER BY id LIMIT $limit",
        params,
    )
    return [_score(row) for row in found.fetchall()]


def replace_comment(
    connection: duckdb.DuckDBPyConnection, tenant_id: str, score_id: str, comment: str
) -> None:
    """Write other words into a score, sealed or not as they were."""
    connection.execute(
        "UPDATE scores SET comment = $comment WHERE tenant_id = $tenant_id AND id = $id",
        {"tenant_id": tenant_id, "id": score_id, "comment": comment},
    )


_OWN = """
    tenant_id = $tenant_id AND ($user <> '' AND ("user" = $user OR rater = $user)
        OR "user" = '' AND session <> '' AND session IN (SELECT unnest($sessions))
        OR trace_id IN (SELECT trace_id FROM traces
                        WHERE tenant_id = $tenant_id AND n IN (SELECT unnest($numbers))))
"""


_DELETE_OLD = """
    DELETE FROM scores WHERE tenant_id = $tenant_id AND (at_us < $before OR trace_id IN (
        SELECT trace_id FROM traces WHERE tenant_id = $tenant_id AND started_at_us < $before))
"""


def _count(connection: duckdb.DuckDBPyConnection, statement: str, params: dict[str, Any]) -> int:
    row = connection.execute(statement, params).fetchone()
    return int(row[0]) if row else 0


def _bound(whose: Whose, filters: RateFilters) -> dict[str, Any]:
    return {
        "whose": names(whose),
        "since": filters.since_us,
        "until": filters.until_us,
        "route": filters.route,
        "prompt": filters.prompt,
        "variant": filters.variant,
    }


def _without_duplicates(
    connection: duckdb.DuckDBPyConnection, scores: Sequence[ScoreRecord]
) -> list[ScoreRecord]:
    """Return the scores that are neither in the store nor earlier in ``scores``."""
    unique = list({(s.tenant_id, s.id): s for s in reversed(scores)}.values())[::-1]
    if not unique:
        return []
    moments = [score.at_us for score in unique]
    incoming = {
        "i": np.arange(len(unique)),
        "tenant_id": np.array([s.tenant_id for s in unique], dtype=object),
        "id": np.array([s.id for s in unique], dtype=object),
        "at_us": np.array(moments, dtype=np.int64),
    }
    connection.register("incoming", incoming)
    try:
        bounds = {"low": min(moments) - _SAME_WITHIN_US, "high": max(moments) + _SAME_WITHIN_US}
        known = {row[0] for row in connection.execute(_KNOWN, bounds).fetchall()}
    finally:
        connection.unregister("incoming")
    return [score for i, score in enumerate(unique) if i not in known]


def _arrays(scores: Sequence[ScoreRecord]) -> dict[str, np.ndarray[Any, Any]]:
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, kind in COLUMNS:
        values = [getattr(score, name) for score in scores]
        if name == "value":
            filled = np.array([0.0 if value is None else value for value in values])
            missing = [value is None for value in values]
            arrays[name] = np.ma.masked_array(filled, mask=missing)  # pyright: ignore[reportUnknownMemberType]
        else:
            arrays[name] = np.array(values, dtype=_DTYPES[kind])
    return arrays


def _score(row: tuple[Any, ...]) -> ScoreRecord:
    return ScoreRecord(**dict(zip([name for name, _ in COLUMNS], row, strict=True)))


def _rate(row: tuple[Any, ...]) -> RateRow:
    return RateRow(**dict(zip(RateRow.__struct_fields__, row, strict=True)))
