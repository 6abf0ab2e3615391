"""The ledger: rows added once, sums that are exact, on both databases."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from santral.db import tables
from santral.db.engine import Engine, connect, reading, writing
from santral.errors import NotFound
from santral.quota.ledger import store, write
from santral.quota.ledger.entry import Balance, ledger_rows
from santral.quota.ledger.write import show_ledger, write_ledger
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.tenants.tenant import TenantId
from santral.traces.record import AttemptRecord, TraceRecord
from santral.wire.usage import CLASSES, Usage

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TODAY = NOON.date()
ACME = TenantId("acme")


def attempt(number: int = 1, cost: int | None = 1500, **changes: object) -> AttemptRecord:
    fields: dict[str, object] = {
        "number": number,
        "deployment": "main",
        "provider": "openai",
        "model": "gpt",
        "start_us": 0,
        "duration_us": 1000,
        "usage": Usage(input_uncached=10, cache_read=5, output_text=3, reasoning=2),
        "cost_nanousd": cost,
        "price_version": "2026-11",
    }
    return AttemptRecord(**(fields | changes))  # pyright: ignore[reportArgumentType]


def record(request: str, *attempts: AttemptRecord, **changes: object) -> TraceRecord:
    fields: dict[str, object] = {
        "trace_id": request.rjust(32, "0"),
        "request_id": request,
        "tenant_id": "acme",
        "key_id": "k1",
        "route": "support",
        "requested_model": "support",
        "started_at_us": int(NOON.timestamp() * 1_000_000),
        "duration_us": 1000,
        "status": 200,
        "attempts": list(attempts),
    }
    return TraceRecord(**(fields | changes))  # pyright: ignore[reportArgumentType]


async def total(engine: Engine, tenant: TenantId = ACME, day: date | None = None) -> Balance:
    async with reading(engine) as conn:
        return await store.balance(conn, tenant, day)


@st.composite
def records(draw: st.DrawFn) -> list[TraceRecord]:
    made: list[TraceRecord] = []
    for number in range(draw(st.integers(1, 8))):
        attempts = [
            attempt(
                place,
                draw(st.none() | st.integers(0, 2**53)),
                usage=draw(
                    st.none()
                    | st.builds(
                        Usage,
                        input_uncached=st.integers(0, 2**31),
                        output_text=st.integers(0, 2**31),
                        is_estimated=st.booleans(),
                    )
                ),
            )
            for place in range(draw(st.integers(0, 3)))
        ]
        tenant = draw(st.sampled_from(["acme", "globex"]))
        made.append(record(f"req_{number}", *attempts, tenant_id=tenant))
    return made


def deliveries(made: list[TraceRecord]) -> st.SearchStrategy[list[list[TraceRecord]]]:
    """Each record at least once, further ones again, in any order, in any batches."""
    again = st.lists(st.sampled_from(made), max_size=8)
    order = again.flatmap(lambda extra: st.permutations(made + extra))
    cuts = st.lists(st.integers(0, 16), max_size=3).map(sorted)
    return st.tuples(order, cuts).map(
        lambda drawn: [
            list(drawn[0][start:end])
            for start, end in zip([0, *drawn[1]], [*drawn[1], None], strict=True)
        ]
    )


EXAMPLES = itertools.count()


def _of(example: int, sent: TraceRecord) -> TraceRecord:
    return msgspec.structs.replace(
        sent,
        tenant_id=f"{sent.tenant_id}-{example}",
        request_id=f"{sent.request_id}-{example}",
    )


@given(data=st.data(), made=records())
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_the_sum_of_rows_is_the_sum_of_attempts_however_they_arrive(
    database: str, data: st.DataObject, made: list[TraceRecord]
) -> None:
    batches = data.draw(deliveries(made))

    async def run() -> dict[str, Balance]:
        engine = connect(database)
        example = next(EXAMPLES)  # rows cannot be removed: every example has tenants of its own
        for batch in batches:
            await write_ledger(engine, [_of(example, sent) for sent in batch])
        found = {
            name: await total(engine, TenantId(f"{name}-{example}")) for name in ("acme", "globex")
        }
        await engine.dispose()
        return found

    for tenant, balance in asyncio.run(run()).items():
        attempts = [a for r in made if r.tenant_id == tenant for a in r.attempts]
        billed = [a for a in attempts if a.usage is not None or a.cost_nanousd is not None]
        usages = [a.usage for a in billed if a.usage is not None]
        assert balance == Balance(
            attempts=len(billed),
            tokens=sum(usage.total_tokens for usage in usages),
            cost_nanousd=sum(a.cost_nanousd or 0 for a in attempts),
            unpriced=sum(a.cost_nanousd is None for a in billed),
            estimated=sum(usage.is_estimated for usage in usages),
        )


@pytest.mark.anyio
async def test_the_first_delivery_stands(engine: Engine) -> None:
    await write_ledger(engine, [record("r1", attempt(cost=100))])
    await write_ledger(engine, [record("r1", attempt(cost=999)), record("r2", attempt(cost=1))])
    assert (await total(engine)).cost_nanousd == 101


@pytest.mark.anyio
async def test_more_rows_than_one_batch_are_all_written(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "BATCH_ROWS", 7)
    assert await write_ledger(engine, [record(f"r{n}", attempt(cost=1)) for n in range(30)]) == 30
    assert await total(engine) == Balance(attempts=30, tokens=600, cost_nanousd=30)


@pytest.mark.anyio
async def test_every_attempt_is_a_row_and_an_unknown_price_is_not_zero(engine: Engine) -> None:
    failed = attempt(1, None, usage=None, error="provider_failed")
    cancelled = attempt(2, None, usage=Usage(input_uncached=7, is_estimated=True))
    await write_ledger(engine, [record("r1", failed, cancelled, attempt(3, 0))])
    assert await total(engine) == Balance(
        attempts=2, tokens=27, cost_nanousd=0, unpriced=1, estimated=1
    )


@pytest.mark.anyio
async def test_names_of_any_length_and_amounts_of_any_size_are_kept(engine: Engine) -> None:
    huge = Usage(input_uncached=2**40, output_text=2**40)
    odd = record("r" * 500, attempt(1, 2**60, model="m" * 5000, usage=huge), key_id="k" * 400)
    await write_ledger(engine, [odd])
    assert await total(engine) == Balance(attempts=1, tokens=2**41, cost_nanousd=2**60)


@pytest.mark.anyio
async def test_what_a_tenant_used_is_shown_by_day_route_and_model(engine: Engine) -> None:
    await create_tenant(engine, "acme", None, NOON, by=local_operator())
    later = int(NOON.timestamp() + 86_400) * 1_000_000
    await write_ledger(
        engine,
        [
            record("r1", attempt(1, 10), attempt(2, 5, model="small")),
            record("r2", attempt(1, 7), started_at_us=later),
            record("r3", attempt(1, 10)),
            record("r4", attempt(1, 99), tenant_id="globex"),
        ],
    )
    shown = await show_ledger(engine, "acme", None, by=local_operator())
    assert [(on.day, route, model, sums.cost_nanousd) for on, route, model, sums in shown] == [
        (23, "support", "gpt", 7),
        (22, "support", "gpt", 20),
        (22, "support", "small", 5),
    ]
    assert [
        row[3].cost_nanousd for row in await show_ledger(engine, "acme", TODAY, by=local_operator())
    ] == [20, 5]
    with pytest.raises(NotFound, match="acme"):
        await show_ledger(engine, "acne", None, by=local_operator())


def test_a_request_counts_on_the_utc_day_it_began() -> None:
    midnight = datetime(2026, 11, 23, tzinfo=UTC)
    just_before = int(midnight.timestamp() * 1_000_000) - 1
    (row,) = ledger_rows(record("r1", attempt(), started_at_us=just_before, duration_us=5_000_000))
    assert row.day == TODAY
    assert row.kind == "settle"


def test_a_cached_answer_costs_nothing_and_has_no_row() -> None:
    assert ledger_rows(record("r1", cache="hit")) == []


def test_every_billing_class_counts_among_the_tokens() -> None:
    counted = {name.removeprefix("ledger.") for name in str(store.TOKENS).split(" + ")}
    assert counted == set(CLASSES)


@pytest.mark.anyio
async def test_a_row_says_who_with_which_prompt_and_tags_and_by_which_price(engine: Engine) -> None:
    priced = attempt(price_row="openai/gpt-5", price_variant="batch")
    said = {"user": "ana\0", "prompt": "greet", "prompt_version": "3", "tags": {"team": "a\0b"}}
    await write_ledger(engine, [record("r1", priced, **said), record("r2", attempt(cost=None))])
    async with reading(engine) as conn:
        named, bare = await conn.execute(select(tables.ledger).order_by("request_id"))
    assert (named.user_id, named.prompt, named.tags) == (
        "ana\ufffd",
        "greet@3",
        {"team": "a\ufffdb"},
    )
    assert (named.price_row, named.price_variant, named.unpriced) == ("openai/gpt-5", "batch", 0)
    assert named.occurred_s == int(NOON.timestamp())
    assert (bare.user_id, bare.prompt, bare.tags, bare.unpriced) == ("", "", {}, 1)


@pytest.mark.anyio
@pytest.mark.parametrize("column", [c.name for c in tables.ledger.columns if c.name != "user_id"])
async def test_no_column_of_a_row_can_be_changed(engine: Engine, column: str) -> None:
    await write_ledger(engine, [record("r1", attempt())])
    with pytest.raises(IntegrityError, match="only ever added"):
        async with writing(engine) as conn:
            await conn.execute(text(f"UPDATE ledger SET {column} = {column}"))


@pytest.mark.anyio
async def test_a_row_cannot_be_removed_but_its_user_can_be_made_unknown(engine: Engine) -> None:
    await write_ledger(engine, [record("r1", attempt(), user="ana")])
    with pytest.raises(IntegrityError, match="only ever added"):
        async with writing(engine) as conn:
            await conn.execute(text("DELETE FROM ledger"))
    async with writing(engine) as conn:
        await conn.execute(text("UPDATE ledger SET user_id = 'erased-1' WHERE user_id = 'ana'"))
    async with reading(engine) as conn:
        assert (await conn.execute(text("SELECT user_id FROM ledger"))).scalar_one() == "erased-1"


@pytest.mark.anyio
async def test_all_rows_at_once_cannot_be_removed(engine: Engine) -> None:
    await write_ledger(engine, [record("r1", attempt())])
    all_at_once = "DELETE FROM" if engine.dialect.name == "sqlite" else "TRUNCATE"
    with pytest.raises(IntegrityError, match="only ever added"):
        async with writing(engine) as conn:
            await conn.execute(text(f"{all_at_once} ledger"))
