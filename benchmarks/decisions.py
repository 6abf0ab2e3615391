"""What a decision about limits costs, in microseconds of CPU: ``python -m benchmarks.decisions``.

A tenant and its key, each with requests per second, tokens per day and US dollars per month: six
limits. *decide* is reserve and settle, *headers* what an answer tells of them, *refuse* a request that
does not fit, *claims* finding out which limits hold. CPU time of this thread alone, so that other work
on the machine counts as little as it can; the least of some rounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

from santral.errors import QuotaExceeded
from santral.quota.book import LimitBook
from santral.quota.claim import Need
from santral.quota.limits import Limits
from santral.quota.memory import MemoryLimiter
from santral.quota.rule import Scope

#: Specified: issue "tenants, limits and the ledger", CPU per decision in memory.
BAR_US = 15.0
_ROUNDS, _CALLS = 7, 20_000
_NEED, _USED = Need(1200, 9_000_000), Need(700, 4_000_000)


def main() -> int:
    """Print what each step costs; return 1 where a decision costs more than its bar."""
    costs = measure()
    for name, cost in costs.items():
        print(f"{name:8} {cost:6.2f} us")
    is_over = costs["decide"] > BAR_US
    print(f"decide is {'above' if is_over else 'within'} its bar of {BAR_US:g} us")
    return int(is_over)


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
    return {name: _least_us(step, rounds, calls) for name, step in steps.items()}


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
