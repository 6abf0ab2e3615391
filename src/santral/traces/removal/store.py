"""Statements that find and remove traces; each works inside the transaction it is given.

DuckDB marks deleted rows; a checkpoint lets later rows use their space, and the bytes stay in the
file until then (measured, 2.0). Only a file written anew is free of them: ``copy_to``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from santral.traces.record import TraceRecord
from santral.traces.rows import TABLES, record_of
from santral.traces.scores import store as scores

_OWN_SESSIONS = """
    SELECT session FROM traces WHERE tenant_id = $tenant_id AND session <> ''
    GROUP BY session
    HAVING count(*) FILTER ("user" = $user) > 0 AND count(*) FILTER ("user" NOT IN ('', $user)) = 0
"""
_OWN = """
    SELECT n, request_id FROM traces
    WHERE tenant_id = $tenant_id AND ($user <> '' AND "user" = $user
        OR "user" = '' AND session <> '' AND session IN (SELECT unnest($sessions)))
    ORDER BY n
"""
_CANDIDATES = """
    SELECT n, trace_id, request_id, request, response, is_sealed
    FROM payloads JOIN traces USING (n, tenant_id)
    WHERE tenant_id = $tenant_id AND n > $after AND (is_sealed
        OR contains(request, '\\u')
        OR list_bool_or([contains(lower(request), lower(t)) OR contains(lower(response), lower(t))
                         FOR t IN $texts]))
    ORDER BY n LIMIT $limit
"""
_LABELLED = """
    SELECT n, tags FROM traces
    WHERE tenant_id = $tenant_id
      AND list_bool_or([contains(lower(tags), lower(t)) FOR t IN $texts])
    ORDER BY n
"""


class OwnRow(NamedTuple):
    """One request of a person."""

    n: int
    request_id: str


class PayloadRow(NamedTuple):
    """One payload that may hold a text."""

    n: int
    trace_id: str
    request_id: str
    request: str
    response: str
    is_sealed: bool


def own_sessions(connection: duckdb.DuckDBPyConnection, tenant_id: str, user: str) -> list[str]:
    """Return the sessions in which no other user than ``user`` was named."""
    params = {"tenant_id": tenant_id, "user": user}
    return [row[0] for row in connection.execute(_OWN_SESSIONS, params).fetchall()]


def own_rows(
    connection: duckdb.DuckDBPyConnection, tenant_id: str, user: str, sessions: Sequence[str]
) -> list[OwnRow]:
    """Return the requests of ``user``, and those of ``sessions`` that name nobody."""
    params = {"tenant_id": tenant_id, "user": user, "sessions": list(sessions)}
    return [OwnRow(*row) for row in connection.execute(_OWN, params).fetchall()]


def records(
    connection: duckdb.DuckDBPyConnection, tenant_id: str, numbers: Sequence[int]
) -> list[TraceRecord]:
    """Return the records of rows; payloads as they are stored."""
    found: list[TraceRecord] = []
    for n in numbers:
        params = {"n": n, "tenant_id": tenant_id}
        rows = {
            table: connection.execute(
                f"SELECT {_columns(table)} FROM {table} "  # noqa: S608 - names of our own tables
                "WHERE n = $n AND tenant_id = $tenant_id ORDER BY rowid",
                params,
            ).fetchall()
            for table in TABLES
        }
        if rows["traces"]:
            trace = rows.pop("traces")[0]
            found.append(record_of(trace, rows))
    return found


def count_rows(
    connection: duckdb.DuckDBPyConnection, tenant_id: str, numbers: Collection[int]
) -> dict[str, int]:
    """Return how many rows of every table belong to ``numbers``."""
    return _each_table(connection, "SELECT count(*) FROM", tenant_id, numbers)


def delete_rows(
    connection: duckdb.DuckDBPyConnection, tenant_id: str, numbers: Collection[int]
) -> dict[str, int]:
    """Delete rows of every table; return how many went from each."""
    return _each_table(connection, "DELETE FROM", tenant_id, numbers)


def candidates(
    connection: duckdb.DuckDBPyConnection,
    tenant_id: str,
    texts: Sequence[str],
    after: int,
    limit: int,
) -> list[PayloadRow]:
    """Return payloads after row ``after`` that may hold one of ``texts``: sealed ones may."""
    params = {
        "tenant_id": tenant_id,
        "texts": list(texts),
        "after": after,
        "limit": limit,
    }
    return [PayloadRow(*row) for row in connection.execute(_CANDIDATES, params).fetchall()]


def replace_payload(
    connection: duckdb.DuckDBPyConnection, tenant_id: str, n: int, request: str, response: str
) -> None:
    """Write other texts into a payload, sealed or not as it was."""
    connection.execute(
        "UPDATE payloads SET request = $request, response = $response "
        "WHERE tenant_id = $tenant_id AND n = $n",
        {"tenant_id": tenant_id, "n": n, "request": request, "response": response},
    )


def labelled(
    connection: duckdb.DuckDBPyConnection, tenant_id: str, texts: Sequence[str]
) -> list[tuple[int, str]]:
    """Return the tags, as JSON, that hold one of ``texts``, by row."""
    params = {"tenant_id": tenant_id, "texts": list(texts)}
    return connection.execute(_LABELLED, params).fetchall()


def replace_tags(connection: duckdb.DuckDBPyConnection, tenant_id: str, n: int, tags: str) -> None:
    """Write other tags into a row."""
    connection.execute(
        "UPDATE traces SET tags = $tags WHERE tenant_id = $tenant_id AND n = $n",
        {"tenant_id": tenant_id, "n": n, "tags": tags},
    )


def tenants(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return every tenant that has traces."""
    rows = connection.execute("SELECT DISTINCT tenant_id FROM traces ORDER BY 1").fetchall()
    return [row[0] for row in rows]


