"""Rows that an older version wrote, after the migration that closes the table."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text

import santral.db.migrate
from santral.db import tables
from santral.db.engine import connect, reading, writing
from santral.db.migrate import migrate

pytestmark = pytest.mark.anyio

INSERT = """
    INSERT INTO ledger (request_id, attempt, kind, tenant_id, key_id, route, deployment, provider,
        model, day, occurred_at, input_uncached, cache_read, cache_write, output_text, reasoning,
        is_estimated, cost_nanousd, price_version)
    VALUES (:id, 1, 'settle', 'acme', 'k', 'r', 'd', 'openai', 'gpt', '2026-11-22',
        '2026-11-22 12:00:00+00:00', 1, 0, 0, 1, 0, false, {cost}, 'v')
"""


async def test_rows_of_before_say_when_they_were_and_that_they_have_no_price(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = connect(empty_database)
    older = tmp_path / "migrations"
    with monkeypatch.context() as patch:
        shutil.copytree(santral.db.migrate._FOLDER, older)
        for path in (older / "versions").glob("0*.py"):
            if path.name >= "0004":
                path.unlink()
        patch.setattr(santral.db.migrate, "_FOLDER", older)
        await migrate(engine)
    async with writing(engine) as conn:
        await conn.execute(text(INSERT.format(cost="7")), {"id": "priced"})
        await conn.execute(text(INSERT.format(cost="NULL")), {"id": "unpriced"})
    await migrate(engine)
    async with reading(engine) as conn:
        rows = list(await conn.execute(select(tables.ledger).order_by("request_id")))
    assert [(row.request_id, row.unpriced, row.cost_nanousd) for row in rows] == [
        ("priced", 0, 7),
        ("unpriced", 1, None),
    ]
    noon = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp())
    assert {row.occurred_s for row in rows} == {noon}
    await engine.dispose()
