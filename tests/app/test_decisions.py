"""Decisions of guardrails in the audit log: each once, none with a text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text
from tests.db.databases import (
    anyio_backend,
    database,
    engine,
    migrated_postgres,
    sqlite_template,
)
from tests.db.postgres import postgres_server

from santral.app import decisions as module
from santral.app.decisions import note_decisions
from santral.audit.verify import verify
from santral.db.engine import Engine, reading, writing
from santral.traces.record import Payload, TraceRecord, VerdictRecord

__all__ = [
    "anyio_backend",
    "database",
    "engine",
    "migrated_postgres",
    "postgres_server",
    "sqlite_template",
]

pytestmark = pytest.mark.anyio

REFUSED = VerdictRecord(
    check="injection", place="input", verdict="found", action="refuse", reason="rule", count=1
)
MASKED = VerdictRecord(check="pii", place="output", verdict="found", action="mask", count=2)
PASSED = VerdictRecord(check="pii", place="input", verdict="passed", action="mask")
ALLOWED = VerdictRecord(check="length", place="input", verdict="found", action="report")


def record(number: int, *verdicts: VerdictRecord) -> TraceRecord:
    return TraceRecord(
        trace_id=f"{number:032x}",
        request_id=f"req_{number}",
        tenant_id="acme",
        key_id="key_1",
        route="chat",
        requested_model="chat",
        started_at_us=1_795_348_800_000_000 + number,
        duration_us=1_000_007,
        status=200,
        user="ada@example.com",
        verdicts=[*verdicts],
        payload=Payload(request="my secret question", response="a secret answer"),
    )


async def rows(engine: Engine) -> list[tuple[object, ...]]:
    async with reading(engine) as conn:
        found = await conn.execute(
            text("SELECT action, object, tenant_id, actor, origin FROM audit_log ORDER BY number")
        )
        return [tuple(row) for row in found]


async def test_what_refused_or_masked_is_a_row_and_nothing_else(engine: Engine) -> None:
    assert await note_decisions(engine, [record(1, PASSED, REFUSED, ALLOWED, MASKED)]) == 2
    trace = f"trace:{1:032x}"
    assert await rows(engine) == [
        ("guardrails.refused", f"{trace}#1", "acme", "key:key_1", "gateway"),
        ("guardrails.masked", f"{trace}#3", "acme", "key:key_1", "gateway"),
    ]
    async with reading(engine) as conn:
        everything = str((await conn.execute(text("SELECT * FROM audit_log"))).all())
    assert "injection" in everything
    assert "secret" not in everything
    assert "ada@example.com" not in everything


async def test_a_batch_delivered_again_adds_no_row(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 7)
    batch = [record(number, REFUSED, MASKED) for number in range(20)]
    assert await note_decisions(engine, batch) == 40
    assert await note_decisions(engine, [*batch, record(99, MASKED), *batch]) == 1
    assert len(await rows(engine)) == 41
    assert (await verify(engine, [])).broken is None


async def test_a_batch_that_failed_in_its_middle_is_whole_after_the_next_try(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 5)
    open_, left = writing, [2]

    def failing(on: Engine) -> object:
        if left[0] == 0:
            raise ConnectionResetError
        left[0] -= 1
        return open_(on)

    batch = [record(number, MASKED) for number in range(23)]
    monkeypatch.setattr(module, "writing", failing)
    with pytest.raises(ConnectionResetError):
        await note_decisions(engine, batch)
    assert len(await rows(engine)) == 10
    monkeypatch.setattr(module, "writing", open_)
    assert await note_decisions(engine, batch) == 13
    assert len({row[1] for row in await rows(engine)}) == 23


async def test_requests_without_a_decision_cost_no_transaction(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(on: Engine) -> Callable[[], None]:
        raise AssertionError

    monkeypatch.setattr(module, "writing", refuse)
    assert await note_decisions(engine, [record(1, PASSED), record(2)]) == 0
