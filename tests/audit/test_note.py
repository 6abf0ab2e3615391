"""Notes: one chain, in the transaction of the act, on both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from sqlalchemy import text

from santral.audit.entry import GENESIS, Entry, digest
from santral.audit.note import Actor, note
from santral.db.engine import Engine, connect, reading, writing

pytestmark = pytest.mark.anyio

ADA = Actor("user:usr_ada", "203.0.113.7")


async def count(engine: Engine) -> int:
    async with reading(engine) as conn:
        return (await conn.execute(text("SELECT count(*) FROM audit_log"))).scalar_one()


async def test_rows_are_numbered_and_chained(engine: Engine) -> None:
    entries: list[Entry] = []
    for number in range(3):
        async with writing(engine) as conn:
            entries.append(
                await note(conn, ADA, "keys.revoke", f"key:key_{number}", tenant_id="acme")
            )
    assert [entry.number for entry in entries] == [1, 2, 3]
    assert entries[0].previous_hash == GENESIS
    assert entries[2].previous_hash == entries[1].hash == digest(entries[1])


async def test_an_act_that_is_rolled_back_is_not_noted(engine: Engine) -> None:
    async def act() -> None:
        async with writing(engine) as conn:
            await note(conn, ADA, "keys.revoke", "key:key_1", tenant_id="acme")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await act()
    assert await count(engine) == 0


async def test_acts_side_by_side_leave_no_gap(engine: Engine, database: str) -> None:
    async def act(own: Engine) -> None:
        for number in range(10):
            async with writing(own) as conn:
                await note(conn, ADA, "keys.create", f"key:{number}", tenant_id="acme")

    others = [connect(database) for _ in range(4)]
    async with asyncio.TaskGroup() as group:
        for own in others:
            group.create_task(act(own))
    for own in others:
        await own.dispose()
    async with reading(engine) as conn:
        rows = (await conn.execute(text("SELECT number, previous_hash, hash FROM audit_log"))).all()
    rows = sorted(rows)
    assert [row.number for row in rows] == list(range(1, 41))
    assert all(a.hash == b.previous_hash for a, b in pairwise(rows))


async def test_what_a_database_cannot_keep_is_noted_as_it_can(engine: Engine) -> None:
    odd = {"name": "a\0b\ud800", "at": datetime(2026, 1, 1, tzinfo=UTC), "rate": float("inf")}
    async with writing(engine) as conn:
        entry = await note(conn, ADA, "x.y", "o:\0", tenant_id="*", after=odd)
    assert entry.object == "o:\ufffd"
    assert entry.after == {"name": "a\ufffdb?", "at": "2026-01-01 00:00:00+00:00", "rate": "inf"}
