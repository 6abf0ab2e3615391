"""Inserts that meet a row which is already there: one wording for both databases."""

from __future__ import annotations

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from santral.db.engine import Connection


def upsert(conn: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return an INSERT with ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    return postgresql.insert(table) if conn.dialect.name == "postgresql" else sqlite.insert(table)
