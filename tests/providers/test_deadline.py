"""One sweep ends the waits whose time has come, and only those."""

from __future__ import annotations

import asyncio

import pytest

from santral.providers.deadline import Sweep, Watch


async def wait(watch: Watch, seconds: float) -> None:
    watch.due = asyncio.get_running_loop().time() + seconds
    with watch:
        await asyncio.Event().wait()


def test_a_wait_ends_with_a_timeout_when_its_time_has_come() -> None:
    async def body() -> None:
        sweep, watch = Sweep(asyncio.get_running_loop(), 0.005), Watch()
        sweep.open(watch)
        with pytest.raises(TimeoutError):
            await wait(watch, 0.01)
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
        await asyncio.sleep(0.02)  # and the task is not cancelled later
        sweep.stop()

    asyncio.run(body())


def test_a_cancellation_from_outside_stays_one() -> None:
    async def body() -> None:
        sweep, watch = Sweep(asyncio.get_running_loop(), 0.005), Watch()
        sweep.open(watch)
        task = asyncio.ensure_future(wait(watch, 10))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        sweep.stop()

    asyncio.run(body())


def test_a_cancellation_at_the_same_moment_wins() -> None:
    async def body() -> None:
        watch = Watch()
        task = asyncio.ensure_future(wait(watch, 10))
        await asyncio.sleep(0)
        watch.expire()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())


def test_nothing_is_cancelled_between_two_waits() -> None:
    async def body() -> None:
        sweep, watch = Sweep(asyncio.get_running_loop(), 0.002), Watch()
        sweep.open(watch)
        watch.due = asyncio.get_running_loop().time() + 0.001
        with watch:
            pass
        await asyncio.sleep(0.02)
        sweep.stop()

    asyncio.run(body())


def test_the_sweep_rests_when_nothing_is_watched() -> None:
    async def body() -> None:
        sweep, watch = Sweep(asyncio.get_running_loop(), 0.001), Watch()
        sweep.open(watch)
        sweep.close(watch)
        sweep.close(watch)
        await asyncio.sleep(0.01)
        assert sweep._timer is None

    asyncio.run(body())
