"""What stands in the log, for whoever may read it."""

from __future__ import annotations

from collections.abc import Collection

from santral.audit import store
from santral.audit.entry import Entry
from santral.audit.store import Question
from santral.db.engine import Engine, reading
from santral.errors import NotFound

#: Most rows of one answer. Chosen.
MAX_LISTED = 1000


async def list_entries(engine: Engine, question: Question) -> list[Entry]:
    """Return the rows that ``question`` asks for, the newest first."""
    async with reading(engine) as conn:
        return await store.find_entries(conn, question)


async def show_entry(engine: Engine, number: int, tenants: Collection[str] | None = None) -> Entry:
    """Return one row, if it is about one of ``tenants``.

    Raises:
        NotFound: there is none, or it is about somebody else.
    """
    async with reading(engine) as conn:
        entry = await store.find_entry(conn, number)
        anchor = await store.read_anchor(conn)
    if entry is not None and (tenants is None or entry.tenant_id in tenants):
        return entry
    cut = f" Retention removed the rows up to {anchor.link.number}." if anchor.link.number else ""
    raise NotFound(f"There is no row {number}.{cut} List them with: santral audit list")
