"""Of equal requests at the same moment one asks."""

from __future__ import annotations

import asyncio

import pytest

from santral.cache.flight import SingleFlight


def test_one_leads_and_the_others_find_its_answer() -> None:
    async def body() -> None:
        flights, kept, asked = SingleFlight(), dict[bytes, int](), list[int]()

        async def request(number: int) -> int:
            async with flights.turn(b"k", 5) as is_leader:
                if not is_leader and b"k" in kept:
                    return kept[b"k"]
                asked.append(number)
                await asyncio.sleep(0)
                kept[b"k"] = number
                return number

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(request(number)) for number in range(5)]
        assert {task.result() for task in tasks} == {0}
        assert asked == [0]

    asyncio.run(body())


def test_a_leader_that_fails_lets_everyone_go_on() -> None:
    async def body() -> None:
        flights, joined = SingleFlight(), asyncio.Event()
        outcomes: list[bool] = []

        async def lead() -> None:
            async with flights.turn(b"k", 5):
                await joined.wait()
                raise ValueError

        async def follow() -> None:
            async with flights.turn(b"k", 5) as is_leader:
                outcomes.append(is_leader)

        leader = asyncio.ensure_future(lead())
        await asyncio.sleep(0)
        followers = [asyncio.ensure_future(follow()) for _ in range(2)]
        await asyncio.sleep(0)
        joined.set()
        with pytest.raises(ValueError):  # noqa: PT011 - its own
            await leader
        for follower in followers:
            await follower
        assert outcomes == [False, False]
        async with flights.turn(b"k", 5) as is_leader:
            assert is_leader, "nothing is left behind"

    asyncio.run(body())


def test_waiting_has_an_end_and_keys_do_not_wait_for_each_other() -> None:
    async def body() -> None:
        flights = SingleFlight()
        async with flights.turn(b"a", 5) as leads_a, flights.turn(b"b", 5) as leads_b:
            assert leads_a
            assert leads_b
            async with flights.turn(b"a", 0.01) as is_leader:
                assert not is_leader

    asyncio.run(body())
