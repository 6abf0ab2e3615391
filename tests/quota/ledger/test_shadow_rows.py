"""What a mirrored request used is a row, and in nobody's balance, page or limits."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from tests.quota.ledger.test_write import NOON, TODAY, attempt, record, total

from santral.db.engine import Engine, reading
from santral.quota.ledger.entry import SHADOW, ledger_rows
from santral.quota.ledger.write import show_ledger, write_ledger
from santral.quota.store import used_since
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant

pytestmark = pytest.mark.anyio


def test_only_a_shadow_attempt_is_a_row_of_its_own_kind() -> None:
    attempts = [attempt(n, purpose=p) for n, p in enumerate(("", "retry", "hedge", "shadow"), 1)]
    kinds = [row.kind for row in ledger_rows(record("r", *attempts))]
    assert kinds == ["settle", "settle", "settle", SHADOW]


async def test_a_shadow_is_kept_and_billed_to_nobody(engine: Engine) -> None:
    await create_tenant(engine, "acme", None, NOON, by=local_operator())
    await write_ledger(engine, [record("r", attempt())])
    before = await total(engine), await show_ledger(engine, "acme", TODAY, by=local_operator())
    async with reading(engine) as conn:
        used = await used_since(conn, "tenant", 0)
    await write_ledger(engine, [record("r.s1", attempt(purpose="shadow", cost=9_000_000))])
    assert (
        await total(engine),
        await show_ledger(engine, "acme", TODAY, by=local_operator()),
    ) == before
    async with reading(engine) as conn:
        assert await used_since(conn, "tenant", 0) == used
        assert used[0].tokens > 0
        kept = await conn.execute(
            text("SELECT kind, cost_nanousd FROM ledger ORDER BY cost_nanousd")
        )
        assert [tuple(row) for row in kept] == [("settle", 1500), (SHADOW, 9_000_000)]
