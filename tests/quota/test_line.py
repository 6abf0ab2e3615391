"""Waiting for room: the urgent first, nobody overtakes, nobody waits for ever, nothing is left behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.quota.clock import Clock
from tests.quota.rules import claim, limit

from santral.errors import QuotaExceeded
from santral.quota.claim import Claim, Need
from santral.quota.limiter import Hold
from santral.quota.line import Priority, WaitingLine
from santral.quota.memory import MemoryLimiter

AT_ONCE = limit("concurrent", "", 1, wait_s=30.0)
PATIENT = [claim(AT_ONCE)]


def line_of(max_waiting: int = 100) -> WaitingLine:
    return WaitingLine(MemoryLimiter(time.time), max_waiting)


async def turn() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


class Asking:
    """Requests at a line, in the order in which they got in."""

    def __init__(self, line: WaitingLine) -> None:
        self.line = line
        self.order: list[str] = []
        self.holds: dict[str, Hold] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(
        self, name: str, priority: Priority = "interactive", claims: Sequence[Claim] = PATIENT
    ) -> None:
        async def one() -> None:
            self.holds[name] = await self.line.reserve(claims, Need(), priority)
            self.order.append(name)

        self.tasks[name] = asyncio.ensure_future(one())
        await turn()

    async def end(self, name: str) -> None:
        await self.line.settle(self.holds.pop(name), Need())
        await turn()

    async def drain(self) -> None:
        while self.holds:
            await self.end(next(iter(self.holds)))
        assert all(task.done() for task in self.tasks.values())
        assert (self.line.waiting, self.line._lines) == (0, {})


def test_who_waits_is_admitted_when_room_comes() -> None:
    async def main() -> None:
        asking = Asking(line_of())
        await asking.ask("first")
        await asking.ask("second")
        assert (asking.order, asking.line.waiting) == (["first"], 1)
        before = time.monotonic()
        await asking.end("first")
        assert asking.order == ["first", "second"]
        assert time.monotonic() - before < 0.05, "it is woken, and does not happen to look"
        await asking.drain()

    asyncio.run(main())


def test_room_that_comes_with_time_is_found() -> None:
    async def main() -> float:
        line = WaitingLine(MemoryLimiter(time.time), 10)
        fast = [claim(limit("requests", "second", rate=20.0, burst=1, wait_s=5.0))]
        began = time.monotonic()
        for _ in range(3):
            await line.settle(await line.reserve(fast, Need()), Need())
        return time.monotonic() - began

    assert 0.09 < asyncio.run(main()) < 2.0


def test_people_go_before_batches_and_nobody_overtakes() -> None:
    async def main() -> list[str]:
        asking = Asking(line_of())
        await asking.ask("running")
        for name in ("batch-1", "batch-2", "person-1", "batch-3", "person-2"):
            await asking.ask(name, "batch" if name.startswith("batch") else "interactive")
        await asking.drain()
        return asking.order

    assert asyncio.run(main()) == [
        "running",
        "person-1",
        "person-2",
        "batch-1",
        "batch-2",
        "batch-3",
    ]


@given(st.lists(st.sampled_from(["ask", "batch", "end", "leave"]), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_whatever_comes_and_goes_nobody_is_forgotten_or_overtaken(steps: list[str]) -> None:
    async def main() -> None:
        asking = Asking(line_of())
        waiting: list[tuple[int, int, str]] = []
        admitted: list[str] = []
        for number, step in enumerate(steps):
            name = f"{step}-{number}"
            if step in ("ask", "batch"):
                await asking.ask(name, "batch" if step == "batch" else "interactive")
                waiting.append((int(step == "batch"), number, name))
            elif step == "end" and asking.holds:
                await asking.end(next(iter(asking.holds)))
            elif step == "leave" and len(waiting) > 1:
                _, _, gone = waiting.pop(len(waiting) // 2)
                asking.tasks.pop(gone).cancel()
                await turn()
            waiting.sort()
            while len(admitted) < len(asking.order):
                admitted.append(waiting.pop(0)[2])
            assert asking.order == admitted
            assert asking.line.waiting == len(waiting)
            assert len(asking.holds) == 1 or not waiting, "somebody waits and nobody runs"
        await asking.drain()

    asyncio.run(main())


def test_patience_ends_in_the_refusal_that_the_limit_gives() -> None:
    async def main() -> tuple[QuotaExceeded, float]:
        asking = Asking(line_of())
        short = [claim(limit("concurrent", "", 1, wait_s=0.2))]
        await asking.ask("running", claims=short)
        began = time.monotonic()
        with pytest.raises(QuotaExceeded) as caught:
            await asking.line.reserve(short, Need())
        passed = time.monotonic() - began
        assert (asking.line.waiting, asking.line._lines) == (0, {})
        await asking.drain()
        return caught.value, passed

    error, passed = asyncio.run(main())
    assert error.detail_code == "concurrent_requests_exceeded"
    assert error.retry_after_s == 1.0
    assert 0.15 < passed < 2.0


def test_nobody_waits_for_what_comes_too_late() -> None:
    async def main() -> None:
        line = WaitingLine(MemoryLimiter(Clock()), 10)
        day = [claim(limit("tokens", "day", 10, wait_s=60.0))]
        await line.settle(await line.reserve(day, Need(10)), Need(10))
        with pytest.raises(QuotaExceeded):
            await asyncio.wait_for(line.reserve(day, Need(1)), 0.5)
        assert line.waiting == 0

    asyncio.run(main())


def test_without_a_word_about_waiting_nobody_waits() -> None:
    async def main() -> None:
        asking = Asking(line_of())
        strict = [claim(limit("concurrent", "", 1, id="strict")), *PATIENT]
        await asking.ask("running", claims=strict)
        with pytest.raises(QuotaExceeded):
            await asking.line.reserve(strict, Need())
        await asking.drain()

    asyncio.run(main())


def test_the_line_is_bounded_and_counts_whom_it_turned_away() -> None:
    async def main() -> None:
        asking = Asking(line_of(max_waiting=2))
        for name in ("running", "one", "two"):
            await asking.ask(name)
        for count in (1, 2):
            with pytest.raises(QuotaExceeded):
                await asking.line.reserve(PATIENT, Need())
            assert asking.line.turned_away == count
        assert asking.line.waiting == 2
        await asking.drain()

    asyncio.run(main())


def test_who_leaves_leaves_no_trace_and_the_next_is_woken() -> None:
    async def main() -> None:
        asking = Asking(line_of())
        for name in ("running", "gone", "next"):
            await asking.ask(name)
        asking.tasks.pop("gone").cancel()
        await turn()
        assert asking.line.waiting == 1
        await asking.end("running")
        assert asking.order == ["running", "next"]
        await asking.drain()

    asyncio.run(main())


def test_who_is_first_and_waits_for_something_else_stands_in_nobodys_way() -> None:
    """The first of the tenant's line finds its own key full: the next one has another key."""

    async def main() -> None:
        asking = Asking(line_of())
        key = limit("concurrent", "", 1, binds="key:*", wait_s=30.0)
        tenant = limit("concurrent", "", 2, wait_s=30.0)
        mine, other = ([claim(tenant), claim(key, name)] for name in ("mine", "other"))
        await asking.ask("a", claims=mine)
        await asking.ask("b", claims=[claim(tenant), claim(key, "third")])
        await asking.ask("c", claims=mine)
        await asking.ask("d", claims=other)
        assert (asking.order, asking.line.waiting) == (["a", "b"], 2)
        await asking.end("b")
        assert asking.order == ["a", "b", "d"]
        await asking.end("a")
        assert asking.order == ["a", "b", "d", "c"]
        await asking.drain()

    asyncio.run(main())


