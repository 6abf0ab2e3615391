"""Copies wait within bounds, run a few at a time, harm nobody, and go when we stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from santral.routing.shadow import ShadowQueue


def during(test: Callable[[ShadowQueue], Awaitable[None]]) -> ShadowQueue:
    """Run ``test`` beside a queue that is at work."""
    queue = ShadowQueue()

    async def main() -> None:
        runner = asyncio.create_task(queue.run())
        try:
            await asyncio.wait_for(test(queue), 2)
        finally:
            runner.cancel()
            await asyncio.wait([runner])

    asyncio.run(main())
    return queue


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_finds_no_room_is_dropped_and_counted() -> None:
    async def test(queue: ShadowQueue) -> None:
        gate = asyncio.Event()
        done: list[int] = []

        async def job() -> None:
            await gate.wait()
            done.append(1)

        def offer() -> bool:
            return queue.offer("r", job, max_waiting=2, concurrency=1)

        assert offer()
        await settled()  # it runs
        assert [offer() for _ in range(4)] == [True, True, False, False]
        assert queue.dropped == 2
        gate.set()
        await settled()
        assert len(done) == 3
        assert len(queue) == 0

    during(test)


def test_each_route_has_its_own_number_at_one_time() -> None:
    async def test(queue: ShadowQueue) -> None:
        running = {"a": 0, "b": 0}
        most = {"a": 0, "b": 0}

        def job(route: str) -> Callable[[], Awaitable[None]]:
            async def run() -> None:
                running[route] += 1
                most[route] = max(most[route], running[route])
                await settled()
                running[route] -= 1

            return run

        for _ in range(6):
            assert queue.offer("a", job("a"), max_waiting=10, concurrency=2)
            assert queue.offer("b", job("b"), max_waiting=10, concurrency=3)
        while len(queue):
            await asyncio.sleep(0)
        assert most == {"a": 2, "b": 3}

    queue = during(test)
    assert not queue._lanes, "routes that have nothing waiting are not kept"


def test_a_copy_that_breaks_ends_no_other() -> None:
    async def test(queue: ShadowQueue) -> None:
        done: list[int] = []

        async def bad() -> None:
            raise ValueError("no")

        async def good() -> None:
            done.append(1)

        for job in (bad, good, bad, good):
            queue.offer("r", job, max_waiting=9, concurrency=1)
        while len(queue):
            await asyncio.sleep(0)
        assert done == [1, 1]

    during(test)


def test_a_drain_drops_what_waits_cancels_what_runs_and_takes_nothing_more() -> None:
    async def test(queue: ShadowQueue) -> None:
        ended: list[str] = []

        async def job() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        for _ in range(3):
            queue.offer("r", job, max_waiting=9, concurrency=1)
        await settled()
        queue.drain()
        await settled()
        assert ended == ["cancelled"]
        assert queue.dropped == 2
        assert not queue.offer("r", job, max_waiting=9, concurrency=1)
        assert len(queue) == 0

    during(test)
