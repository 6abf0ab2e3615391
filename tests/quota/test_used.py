"""Seeds from the ledger: what a limiter that knows nothing begins with is what one that ran has counted."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any

import pytest
from tests.quota.clock import START, Clock, at_once
from tests.quota.rules import limit
from tests.tenants.acting import plant

from santral.db.engine import Engine, reading, writing
from santral.quota.book import LimitBook
from santral.quota.claim import Claim, Need
from santral.quota.ledger.entry import REPRICE, SETTLE, SHADOW, LedgerRow
from santral.quota.ledger.store import insert_rows
from santral.quota.memory import MemoryLimiter
from santral.quota.rule import Measure, Rule, WindowName
from santral.quota.store import used_since
from santral.quota.used import used_under, window_start
from santral.tenants.store import load_tree

pytestmark = pytest.mark.anyio

WINDOWS: list[tuple[Measure, WindowName, str]] = [
    ("tokens", "day", "UTC"),
    ("usd", "month", "Europe/Istanbul"),
    ("requests", "week", "Asia/Kolkata"),
    ("usd", "hour", "Asia/Kolkata"),
]
RULES: list[Rule] = [
    limit(measure, window, 10**15, binds=binds, owner=owner, time_zone=zone)
    for measure, window, zone in WINDOWS
    for binds, owner in (
        ("tenant:org", "org"),
        ("tenant:team", "org"),
        ("tenant:*", "*"),
        ("key:*", "org"),
        ("key:k-team", "team"),
        ("user:*", "*"),
        ("user:ann", "org"),
        ("route:*", "*"),
        ("route:plain", "org"),
        ("tag:*", "*"),
        ("tag:job=*", "org"),
        ("tag:job=a", "globex"),
        ("model:*", "globex"),
        ("model:m-one", "*"),
        ("model:d-two", "*"),
    )
]  # fmt: skip


def row(number: int, at: float, tokens: int, cost: int | None, **more: Any) -> LedgerRow:
    fields: dict[str, Any] = {
        "kind": SETTLE,
        "tenant_id": "org",
        "key_id": "k-org",
        "route": "plain",
        "deployment": "d-one",
        "provider": "p",
        "model": "m-one",
    }
    moment = datetime.fromtimestamp(int(at), UTC)
    counts = dict.fromkeys(
        ("cache_read", "cache_write", "reasoning", "cache_write_1h", "input_audio", "input_image",
         "output_audio", "output_image"), 0
    )  # fmt: skip
    return LedgerRow(
        request_id=f"req_{number}",
        attempt=1,
        day=moment.date(),
        occurred_at=moment,
        occurred_s=int(at),
        input_uncached=tokens // 2,
        output_text=tokens - tokens // 2,
        is_estimated=False,
        cost_nanousd=cost,
        unpriced=int(cost is None),
        price_version="1",
        **counts,
        **(fields | more),
    )


class Both:
    """A limiter that ran all the time, and the ledger of the same requests."""

    def __init__(self, book: LimitBook) -> None:
        self.book = book
        self.clock = Clock()
        self.limiter = MemoryLimiter(self.clock)
        self.rows: list[LedgerRow] = []
        self.claims: dict[str, Claim] = {}

    def request(self, rng: Random) -> None:
        tenant = rng.choice(["org", "team", "project", "globex"])
        deployment, model = rng.choice([("d-one", "m-one"), ("d-two", "m-one"), ("d-two", "m-two")])
        user, route = rng.choice(["", "ann", "ben"]), rng.choice(["plain", "other"])
        tags = rng.choice([{}, {"job": "a"}, {"job": "b", "x": "ü=1"}])
        used = Need(rng.randrange(5000), rng.randrange(10**9))
        key = f"k-{tenant}"
        claims = [
            *self.book.of(tenant, key, route, user, tags),
            *self.book.of_model(tenant, deployment, model),
        ]
        hold = at_once(self.limiter.reserve(claims, Need(10_000, 10**10)))
        at_once(self.limiter.settle(hold, used))
        self.claims |= {claim.account: claim for claim in claims}
        self.rows.append(
            row(
                len(self.rows), self.clock.now, used.tokens, used.nanousd, tenant_id=tenant,
                key_id=key, route=route, user_id=user, tags=tags, deployment=deployment, model=model,
            )
        )  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_ledger_says_what_a_limiter_has_counted(engine: Engine, seed: int) -> None:
    await plant(engine, "org", "team<org", "project<team", "globex")
    rng = Random(seed)
    async with reading(engine) as conn:
        tree = await load_tree(conn)
    both = Both(LimitBook(RULES, tree))
    for _ in range(150):
        both.clock.now += rng.choice([0.0, 60.0, 1800.0, 20_000.0, 90_000.0])
        both.request(rng)
    async with writing(engine) as conn:
        await insert_rows(conn, both.rows)
    async with reading(engine) as conn:
        seeds = await used_under(RULES, tree, partial(used_since, conn), both.clock.now)
    counted = {
        account: used
        for account, claim in both.claims.items()
        if (used := both.limiter.used(claim))
    }
    assert {account: seeds[account].amount for account in counted} == counted
    assert len(counted) > 30
    fresh = MemoryLimiter(both.clock)
    seeded = LimitBook(RULES, tree, seeds)
    for claim in seeded.of("project", "k-project", "plain", "ann", {"job": "a"}):
        assert fresh.used(claim) == counted.get(claim.account, 0)


async def test_a_rolling_window_begins_with_what_was_used_in_its_length(engine: Engine) -> None:
    await plant(engine, "org")
    Clock()
    rules = [
        limit("tokens", "hour", 10**9, binds="tenant:org", owner="org", is_rolling=True),
        limit("usd", "month", 10**15, binds="tenant:org", owner="org", is_rolling=True),
    ]
    ages = (10, 3_599, 3_601, 86_400 * 29, 86_400 * 31)
    rows = [row(n, START - age, 10**n, 10**n) for n, age in enumerate(ages)]
    async with writing(engine) as conn:
        await insert_rows(conn, rows)
    async with reading(engine) as conn:
        tree = await load_tree(conn)
        seeds = await used_under(rules, tree, partial(used_since, conn), START)
    assert [used.amount for used in seeds.values()] == [11, 1111]
    assert [used.start for used in seeds.values()] == [START - 3600, START - 2_592_000]


async def test_corrections_count_and_copies_do_not(engine: Engine) -> None:
    await plant(engine, "org")
    Clock()
    rule = limit("usd", "day", 10**15, binds="tenant:org", owner="org")
    count = limit("requests", "day", 10**15, binds="tenant:org", owner="org")
    rows = [
        row(1, START, 10, 100),
        row(1, START, 0, -30, kind=f"{REPRICE}v2"),
        row(2, START, 10, 5_000, kind=SHADOW),
        row(3, START, 10, None),
    ]
    async with writing(engine) as conn:
        await insert_rows(conn, rows)
    async with reading(engine) as conn:
        tree = await load_tree(conn)
        seeds = await used_under([rule, count], tree, partial(used_since, conn), START + 1)
    assert [used.amount for used in seeds.values()] == [70, 2]


def test_of_what_is_held_or_filled_the_ledger_has_no_say() -> None:
    Clock()
    midnight = int(START) - 43_200
    assert window_start(limit("concurrent", "", 1), START) is None
    assert window_start(limit("requests", "second", rate=1.0), START) is None
    assert window_start(limit("tokens", "minute", 1, is_rolling=True), START) == START - 60
    assert window_start(limit("tokens", "day", 1), START) == midnight
    assert (
        window_start(limit("tokens", "day", 1, time_zone="Asia/Tokyo"), START)
        == midnight - 9 * 3600
    )


async def test_without_use_there_are_no_seeds(engine: Engine) -> None:
    await plant(engine, "org")
    async with reading(engine) as conn:
        tree = await load_tree(conn)
        assert await used_under(RULES, tree, partial(used_since, conn), START) == {}
