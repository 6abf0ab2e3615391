"""A replay with other prices: corrections are added, sums show the new total, twice is once."""

from __future__ import annotations

import asyncio
import itertools

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.quota.ledger.books import book
from tests.quota.ledger.test_write import NOON, TODAY, attempt, record, total

from santral.audit.entry import Actor
from santral.db import tables
from santral.db.engine import Engine, connect, reading
from santral.quota.ledger import reprice as module
from santral.quota.ledger.reprice import Replay, Repriced, reprice
from santral.quota.ledger.write import show_ledger, write_ledger
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.tenants.tenant import TenantId
from santral.wire.usage import Usage

S = int(NOON.timestamp())
DAY = Replay(since_s=S - 3600, until_s=S + 3600)
BY = Actor("cli:ana", "cli")
#: 20 tokens of each attempt: 1 dollar per million is 20,000 nano-USD.
A_DOLLAR = 20_000


async def kinds(engine: Engine) -> list[tuple[str, str, int | None]]:
    async with reading(engine) as conn:
        rows = await conn.execute(select(tables.ledger).order_by("request_id", "kind"))
        return [(row.request_id, row.kind, row.cost_nanousd) for row in rows]


@pytest.mark.anyio
async def test_a_replay_adds_the_difference_and_leaves_the_row(engine: Engine) -> None:
    await write_ledger(engine, [record("r1", attempt(cost=A_DOLLAR))])
    (done,) = await reprice(engine, book("june", gpt=3), DAY, actor=BY)
    assert done == Repriced(
        tenant_id="acme", rows=1, corrected=1, before_nanousd=A_DOLLAR, after_nanousd=3 * A_DOLLAR
    )
    assert await kinds(engine) == [
        ("r1", "reprice:june", 2 * A_DOLLAR),
        ("r1", "settle", A_DOLLAR),
    ]
    balance = await total(engine, day=TODAY)
    assert (balance.attempts, balance.tokens, balance.cost_nanousd) == (1, 20, 3 * A_DOLLAR)


@pytest.mark.anyio
async def test_a_price_that_becomes_known_leaves_nothing_unpriced(engine: Engine) -> None:
    await create_tenant(engine, "acme", None, NOON, by=local_operator())
    unknown = attempt(cost=None, usage=Usage(input_uncached=20, is_estimated=True))
    await write_ledger(engine, [record("r1", unknown), record("r2", attempt(cost=None, model="x"))])
    assert (await total(engine)).unpriced == 2
    (done,) = await reprice(engine, book("june", gpt=1), DAY, actor=BY)
    assert (done.became_known, done.unknown, done.corrected) == (1, 1, 1)
    after = await total(engine)
    assert (after.unpriced, after.cost_nanousd, after.estimated) == (1, A_DOLLAR, 1)
    shown = {
        model: sums
        for _, _, model, sums in await show_ledger(engine, "acme", TODAY, by=local_operator())
    }
    assert (shown["gpt"].unpriced, shown["x"].unpriced) == (0, 1)
    await reprice(engine, book("july", gpt=2, x=2), DAY, actor=BY)
    after = await total(engine)
    assert (after.unpriced, after.cost_nanousd) == (0, 4 * A_DOLLAR)


@pytest.mark.anyio
async def test_a_price_of_nothing_is_known_too(engine: Engine) -> None:
    await write_ledger(engine, [record("r1", attempt(cost=None))])
    await reprice(engine, book("june", gpt=0), DAY, actor=BY)
    after = await total(engine)
    assert (after.unpriced, after.cost_nanousd, after.attempts) == (0, 0, 1)


@pytest.mark.anyio
async def test_a_version_may_come_back(engine: Engine) -> None:
    await write_ledger(engine, [record("r1", attempt(cost=A_DOLLAR))])
    for version, dollars in (("june", 2), ("july", 5), ("june", 2), ("june", 2)):
        await reprice(engine, book(version, gpt=dollars), DAY, actor=BY)
        assert (await total(engine)).cost_nanousd == dollars * A_DOLLAR
    assert [kind for _, kind, _ in await kinds(engine)] == [
        "reprice:july",
        "reprice:june",
        "reprice:june#2",
        "settle",
    ]


