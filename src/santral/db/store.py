"""The revision of the control database: a number that grows with every change gateways must see."""

from __future__ import annotations

from sqlalchemy import select, update

from santral.db.engine import Connection
from santral.db.tables import revision


async def bump_revision(conn: Connection) -> int:
    """Count one more change, in the transaction that makes it; return the new number."""
    statement = (
        update(revision)
        .where(revision.c.id == 1)
        .values(number=revision.c.number + 1)
        .returning(revision.c.number)
    )
    return (await conn.execute(statement)).scalar_one()


async def read_revision(conn: Connection) -> int:
    """Return the number; equal numbers mean that nothing has to be loaded again."""
    return (await conn.execute(select(revision.c.number))).scalar_one()