class Slow(MemoryLimiter):
    """A limiter that somebody else has to be asked for, and room that comes just then."""

    asked = 0
    seen: asyncio.Event

    async def reserve(self, claims: Sequence[Claim], need: Need):
        try:
            return await super().reserve(claims, need)
        except QuotaExceeded:
            self.asked += 1
            self.seen.set()
            for _ in range(3):
                await asyncio.sleep(0)
            raise


def test_no_wake_up_is_lost_while_the_limiter_is_asked() -> None:
    async def main() -> float:
        limiter = Slow(time.time)
        limiter.seen = asyncio.Event()
        line = WaitingLine(limiter, 10)
        hold = await line.reserve(PATIENT, Need())
        waiting = asyncio.ensure_future(line.reserve(PATIENT, Need()))
        await limiter.seen.wait()
        limiter.seen.clear()
        await limiter.seen.wait()  # it is the second look: the answer "full" is on its way
        began = time.monotonic()
        await line.settle(hold, Need())
        await line.release(await waiting)
        return time.monotonic() - began

    assert asyncio.run(main()) < 0.05, "else it would look only a tenth of a second later"


def test_a_hold_grows_without_waiting() -> None:
    async def main() -> None:
        line = line_of()
        day = [claim(limit("tokens", "day", 10, wait_s=60.0))]
        hold = await line.reserve(day, Need(6))
        await line.extend(hold, Need(4))
        with pytest.raises(QuotaExceeded):
            await line.extend(hold, Need(1))
        await line.release(hold)

    asyncio.run(main())
