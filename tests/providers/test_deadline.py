"""One sweep ends the waits whose time has come, and only those."""

from __future__ import annotations

import asyncio

import pytest

from santral.providers.deadline import Sweep, Watch


def watch_for(seconds: float) -> Watch:
    return Watch(asyncio.get_running_loop().time, allowance=seconds)


async def wait(watch: Watch) -> None:
    with watch:
        await asyncio.Event().wait()


def test_a_wait_ends_with_a_timeout_when_its_time_has_come() -> None:
    async def body() -> None:
        sweep, watch = Sweep(asyncio.get_running_loop(), 0.005), watch_for(0.01)
        sweep.open(watch)
        with pytest.raises(TimeoutError):
            await wait(watch)
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
        await asyncio.sleep(0.02)  # and the task is not cancelled later
        sweep.stop()

    asyncio.run(body())


def test_a_cancellation_from_outside_stays_one() -> None:
    async def body() -> None:
        sweep, watch = Sweep(asyncio.get_running_loop(), 0.005), watch_for(10)
        sweep.open(watch)
        task = asyncio.ensure_future(wait(watch))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        sweep.stop()

    asyncio.run(body())


def test_a_cancellation_at_the_same_moment_wins() -> None:
    async def body() -> None:
        watch = watch_for(10)
        task = asyncio.ensure_future(wait(watch))
        await asyncio.sleep(0)
        watch.expire()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())


def test_nothing_is_cancelled_between_two_waits() -> None:
    async def body() -> None:
        sweep, watch = Sweep(asyncio.get_running_loop(), 0.002), watch_for(0.001)
        sweep.open(watch)
        with watch:
            pass
        await asyncio.sleep(0.02)
        sweep.stop()

    asyncio.run(body())


def test_only_time_spent_waiting_uses_up_the_allowance() -> None:
    async def body() -> None:
        now = 100.0
        watch = Watch(lambda: now, allowance=5, ends_at=154)
        for waited, idle, due in ((2, 50, 105), (1, 0, 154)):
            with watch:
                assert watch.due == due
                now += waited
            assert watch.due == float("inf"), "between two waits nothing is due"
            now += idle
        assert watch.allowance == 2

    asyncio.run(body())


def test_the_sweep_rests_when_nothing_is_watched() -> None:
    async def body() -> None:
        sweep, watch = Sweep(asyncio.get_running_loop(), 0.001), watch_for(10)
        sweep.open(watch)
        sweep.close(watch)
        sweep.close(watch)
        await asyncio.sleep(0.01)
        assert sweep._timer is None

    asyncio.run(body())
