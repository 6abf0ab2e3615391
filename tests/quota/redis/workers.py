"""Workers of shared limits, as a gateway process has one each."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager

from tests.cache.redis_server import RedisServer

from santral.errors import QuotaExceeded
from santral.quota.book import LimitBook
from santral.quota.claim import Claim, Need, Seeds
from santral.quota.limiter import Hold
from santral.quota.limits import Limits
from santral.quota.redis.address import read_address
from santral.quota.redis.limiter import RedisLimiter
from santral.quota.redis.nodes import Nodes
from santral.quota.rule import Rule, Scope

_NUMBERS = itertools.count(1)
TENANT = Scope("tenant", "acme")


def claims_of(limits: Limits, seeds: Seeds | None = None) -> tuple[Claim, ...]:
    return claims_under(limits.rules("acme", TENANT), seeds)


def claims_under(rules: Iterable[Rule], seeds: Seeds | None = None) -> tuple[Claim, ...]:
    return LimitBook(rules, seeds=seeds).of("acme", "k1")


def limiter(
    server: RedisServer,
    *,
    clock: Callable[[], float] = time.time,
    timeout_s: float = 1.0,
    workers: int = 1,
) -> RedisLimiter:
    number = next(_NUMBERS)
    return RedisLimiter(
        Nodes(read_address(server.url), timeout_s),
        f"w{number}",
        clock,
        lambda: f"run{number}-{next(_NUMBERS)}",
        workers=workers,
    )


@asynccontextmanager
async def worker(
    server: RedisServer,
    *,
    clock: Callable[[], float] = time.time,
    timeout_s: float = 1.0,
    workers: int = 1,
) -> AsyncGenerator[RedisLimiter]:
    """A limiter with its background work, as the gateway runs it."""
    made = limiter(server, clock=clock, timeout_s=timeout_s, workers=workers)
    async with asyncio.TaskGroup() as group:
        await made.begin()
        task = group.create_task(made.run())
        try:
            yield made
        finally:
            task.cancel()


async def admitted(
    limiters: list[RedisLimiter], claims: tuple[Claim, ...], need: Need, calls: int
) -> list[tuple[RedisLimiter, Hold]]:
    """Ask so many times at once, spread over the workers; return who was let in."""
    holds: list[tuple[RedisLimiter, Hold]] = []

    async def call(one: RedisLimiter) -> None:
        try:
            holds.append((one, await one.reserve(claims, need)))
        except QuotaExceeded:
            return

    async with asyncio.TaskGroup() as group:
        for number in range(calls):
            group.create_task(call(limiters[number % len(limiters)]))
    return holds


async def settled(one: RedisLimiter, hold: Hold, used: Need) -> None:
    """Settle, and wait until Redis knows."""
    await one.settle(hold, used)
    for _ in range(400):
        if not one._pending:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("Redis was not told")
