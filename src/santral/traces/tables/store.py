"""Makes the tables of the telemetry store, and brings those of an older version up to date."""

from __future__ import annotations

from pathlib import Path

import duckdb

from santral.errors import StoreError
from santral.traces.rows import TABLES
from santral.traces.scores import store as scores

#: Counts up when a table changes; an older store gets what it lacks, a newer one is refused whole.
SCHEMA_VERSION = 7
_CHECKPOINTS = """
    CREATE TABLE IF NOT EXISTS checkpoints (
        segment VARCHAR, "offset" BIGINT,
        received BIGINT, stored BIGINT, rejected BIGINT, duplicate BIGINT)
"""


def make_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make what a new store lacks, and what came since an older version made it."""
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT)")
    if connection.execute("SELECT 1 FROM schema_version").fetchone() is None:
        connection.execute("INSERT INTO schema_version VALUES ($v)", {"v": SCHEMA_VERSION})
    for table, columns in TABLES.items():
        body = ", ".join(f'"{name}" {kind}' for name, kind in columns)
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({body})")
    _upgrade(connection)
    scores.make(connection)
    connection.execute(_CHECKPOINTS)
    connection.execute("COMMIT")


def _upgrade(connection: duckdb.DuckDBPyConnection) -> None:
    """Give the tables of an older version the columns that came since; what they held stays."""
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    if row is None or row[0] >= SCHEMA_VERSION:
        return
    empty = {"BIGINT": "0", "BOOLEAN": "false", "DOUBLE": "0", "VARCHAR": "''"}
    as_json = {"losses": "'[]'", "decision": "'{}'"}
    for table, columns in TABLES.items():
        for name, kind in columns:
            default = as_json.get(name, empty[kind])
            connection.execute(
                f'ALTER TABLE {table} ADD COLUMN IF NOT EXISTS "{name}" {kind} DEFAULT {default}'
            )
    connection.execute("UPDATE schema_version SET version = $v", {"v": SCHEMA_VERSION})


def check_version(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Return the number of the next row, if the store is of our version."""
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    if row is None or row[0] != SCHEMA_VERSION:
        found = row[0] if row else "unknown"
        raise StoreError(
            f"The telemetry store {path} has version {found}; this Santral reads version "
            f"{SCHEMA_VERSION}. Run the Santral that wrote it, or move the file away to begin anew."
        )
    row = connection.execute("SELECT coalesce(max(n), 0) + 1 FROM traces").fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return row[0]
