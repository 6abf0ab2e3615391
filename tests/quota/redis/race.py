"""One process of a race: asks again and again, and prints how often it was admitted.

Usage: python race.py URL CALLS AT_ONCE LIMIT NEED
"""

from __future__ import annotations

import asyncio
import random
import sys
import time

from santral.errors import LimitsUnavailable, QuotaExceeded
from santral.quota.book import LimitBook
from santral.quota.claim import Need
from santral.quota.limits import Limits
from santral.quota.redis.address import read_address
from santral.quota.redis.limiter import RedisLimiter
from santral.quota.redis.nodes import Nodes
from santral.quota.rule import Scope


async def main(url: str, calls: int, at_once: int, limit: int, need: int) -> None:
    rng = random.Random()
    one = RedisLimiter(
        Nodes(read_address(url), 0.25),
        f"p{rng.getrandbits(48):x}",
        time.time,
        lambda: f"{rng.getrandbits(64):x}",
    )
    await one.begin()
    rules = Limits(usd_per_month=limit / 1e9, concurrent_requests=50).rules(
        "acme", Scope("tenant", "acme")
    )
    claims = LimitBook(rules).of("acme", "k1")
    spent = admitted = unavailable = 0
    turns = asyncio.Semaphore(at_once)

    async def call() -> None:
        nonlocal spent, admitted, unavailable
        async with turns:
            for _ in range(40):
                try:
                    hold = await one.reserve(claims, Need(1, need))
                except LimitsUnavailable:
                    unavailable += 1
                    await asyncio.sleep(0.1)  # as a client that obeys retry-after
                    continue
                except QuotaExceeded:
                    return
                break
            else:
                return
            await asyncio.sleep(rng.random() * 0.02)
            used = rng.randint(0, need)
            admitted += 1
            spent += used
            await one.settle(hold, Need(1, used))

    async with asyncio.TaskGroup() as group:
        task = group.create_task(one.run())
        async with asyncio.TaskGroup() as callers:
            for _ in range(calls):
                callers.create_task(call())
        for _ in range(1000):
            if not one._pending:
                break
            await asyncio.sleep(0.01)
        task.cancel()
    sys.stdout.write(f"{admitted} {spent} {unavailable}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:6])))
