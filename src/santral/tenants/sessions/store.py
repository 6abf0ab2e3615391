"""Sessions in the control database: the digest of a cookie, and whose it is."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from sqlalchemy import delete, select

from santral.db.engine import Connection
from santral.db.tables import sessions
from santral.tenants.tenant import KeyId, UserId


class Holder(Struct, frozen=True):
    """Who signed in: a person, or whoever holds an administrator's key."""

    user_id: UserId | None
    key_id: KeyId | None


async def insert_session(
    conn: Connection, digest: str, holder: Holder, now: datetime, expires_at: datetime
) -> None:
    """Add a session."""
    values = {
        "digest": digest,
        "user_id": holder.user_id,
        "key_id": holder.key_id,
        "created_at": now,
        "expires_at": expires_at,
    }
    await conn.execute(sessions.insert().values(values))


async def find_session(conn: Connection, digest: str, now: datetime) -> Holder | None:
    """Return whose session this is, unless there is none or it is over."""
    statement = (
        select(sessions.c.user_id, sessions.c.key_id)
        .where(sessions.c.digest == digest)
        .where(sessions.c.expires_at > now)
    )
    row = (await conn.execute(statement)).first()
    return None if row is None else Holder(row.user_id, row.key_id)


async def delete_session(conn: Connection, digest: str) -> Holder | None:
    """End a session; return whose it was."""
    ended = await conn.execute(
        delete(sessions)
        .where(sessions.c.digest == digest)
        .returning(sessions.c.user_id, sessions.c.key_id)
    )
    row = ended.first()
    return None if row is None else Holder(row.user_id, row.key_id)


async def delete_over(conn: Connection, now: datetime) -> None:
    """Remove the sessions that are over."""
    await conn.execute(delete(sessions).where(sessions.c.expires_at <= now))


async def delete_oldest(conn: Connection, holder: Holder, kept: int) -> None:
    """End all but the newest sessions of one holder."""
    column = sessions.c.key_id if holder.user_id is None else sessions.c.user_id
    mine = column == (holder.key_id if holder.user_id is None else holder.user_id)
    newest = (
        select(sessions.c.digest)
        .where(mine)
        .order_by(sessions.c.created_at.desc(), sessions.c.digest)
        .limit(kept)
    )
    await conn.execute(delete(sessions).where(mine).where(sessions.c.digest.not_in(newest)))
