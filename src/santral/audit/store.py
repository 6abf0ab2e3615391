"""The audit log in the control database: rows are added, read in order, and cut at their beginning."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import func, insert, select

from santral.audit.entry import GENESIS, Entry, Link
from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.tables import audit_anchor, audit_log


async def take_turn(conn: Connection) -> Link:
    """Wait until no other transaction appends, and return the last link until this one ends.

    SQLite's write lock is that already; PostgreSQL locks the row of the anchor.
    """
    anchor = select(audit_anchor.c.number, audit_anchor.c.hash).with_for_update()
    row = (await conn.execute(anchor)).one_or_none()
    if row is None:
        first = upsert(conn, audit_anchor).values(id=1, number=0, hash=GENESIS)
        await conn.execute(first.on_conflict_do_nothing())
        row = (await conn.execute(anchor)).one()
    return await last_link(conn) or Link(row.number, row.hash)


async def last_link(conn: Connection) -> Link | None:
    """Return the newest row's place in the chain; ``None`` where there is no row."""
    newest = select(func.max(audit_log.c.number)).scalar_subquery()
    statement = select(audit_log.c.number, audit_log.c.hash).where(audit_log.c.number == newest)
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else Link(row.number, row.hash)


async def insert_entries(conn: Connection, entries: Sequence[Entry]) -> None:
    """Append rows, in the turn that ``take_turn`` gave."""
    if entries:
        await conn.execute(insert(audit_log), [msgspec.structs.asdict(e) for e in entries])
