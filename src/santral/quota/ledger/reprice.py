"""Replay what was used with other prices: rows stay, corrections are added, sums show the new total."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from santral.audit.note import Actor, Note, note_all
from santral.db.engine import Connection, Engine, reading, writing
from santral.providers.catalogue.prices import PriceBook
from santral.quota.ledger import store
from santral.quota.ledger.entry import REPRICE, LedgerRow, Place, usage_of
from santral.wire.usage import CLASSES

#: Rows of one transaction. Chosen: SQLite's other writers wait some tens of milliseconds for it.
BATCH_ROWS = 2000

_NOTHING_USED = dict.fromkeys(CLASSES, 0)


class Replay(Struct, frozen=True, kw_only=True):
    """What is replayed: the rows of a time, of some tenants or of all."""

    since_s: int
    until_s: int
    tenant_ids: Sequence[str] | None = None
    is_dry_run: bool = False


class Repriced(Struct, kw_only=True):
    """What a replay did to one tenant. Costs are of the rows whose price is known."""

    tenant_id: str
    rows: int = 0
    corrected: int = 0
    became_known: int = 0  # of the corrected ones: they had no price before
    unknown: int = 0  # rows of models that the version has no price for: they stay as they are
    before_nanousd: int = 0
    after_nanousd: int = 0


async def reprice(
    engine: Engine,
    book: PriceBook,
    replay: Replay,
    *,
    actor: Actor,
    progress: Callable[[int], None] = lambda rows: None,
) -> list[Repriced]:
    """Correct the rows that cost something else by ``book``; return what changed for each tenant.

    A second replay with the same prices adds nothing. After an error some batches may be corrected:
    run it again. ``progress`` is told of the rows of every batch.
    """
    sums: dict[str, Repriced] = {}
    after = Place(replay.since_s)
    while True:
        async with (reading if replay.is_dry_run else writing)(engine) as conn:
            rows = await _batch(conn, book, replay, after, sums, actor)
        if not rows:
            return [sums[tenant] for tenant in sorted(sums)]
        progress(len(rows))
        after = Place.of(rows[-1])


async def _batch(
    conn: Connection,
    book: PriceBook,
    replay: Replay,
    after: Place,
    sums: dict[str, Repriced],
    actor: Actor,
) -> list[LedgerRow]:
    if not replay.is_dry_run:
        await store.take_turn_to_correct(conn)
    rows = await store.attempts_page(conn, replay.tenant_ids, after, replay.until_s, BATCH_ROWS)
    earlier: dict[tuple[str, int], list[LedgerRow]] = {}
    for row in await store.corrections_of(conn, [row.request_id for row in rows]):
        earlier.setdefault((row.request_id, row.attempt), []).append(row)
    made: list[LedgerRow] = []
    for row in rows:
        known = earlier.get((row.request_id, row.attempt), [])
        sum_ = sums.setdefault(row.tenant_id, Repriced(tenant_id=row.tenant_id))
        made += _replayed(row, known, book, sum_)
    if made and not replay.is_dry_run:
        await store.insert_rows(conn, made)
        await _note(conn, actor, book, made)
    return rows


def total(row: LedgerRow, corrections: Sequence[LedgerRow]) -> int | None:
    """Return what an attempt costs by its row and its corrections; None where no price is known."""
    known = [r.cost_nanousd for r in (row, *corrections) if r.cost_nanousd is not None]
    return sum(known) if known else None


def cost_by(book: PriceBook, row: LedgerRow) -> int | None:
    """Return what the attempt of a row costs by ``book``; what used nothing costs nothing."""
    usage = usage_of(row)
    if not usage.total_tokens:
        return 0
    model = row.price_row or row.model
    return book.cost(
        row.provider, model, usage, row.occurred_s * 1_000_000, row.price_variant
    ).nanousd


def _replayed(
    row: LedgerRow, known: Sequence[LedgerRow], book: PriceBook, sums: Repriced
) -> list[LedgerRow]:
    """Return the correction that a row needs, if any, and add it to the sums of its tenant."""
    before, after = total(row, known), cost_by(book, row)
    sums.rows += 1
    sums.before_nanousd += before or 0
    if after is None:
        sums.unknown += 1
        sums.after_nanousd += before or 0
        return []
    sums.after_nanousd += after
    if after == before:
        return []
    sums.corrected += 1
    sums.became_known += before is None
    return [
        msgspec.structs.replace(
            row,
            kind=_kind(book.version, known),
            cost_nanousd=after - (before or 0),
            price_version=book.version,
            unpriced=-1 if before is None else 0,
            is_estimated=False,
            **_NOTHING_USED,
        )
    ]


def _kind(version: str, known: Sequence[LedgerRow]) -> str:
    """Return a kind that no correction has: a version may come back after another one."""
    again = sum(row.price_version == version for row in known)
    return f"{REPRICE}{version}#{again + 1}" if again else f"{REPRICE}{version}"


async def _note(conn: Connection, actor: Actor, book: PriceBook, made: Sequence[LedgerRow]) -> None:
    sums: dict[str, tuple[int, int]] = {}
    for row in made:
        rows, nanousd = sums.get(row.tenant_id, (0, 0))
        sums[row.tenant_id] = (rows + 1, nanousd + (row.cost_nanousd or 0))
    await note_all(
        conn,
        [
            Note(
                actor=actor,
                action="ledger.reprice",
                object=f"prices:{book.version}",
                tenant_id=tenant,
                after={"rows": rows, "difference_nanousd": nanousd},
            )
            for tenant, (rows, nanousd) in sums.items()
        ],
    )
