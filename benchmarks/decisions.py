"""What a decision about limits costs, in microseconds of CPU: ``python -m benchmarks.decisions``.

A tenant and its key, each with requests per second, tokens per day and US dollars per month: six
limits. *decide* is reserve and settle, *headers* what an answer tells of them, *refuse* a request that
does not fit, *claims* finding out which limits hold. *redis* is reserve and settle with the counters in
a real Redis, 32 requests at once; *in redis* what that costs Redis itself. CPU time of this thread alone, so that other work
on the machine counts as little as it can; the least of some rounds.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import uvloop

from santral.errors import QuotaExceeded
from santral.quota.book import LimitBook
from santral.quota.claim import Claim, Need
from santral.quota.limits import Limits
from santral.quota.memory import MemoryLimiter
from santral.quota.redis.address import Address
from santral.quota.redis.limiter import RedisLimiter
from santral.quota.redis.nodes import Nodes
from santral.quota.rule import Scope

#: Specified: issue "tenants, limits and the ledger", CPU per decision in memory.
BAR_US = 15.0
#: The same of a worker whose limits are in Redis.
REDIS_BAR_US = 120.0
_BARS = {"decide": BAR_US, "redis": REDIS_BAR_US}
_ROUNDS, _CALLS = 7, 20_000
_AT_ONCE, _REDIS_CALLS = 32, 4_000
_NEED, _USED = Need(1200, 9_000_000), Need(700, 4_000_000)


def main() -> int:
    """Print what each step costs; return 1 where a decision costs more than its bar."""
    costs = measure()
    for name, cost in costs.items():
        print(f"{name:8} {cost:6.2f} us")
    over = [n for n, bar in _BARS.items() if costs.get(n, 0.0) > bar]
    for name, bar in _BARS.items():
        if name in costs:
            print(f"{name} is {'above' if name in over else 'within'} its bar of {bar:g} us")
    return int(bool(over))


def measure(rounds: int = _ROUNDS, calls: int = _CALLS) -> dict[str, float]:
    """Return microseconds of CPU by step."""
    book = _book(10**9)
    claims = book.of("acme", "k1")
    limiter = MemoryLimiter(time.time)
    full = _book(1).of("acme", "k1")
    hold = _run(limiter.reserve(claims, _NEED))

    def decide() -> None:
        made = _run(limiter.reserve(claims, _NEED))
        _run(limiter.settle(made, _USED))

    def refuse() -> None:
        try:
            _run(limiter.reserve(full, _NEED))
        except QuotaExceeded:
            return
        raise AssertionError("it was to be refused")

    steps: dict[str, Callable[[], object]] = {
        "decide": decide,
        "headers": hold.headers,
        "refuse": refuse,
        "claims": lambda: book.of("acme", "k1"),
    }
    costs = {name: _least_us(step, rounds, calls) for name, step in steps.items()}
    return costs | _in_redis(claims, rounds)


def _in_redis(claims: Sequence[Claim], rounds: int) -> dict[str, float]:
    """Return the same with a real Redis, where there is one."""
    program = shutil.which("redis-server")
    if program is None:
        return {}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--save", "", "--dir", folder, "--loglevel", "warning"]
        server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            return uvloop.run(_ask_redis(port, claims, rounds))
        finally:
            server.kill()
            server.wait(5)


async def _ask_redis(port: int, claims: Sequence[Claim], rounds: int) -> dict[str, float]:
    nodes = Nodes(Address(host="127.0.0.1", port=port), 1.0)
    limiter = RedisLimiter(nodes, "bench", time.time, lambda: "run")
    await limiter.begin()
    await limiter.reserve(claims, _NEED)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def decide() -> None:
        async with turns:
            await limiter.settle(await limiter.reserve(claims, _NEED), _USED)

    took: list[float] = []
    for _ in range(rounds):
        began = time.thread_time_ns()
        async with asyncio.TaskGroup() as group:
            for _ in range(_REDIS_CALLS):
                group.create_task(decide())
        took.append((time.thread_time_ns() - began) / _REDIS_CALLS / 1000)
    text = (await nodes.ask("INFO", "commandstats")).decode()
    (line,) = [line for line in text.splitlines() if line.startswith("cmdstat_evalsha:")]
    spent = dict(part.split("=") for part in line.partition(":")[2].split(","))
    nodes.close()
    return {"redis": min(took), "in redis": 2 * float(spent["usec_per_call"])}


def _book(amount: int) -> LimitBook:
    limits = Limits(
        requests_per_second=1e9,
        burst=10**9,
        tokens_per_day=amount * 10_000 if amount > 1 else 1,
        usd_per_month=1e6,
    )
    rules = [
        *limits.rules("acme", Scope("tenant", "acme"), id_=f"tenant{amount}."),
        *limits.rules("acme", Scope("key", "k1"), id_=f"key{amount}."),
    ]
    return LimitBook(rules)


def _least_us(step: Callable[[], object], rounds: int, calls: int) -> float:
    took: list[float] = []
    for _ in range(rounds):
        began = time.thread_time_ns()
        for _ in range(calls):
            step()
        took.append((time.thread_time_ns() - began) / calls / 1000)
    return min(took)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a decision that never pauses."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a decision in memory paused")


if __name__ == "__main__":
    sys.exit(main())
