"""Refused sign-ins in the audit log."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from santral.audit import store
from santral.audit.entry import Entry
from santral.audit.refusals import PER_MINUTE, Refusals
from santral.db.engine import Engine, reading, writing
from santral.errors import Unauthenticated

pytestmark = pytest.mark.anyio

REFUSED = Unauthenticated("The API key is not known here.")


async def entries(engine: Engine) -> list[Entry]:
    async with reading(engine) as conn:
        return await store.entries_after(conn, 0, 10_000)


async def test_a_refusal_says_why_and_from_where(engine: Engine) -> None:
    await Refusals(engine, lambda: 0.0).note("203.0.113.7", REFUSED)
    (row,) = await entries(engine)
    assert (row.actor, row.action, row.origin) == ("unknown", "sessions.refused", "203.0.113.7")
    assert row.after == {"code": "invalid_api_key", "reason": REFUSED.message, "unnoted": 0}


async def test_a_stranger_who_tries_without_end_fills_no_log(engine: Engine) -> None:
    now = [0.0]
    refusals = Refusals(engine, lambda: now[0])
    for _ in range(PER_MINUTE + 40):
        await refusals.note("203.0.113.7", REFUSED)
    assert len(await entries(engine)) == PER_MINUTE
    now[0] = 60.0
    await refusals.note("203.0.113.7", REFUSED)
    assert ((await entries(engine))[-1].after or {})["unnoted"] == 40


async def test_a_log_that_cannot_be_written_refuses_nobody_twice(engine: Engine) -> None:
    refusals = Refusals(engine, lambda: 0.0)
    async with writing(engine) as conn:
        await conn.execute(text("ALTER TABLE audit_log RENAME TO gone"))
    try:
        await refusals.note("203.0.113.7", REFUSED)
        assert refusals.unnoted == 1
    finally:
        async with writing(engine) as conn:
            await conn.execute(text("ALTER TABLE gone RENAME TO audit_log"))
