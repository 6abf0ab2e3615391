"""Any order of reserve, extend, settle and release on any worker: what Redis counts is what happened."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cache.redis_server import RedisServer
from tests.quota.redis.workers import limiter, settled

from santral.errors import QuotaExceeded
from santral.quota.book import LimitBook
from santral.quota.claim import Claim, Need
from santral.quota.limiter import Hold
from santral.quota.limits import Limits
from santral.quota.redis.limiter import RedisLimiter
from santral.quota.rule import Scope

pytestmark = pytest.mark.redis

DAY, MINUTE, MONEY, HELD = 100, 90, 120, 4
_TENANTS = itertools.count()

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "reserve", "extend", "settle", "release"]),
        st.integers(0, 2),  # which worker, or which hold
        st.integers(0, 60),
        st.integers(0, 60),
    ),
    min_size=4,
    max_size=30,
)


class Model:
    """Plain sums of what was admitted and what became of it."""

    def __init__(self) -> None:
        self.spent = Need()
        self.open: dict[str, tuple[RedisLimiter, Hold]] = {}

    def used(self) -> tuple[int, int]:
        holds = [hold.need for _, hold in self.open.values()]
        return (
            self.spent.tokens + sum(need.tokens for need in holds),
            self.spent.nanousd + sum(need.nanousd for need in holds),
        )

    def fits(self, need: Need) -> bool:
        tokens, money = self.used()
        return tokens + need.tokens <= min(DAY, MINUTE) and money + need.nanousd <= MONEY

    def close(self, hold: Hold, used: Need) -> None:
        del self.open[hold.id]
        self.spent = Need(self.spent.tokens + used.tokens, self.spent.nanousd + used.nanousd)


@given(STEPS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_counted_is_what_happened(server: RedisServer, steps: list[Any]) -> None:
    asyncio.run(_run(server, steps))


async def _run(server: RedisServer, steps: list[Any]) -> None:
    tenant = f"t{next(_TENANTS)}"
    rules = Limits(
        tokens_per_day=DAY,
        tokens_per_minute=MINUTE,
        usd_per_month=MONEY / 1e9,
        concurrent_requests=HELD,
    ).rules(tenant, Scope("tenant", tenant))
    claims = LimitBook(rules).of(tenant, "k1")
    workers = [limiter(server) for _ in range(3)]
    for one in workers:
        await one.begin()
    model = Model()
    for what, which, tokens, money in steps:
        await _step(model, workers, claims, what, which, Need(tokens, money))
    for one, hold in list(model.open.values()):
        await settled(one, hold, hold.need)
        model.close(hold, hold.need)
    probe = await workers[0].reserve(claims, Need())
    found = {
        s.claim.rule.window: s.used for s in probe.standings if s.claim.measure != "concurrent"
    }
    assert found == {
        "day": model.spent.tokens,
        "minute": model.spent.tokens,
        "month": model.spent.nanousd,
    }
    await settled(workers[0], probe, Need())
    for one in workers:
        one._nodes.close()


async def _step(
    model: Model,
    workers: list[RedisLimiter],
    claims: tuple[Claim, ...],
    what: str,
    which: int,
    need: Need,
) -> None:
    if what == "reserve":
        is_room = model.fits(need) and len(model.open) < HELD
        try:
            hold = await workers[which].reserve(claims, need)
        except QuotaExceeded:
            assert not is_room
            return
        assert is_room
        model.open[hold.id] = (workers[which], hold)
        return
    if which >= len(model.open):
        return
    one, hold = list(model.open.values())[which]
    if what == "extend":
        is_room = model.fits(need)
        try:
            await one.extend(hold, need)
        except QuotaExceeded:
            assert not is_room
        else:
            assert is_room
    elif what == "settle":
        used = Need(min(need.tokens, hold.need.tokens), min(need.nanousd, hold.need.nanousd))
        await settled(one, hold, used)
        await settled(one, hold, Need(9, 9))
        model.close(hold, used)
    else:
        await one.release(hold)
        await settled(one, hold, need)
        model.close(hold, Need())
