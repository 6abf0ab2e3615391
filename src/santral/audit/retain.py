"""Retention: rows older than the configured months are cut off the beginning of the chain."""

from __future__ import annotations

import asyncio
import calendar
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from santral.audit import store
from santral.audit.note import SYSTEM, note
from santral.audit.verify import CUT_ACTION, cut_object
from santral.db.engine import Engine, writing
from santral.errors import StoreError

log = logging.getLogger(__name__)

#: Rows removed in one transaction. Chosen: it holds SQLite's write lock for some milliseconds.
BATCH_ROWS = 5000
#: How often old rows are looked for, in seconds. Chosen: months are counted, not hours.
EVERY_S = 3600.0
#: Pause between two batches, in seconds, so that others get the write lock. Chosen.
_PAUSE_S = 0.05


async def run_retention(
    engine: Engine,
    keep_months: int,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Cut what is older than ``keep_months`` months, every hour until cancelled."""
    while True:
        try:
            cut = await cut_before(engine, months_before(clock(), keep_months), clock, sleep)
            if cut:
                log.info("audit_cut", extra={"rows": cut})
        except StoreError as error:
            log.warning("audit_not_cut", extra={"error": error.message})
        await sleep(EVERY_S)


async def cut_before(
    engine: Engine,
    moment: datetime,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> int:
    """Remove the rows before the first one that is not older than ``moment``; return how many.

    Every batch is one transaction with the new beginning of the chain and a row that says so: the
    chain verifies at every moment, also after a kill.

    Raises:
        StoreError: the database does not answer.
    """
    removed = 0
    while batch := await _cut_batch(engine, moment, clock()):
        removed += batch
        await sleep(_PAUSE_S)
    return removed


def months_before(moment: datetime, months: int) -> datetime:
    """Return the same day so many calendar months earlier, or the last day of that month."""
    count = moment.year * 12 + moment.month - 1 - months
    year, month = count // 12, count % 12 + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return moment.replace(year=year, month=month, day=day)


async def _cut_batch(engine: Engine, moment: datetime, now: datetime) -> int:
    async with writing(engine) as conn:
        newest = await store.take_turn(conn)
        anchor = (await store.read_anchor(conn)).link
        first_kept = await store.first_number_since(conn, moment)
        end = (newest.number + 1 if first_kept is None else first_kept) - 1
        end = min(end, anchor.number + BATCH_ROWS)
        last = await store.find_entry(conn, end) if end > anchor.number else None
        # A row about a cut is itself a row: alone it is no reason for another cut.
        if last is None or (last.action == CUT_ACTION and end == anchor.number + 1):
            return 0
        removed = await store.delete_entries(conn, end)
        await store.move_anchor(conn, last.link, now)
        await note(
            conn,
            SYSTEM,
            CUT_ACTION,
            cut_object(end),
            tenant_id="*",
            before={"first": anchor.number + 1},
            after={"first": end + 1, "hash": last.hash, "rows": removed, "older_than": moment},
            now=now,
        )
        return removed
