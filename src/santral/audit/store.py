"""The audit log in the control database: rows are added, read in order, and cut at their beginning."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Row, Select, delete, func, insert, or_, select, update

from santral.audit.entry import GENESIS, Entry, Link
from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.tables import audit_anchor, audit_log


class Question(Struct, frozen=True, kw_only=True):
    """Which rows somebody wants to see; what is ``None`` or empty restricts nothing."""

    tenants: Collection[str] | None = None
    actor: str = ""
    action: str = ""  # keys.revoke, or keys. for all of a kind
    object: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None  # rows with a smaller number
    limit: int = 50


class Anchor(Struct, frozen=True):
    """What the chain stands on: the last row that retention removed, or the genesis."""

    link: Link
    cut_at: datetime | None


async def take_turn(conn: Connection) -> Link:
    """Wait until no other transaction appends, and return the last link until this one ends.

    SQLite's write lock is that already; PostgreSQL locks the row of the anchor.
    """
    statement = select(audit_anchor).with_for_update()
    row = (await conn.execute(statement)).one_or_none()
    if row is None:
        first = upsert(conn, audit_anchor).values(id=1, number=0, hash=GENESIS)
        await conn.execute(first.on_conflict_do_nothing())
        row = (await conn.execute(statement)).one()
    return await last_link(conn) or _anchor(row).link


async def read_anchor(conn: Connection) -> Anchor:
    """Return what the chain stands on."""
    row = (await conn.execute(select(audit_anchor))).one_or_none()
    return Anchor(Link(0, GENESIS), None) if row is None else _anchor(row)


async def move_anchor(conn: Connection, link: Link, now: datetime) -> None:
    """Let the chain stand on ``link`` from here on."""
    await conn.execute(update(audit_anchor).values(number=link.number, hash=link.hash, cut_at=now))


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


async def entries_after(conn: Connection, number: int, limit: int) -> list[Entry]:
    """Return the rows that follow ``number``, in their order."""
    statement = (
        select(audit_log).where(audit_log.c.number > number).order_by(audit_log.c.number)
    ).limit(limit)
    return [_entry(row) for row in await conn.execute(statement)]


async def links_up_to(conn: Connection, number: int) -> list[Link]:
    """Return some of the rows that stand before the beginning of the chain: there should be none."""
    statement = (
        select(audit_log.c.number, audit_log.c.hash)
        .where(audit_log.c.number <= number)
        .order_by(audit_log.c.number)
        .limit(2)
    )
    return [Link(row.number, row.hash) for row in await conn.execute(statement)]


async def find_entry(conn: Connection, number: int) -> Entry | None:
    """Return one row."""
    row = (await conn.execute(select(audit_log).where(audit_log.c.number == number))).one_or_none()
    return None if row is None else _entry(row)


async def find_entries(conn: Connection, question: Question) -> list[Entry]:
    """Return the rows that ``question`` asks for, the newest first."""
    statement = select(audit_log).order_by(audit_log.c.number.desc()).limit(question.limit)
    return [_entry(row) for row in await conn.execute(_restricted(statement, question))]


async def count_entries(conn: Connection) -> int:
    """Return how many rows there are."""
    return (await conn.execute(select(func.count()).select_from(audit_log))).scalar_one()


async def known_objects(conn: Connection, objects: Collection[str]) -> set[str]:
    """Return those of ``objects`` about which there is a row."""
    statement = select(audit_log.c.object).where(audit_log.c.object.in_(objects))
    return set((await conn.execute(statement)).scalars())


async def latest_about(
    conn: Connection, object_: str, actions: Collection[str] = ()
) -> Entry | None:
    """Return the newest row about an object, of any or of certain actions."""
    statement = select(audit_log).where(audit_log.c.object == object_)
    if actions:
        statement = statement.where(audit_log.c.action.in_(actions))
    statement = statement.order_by(audit_log.c.number.desc()).limit(1)
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else _entry(row)


async def first_number_since(conn: Connection, moment: datetime) -> int | None:
    """Return the number of the first row that is not older than ``moment``."""
    statement = select(func.min(audit_log.c.number)).where(audit_log.c.occurred_at >= moment)
    return (await conn.execute(statement)).scalar_one()


async def delete_entries(conn: Connection, number: int) -> int:
    """Remove the rows up to ``number``; return how many there were."""
    statement = delete(audit_log).where(audit_log.c.number <= number)
    return (await conn.execute(statement)).rowcount


def _restricted(statement: Select[Any], question: Question) -> Select[Any]:
    columns = audit_log.c
    if question.tenants is not None:
        statement = statement.where(columns.tenant_id.in_(question.tenants))
    if question.actor:
        statement = statement.where(columns.actor == question.actor)
    if question.action.endswith("."):
        statement = statement.where(columns.action.startswith(question.action, autoescape=True))
    elif question.action:
        statement = statement.where(columns.action == question.action)
    if question.object:
        # A trace has a row for each decision: trace:<id>#0, trace:<id>#1.
        inside = columns.object.startswith(f"{question.object}#", autoescape=True)
        statement = statement.where(or_(columns.object == question.object, inside))
    if question.since is not None:
        statement = statement.where(columns.occurred_at >= question.since)
    if question.until is not None:
        statement = statement.where(columns.occurred_at < question.until)
    if question.before is not None:
        statement = statement.where(columns.number < question.before)
    return statement


def _anchor(row: Row[Any]) -> Anchor:
    return Anchor(Link(row.number, row.hash), row.cut_at)


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        row.number,
        row.occurred_at,
        row.tenant_id,
        row.actor,
        row.action,
        row.object,
        row.before,
        row.after,
        row.origin,
        row.previous_hash,
        row.hash,
    )