def delete_before(
    connection: duckdb.DuckDBPyConnection, tenant_id: str, before_us: int
) -> dict[str, int]:
    """Delete the requests of a tenant that began before a moment; return how many rows went."""
    params = {"tenant_id": tenant_id, "before": before_us}
    old = "SELECT n FROM traces WHERE tenant_id = $tenant_id AND started_at_us < $before"
    gone = {"scores": scores.delete_before(connection, tenant_id, before_us)}
    for table in sorted(TABLES, key=lambda table: table == "traces"):  # what names the others, last
        statement = f"DELETE FROM {table} WHERE tenant_id = $tenant_id AND n IN ({old})"  # noqa: S608
        gone[table] = _changed(connection.execute(statement, params))
    return gone


def copy_to(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write everything that is in the store, and nothing that was, into a new file at ``path``."""
    row = connection.execute("SELECT current_database()").fetchone()
    assert row is not None  # noqa: S101 - a function has a value
    connection.execute("CHECKPOINT")
    quoted = str(path).replace("'", "''")
    connection.execute(f"ATTACH '{quoted}' AS fresh")
    try:
        connection.execute(f'COPY FROM DATABASE "{row[0]}" TO fresh')
        connection.execute("CHECKPOINT fresh")
    finally:
        connection.execute("DETACH fresh")


def _each_table(
    connection: duckdb.DuckDBPyConnection, act: str, tenant_id: str, numbers: Collection[int]
) -> dict[str, int]:
    params = {"tenant_id": tenant_id, "numbers": sorted(numbers)}
    where = "WHERE tenant_id = $tenant_id AND n IN (SELECT unnest($numbers))"
    return {
        table: _changed(connection.execute(f"{act} {table} {where}", params)) for table in TABLES
    }


def _changed(answer: duckdb.DuckDBPyConnection) -> int:
    row = answer.fetchone()
    return int(row[0]) if row else 0


def _columns(table: str) -> str:
    return ", ".join(f'"{name}"' for name, _ in TABLES[table])
