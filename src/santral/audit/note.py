"""Write into the audit log, in the transaction of the act itself: both are there, or neither."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from santral.audit import store
from santral.audit.entry import SYSTEM, Actor, Entry, Link, Note, chained
from santral.db.engine import Connection

__all__ = ["SYSTEM", "Actor", "Note", "note", "note_all", "note_once"]


async def note(
    conn: Connection,
    actor: Actor,
    action: str,
    object: str,
    *,
    tenant_id: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> Entry:
    """Note one act in the transaction ``conn`` that commits it; return the row.

    Every other transaction that notes something waits from here until this one ends: call it after
    the act's own statements. ``before`` and ``after`` say what changed, never a secret.
    """
    made = Note(
        actor=actor,
        action=action,
        object=object,
        tenant_id=tenant_id,
        before=before,
        after=after,
        occurred_at=now,
    )
    return (await note_all(conn, [made]))[0]


async def note_all(conn: Connection, notes: Iterable[Note]) -> list[Entry]:
    """Note several acts in their order, in one turn; return their rows."""
    return await _append(conn, notes, await store.take_turn(conn))


async def note_once(conn: Connection, notes: Iterable[Note]) -> list[Entry]:
    """Note those acts on whose object nothing was noted yet; return their rows.

    For what is delivered again after a failure: however often, there is one row.
    """
    link = await store.take_turn(conn)
    fresh = {one.object: one for one in notes}
    known = await store.known_objects(conn, fresh.keys())
    return await _append(conn, [fresh[name] for name in fresh if name not in known], link)


async def _append(conn: Connection, notes: Iterable[Note], link: Link) -> list[Entry]:
    now = datetime.now(UTC)
    entries: list[Entry] = []
    for one in notes:
        entry = chained(one, link, now)
        link = entry.link
        entries.append(entry)
    await store.insert_entries(conn, entries)
    return entries