@pytest.mark.anyio
async def test_a_dry_run_says_the_same_and_writes_nothing(engine: Engine) -> None:
    await write_ledger(engine, [record("r1", attempt(cost=A_DOLLAR))])
    dry = msgspec.structs.replace(DAY, is_dry_run=True)
    said = await reprice(engine, book("june", gpt=3), dry, actor=BY)
    assert len(await kinds(engine)) == 1
    assert said == await reprice(engine, book("june", gpt=3), DAY, actor=BY)


@pytest.mark.anyio
async def test_only_the_time_and_tenants_that_are_meant_are_replayed(engine: Engine) -> None:
    early = int((S - 7200) * 1e6)
    await write_ledger(
        engine,
        [
            record("r1", attempt(cost=0)),
            record("r2", attempt(cost=0), started_at_us=early),
            record("r3", attempt(cost=0), tenant_id="globex"),
            record("r4", attempt(cost=0, purpose="shadow")),
        ],
    )
    only = msgspec.structs.replace(DAY, tenant_ids=["acme"])
    (done,) = await reprice(engine, book("june", gpt=1), only, actor=BY)
    assert (done.tenant_id, done.rows) == ("acme", 1)
    assert [request for request, kind, _ in await kinds(engine) if kind != "settle"] == ["r1", "r4"]


@pytest.mark.anyio
async def test_a_row_is_priced_by_the_row_and_the_way_it_names(engine: Engine) -> None:
    named = attempt(cost=0, model="unheard", price_row="openai/gpt")
    batch = attempt(cost=7, price_variant="batch")
    await write_ledger(engine, [record("r1", named), record("r2", batch)])
    (done,) = await reprice(engine, book("june", gpt=1), DAY, actor=BY)
    assert (done.corrected, done.unknown, done.after_nanousd) == (1, 1, A_DOLLAR + 7)


@pytest.mark.anyio
async def test_a_replay_is_in_the_audit_log_of_every_tenant_it_touched(engine: Engine) -> None:
    await write_ledger(
        engine, [record("r1", attempt(cost=0)), record("r2", attempt(cost=0), tenant_id="globex")]
    )
    for _ in range(2):
        await reprice(engine, book("june", gpt=1), DAY, actor=BY)
    async with reading(engine) as conn:
        rows = list(await conn.execute(select(tables.audit_log).order_by("number")))
    assert [(row.tenant_id, row.action, row.object, row.actor) for row in rows] == [
        ("acme", "ledger.reprice", "prices:june", "cli:ana"),
        ("globex", "ledger.reprice", "prices:june", "cli:ana"),
    ]
    assert rows[0].after == {"rows": 1, "difference_nanousd": A_DOLLAR}


@pytest.mark.anyio
async def test_two_replays_at_once_end_at_one_price(engine: Engine) -> None:
    await write_ledger(engine, [record(f"r{n}", attempt(cost=7)) for n in range(50)])
    async with asyncio.TaskGroup() as group:
        for version, dollars in (("june", 2), ("july", 5)):
            group.create_task(reprice(engine, book(version, gpt=dollars), DAY, actor=BY))
    assert (await total(engine)).cost_nanousd in (50 * 2 * A_DOLLAR, 50 * 5 * A_DOLLAR)


EXAMPLES = itertools.count()


@given(
    costs=st.lists(st.none() | st.integers(0, 10**12), min_size=1, max_size=12),
    versions=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=4
    ).map(lambda drawn: list(dict(drawn).items())),
    size=st.integers(1, 5),
)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_after_any_replays_the_sum_is_the_last_price_and_again_adds_nothing(
    database: str,
    costs: list[int | None],
    versions: list[tuple[str, int]],
    size: int,
) -> None:
    example = next(EXAMPLES)
    tenant = f"t{example}"
    made = [
        record(f"{tenant}-{n}", attempt(1, cost), attempt(2, cost), tenant_id=tenant)
        for n, cost in enumerate(costs)
    ]
    only = msgspec.structs.replace(DAY, tenant_ids=[tenant])

    async def run() -> None:
        engine = connect(database)
        await write_ledger(engine, made)
        for version, dollars in versions:
            await reprice(engine, book(version, gpt=dollars), only, actor=BY)
            balance = await total(engine, TenantId(tenant))
            assert balance.cost_nanousd == 2 * len(costs) * dollars * A_DOLLAR
            assert (balance.unpriced, balance.attempts) == (0, 2 * len(costs))
            again = await reprice(engine, book(version, gpt=dollars), only, actor=BY)
            assert [done.corrected for done in again] == [0]
        await engine.dispose()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BATCH_ROWS", size)
        asyncio.run(run())
