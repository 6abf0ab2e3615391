"""``santral audit verify``: walk the whole chain in the database and say whether it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

from msgspec import Struct

from santral.audit import store
from santral.audit.chain import Break, Chain
from santral.audit.entry import Link
from santral.audit.witness import Sighting
from santral.db.engine import Engine, reading

#: Rows read at once. Measured: more are not faster, and each batch is one short transaction.
BATCH_ROWS = 2000

#: No row is cut that was seen within this time. Chosen: the least that may be configured, six months,
#: less a month, for a decision is noted as late as its record waited in the spool.
KEPT = timedelta(days=150)

#: What retention calls itself in the log.
CUT_ACTION = "audit.cut"


class Finding(Struct, frozen=True, kw_only=True):
    """What a walk found; ``broken`` is ``None`` where everything holds."""

    first: int  # number of the first row; 0 where there is none
    last: Link
    rows: int
    cut_up_to: int = 0  # rows up to this one were removed by retention
    sightings: int = 0  # how many could be compared
    broken: Break | None = None


async def verify(
    engine: Engine,
    sightings: Iterable[Sighting],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Finding:
    """Walk the chain from its beginning to its end, against what was seen of it before.

    ``progress`` is told how many rows are done, and of how many. Rows that are added meanwhile are
    walked, too; rows that retention cuts meanwhile are not missed.

    Raises:
        StoreError: the database does not answer.
    """
    seen = list(sightings)
    async with reading(engine) as conn:
        anchor = await store.read_anchor(conn)
        total = await store.count_entries(conn)
    chain = Chain(anchor.link, {})
    broken = _contradiction(seen, anchor.link)
    if broken is None:
        chain = Chain(anchor.link, {sighting.number: sighting.hash for sighting in seen})
        broken = await _beginning(engine, anchor.link, seen)
    while broken is None:
        async with reading(engine) as conn:
            entries = await store.entries_after(conn, chain.last.number, BATCH_ROWS)
            now = (await store.read_anchor(conn)).link
        if now.number > chain.last.number:  # retention cut while we walked
            return await verify(engine, seen, progress)
        if not entries:
            broken = chain.end()
            break
        broken = chain.follow(entries)
        progress(chain.rows, max(total, chain.rows))
    return Finding(
        first=anchor.link.number + 1 if chain.rows else 0,
        last=chain.last,
        rows=chain.rows,
        cut_up_to=anchor.link.number,
        sightings=sum(s.number >= anchor.link.number for s in seen),
        broken=broken,
    )


def _contradiction(seen: list[Sighting], anchor: Link) -> Break | None:
    """Two sightings of one row that differ: the chain was written anew between them."""
    known = {anchor.number: anchor.hash} if anchor.number else {}
    for sighting in seen:
        if known.setdefault(sighting.number, sighting.hash) != sighting.hash:
            return Break(
                sighting.number, f"row {sighting.number} was seen with two different hashes"
            )
    return None


async def _beginning(engine: Engine, anchor: Link, seen: list[Sighting]) -> Break | None:
    """Return what is wrong with where the chain begins: a cut stands in the log as an act."""
    async with reading(engine) as conn:
        stray = await store.links_up_to(conn, anchor.number)
        note = await store.latest_about(conn, cut_object(anchor.number)) if anchor.number else None
    if stray:
        return Break(
            stray[0].number,
            f"row {stray[0].number} stands before the beginning of the log, which is after row "
            f"{anchor.number}",
        )
    if anchor.number == 0:
        return None
    if note is None or note.action != CUT_ACTION or (note.after or {}).get("hash") != anchor.hash:
        return Break(
            anchor.number,
            f"the log begins after row {anchor.number}, and no row says that retention cut there",
        )
    young = [
        s.number for s in seen if s.number <= anchor.number and s.seen_at > note.occurred_at - KEPT
    ]
    if young:
        return Break(
            min(young),
            f"row {min(young)} was still new when the rows up to {anchor.number} were cut: "
            "retention never does that",
        )
    return None


def cut_object(number: int) -> str:
    """Return what the row about a cut after ``number`` is about."""
    return f"audit:{number}"
