"""Jobs on both databases: taken once, resumed after a kill, cancelled, tried again, bounded."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from santral.audit.note import Actor
from santral.db.engine import Engine, connect, reading, writing
from santral.errors import BadRequest, SantralError, StoreError
from santral.jobs import queue, store
from santral.jobs.job import Hold, Job, JobKind, Work
from santral.jobs.runner import FIRST_PAUSE_S, LEASE_S, LOOK_EVERY_S, LeaseLost, Runner
from santral.tenants.tenant import EVERYWHERE, TenantId

pytestmark = pytest.mark.anyio

ACTOR = Actor("cli:test", "cli")
ACME = TenantId("acme")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Count(Struct, frozen=True):
    """Arguments of the test's kinds."""

    to: int = 3
    subject: str = ""


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


async def start(engine: Engine, kind: str = "count", **arguments: Any) -> Job:
    async with writing(engine) as conn:
        return await queue.start_job(
            conn, secrets.token_bytes, kind, ACME, arguments, NOW, actor=ACTOR
        )


def kinds_of(work: Work, **changes: Any) -> dict[str, JobKind]:
    kind = JobKind(name="count", about="Counts.", arguments=Count, work=work, **changes)
    return {"count": kind}


async def count(hold: Hold, arguments: Count) -> Mapping[str, Any]:
    first = hold.job.progress.saved.get("at", 0)
    for number in range(first, arguments.to):
        await hold.report("counting", number + 1, arguments.to, saved={"at": number + 1})
    return {"counted": arguments.to, "from": first}


async def test_a_job_is_done_and_says_what_came_of_it(engine: Engine) -> None:
    job = await start(engine, to=4, subject="ayse@example.com")
    done = await Runner(engine, kinds_of(count), "one", Clock()).run_one(job.id)
    assert (done.state, done.result, done.tries) == ("done", {"counted": 4, "from": 0}, 1)
    assert (done.progress.done, done.progress.total) == (4, 4)
    assert done.arguments == {"to": 4}  # who it was about is forgotten
    assert done.leased_by is None
    assert done.finished_at == NOW


async def test_no_job_is_taken_twice_by_many_workers(engine: Engine) -> None:
    jobs = [await start(engine) for _ in range(12)]
    taken: list[str] = []

    async def take(holder: str) -> None:
        while True:
            async with writing(engine) as conn:
                job = await store.claim_job(
                    conn, ["count"], holder, NOW, NOW + timedelta(seconds=30)
                )
            if job is None:
                return
            taken.append(job.id)

    async with asyncio.TaskGroup() as workers:
        for number in range(4):
            workers.create_task(take(f"w{number}"))
    assert sorted(taken) == sorted(job.id for job in jobs)


async def test_a_job_goes_on_from_what_it_saved_when_its_holder_died(engine: Engine) -> None:
    clock = Clock()
    job = await start(engine, to=5)
    async with writing(engine) as conn:  # a holder that reports twice and is never seen again
        taken = await store.claim_job(
            conn, ["count"], "dead", NOW, NOW + timedelta(seconds=LEASE_S)
        )
        assert taken is not None
        progress = {"step": "counting", "done": 2, "total": 5, "saved": {"at": 2}}
        from santral.jobs.job import Progress

        await store.save_progress(
            conn, ACME, taken, Progress(**progress), NOW + timedelta(seconds=LEASE_S)
        )
    runner = Runner(engine, kinds_of(count), "alive", clock)
    async with reading(engine) as conn:
        assert not await store.has_due(conn, ["count"], clock())
    clock.move(LEASE_S + 1)
    done = await runner.run_one(job.id)
    assert done.result == {"counted": 5, "from": 2}
    assert done.tries == 2


async def test_who_lost_its_lease_changes_nothing(engine: Engine) -> None:
    clock = Clock()
    job = await start(engine)
    lease = timedelta(seconds=LEASE_S)
    async with writing(engine) as conn:
        old = await store.claim_job(conn, ["count"], "slow", NOW, NOW + lease)
        later = NOW + 2 * lease
        new = await store.claim_job(conn, ["count"], "slow", later, later + lease)
        assert old is not None
        assert new is not None
        assert new.tries == 2
        assert not await store.renew_lease(conn, ACME, old, later + lease)
        assert not await store.end_job(conn, ACME, old, "done", clock(), arguments={})
        assert await store.end_job(conn, ACME, new, "done", clock(), arguments={})
    assert (await queue.get_job(engine, job.id)).state == "done"


async def test_a_retryable_error_is_tried_again_later_and_then_given_up(engine: Engine) -> None:
    clock = Clock()
    tries: list[datetime] = []

    async def fail(hold: Hold, arguments: Count) -> Mapping[str, Any]:
        tries.append(clock())
        raise StoreError("The disk is full.")

    async def sleep(seconds: float) -> None:
        clock.move(seconds)
        await asyncio.sleep(0)

    job = await start(engine, subject="ayse")
    runner = Runner(engine, kinds_of(fail, most_tries=3), "one", clock, sleep=sleep)
    done = await runner.run_one(job.id)
    assert (done.state, done.error, done.tries) == ("failed", "The disk is full.", 3)
    assert "subject" not in done.arguments
    pauses = [(b - a).total_seconds() for a, b in pairwise(tries)]
    assert pauses[0] >= FIRST_PAUSE_S
    assert pauses[1] >= 2 * FIRST_PAUSE_S


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BadRequest("There is nobody of that name."), "There is nobody of that name."),
        (ValueError("ayse@example.com"), "an internal error (ValueError); see the log"),
    ],
)
async def test_an_error_that_stays_ends_the_job_at_once(
    engine: Engine, error: Exception, said: str
) -> None:
    async def fail(hold: Hold, arguments: Count) -> Mapping[str, Any]:
        raise error

    job = await start(engine)
    done = await Runner(engine, kinds_of(fail), "one", Clock()).run_one(job.id)
    assert (done.state, done.error, done.tries) == ("failed", said, 1)


async def test_a_cancelled_job_stops_at_its_next_report(engine: Engine) -> None:
    stopped: list[bool] = []

    async def slow(hold: Hold, arguments: Count) -> Mapping[str, Any]:
        await queue.cancel_job(engine, hold.job.id, NOW, actor=ACTOR)
        try:
            await hold.report("after", 1)
        except LeaseLost:
            stopped.append(True)
            raise
        return {}

    job = await start(engine, subject="ayse")
    done = await Runner(engine, kinds_of(slow), "one", Clock()).run_one(job.id)
    assert stopped == [True]
    assert (done.state, done.result, done.arguments) == ("cancelled", None, {})
    with pytest.raises(BadRequest, match="cancelled already"):
        await queue.cancel_job(engine, job.id, NOW, actor=ACTOR)


async def test_a_job_that_never_reports_is_stopped_when_its_lease_is_not_renewed(
    engine: Engine,
) -> None:
    async def stuck(hold: Hold, arguments: Count) -> Mapping[str, Any]:
        await queue.cancel_job(engine, hold.job.id, NOW, actor=ACTOR)
        await asyncio.sleep(60)
        return {}

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0.01)

    job = await start(engine)
    runner = Runner(engine, kinds_of(stuck), "one", Clock(), sleep=sleep)
    async with asyncio.timeout(10):
        assert (await runner.run_one(job.id)).state == "cancelled"


async def test_a_stopping_process_puts_its_jobs_back_and_the_try_does_not_count(
    engine: Engine,
) -> None:
    begun = asyncio.Event()

    async def slow(hold: Hold, arguments: Count) -> Mapping[str, Any]:
        begun.set()
        await asyncio.sleep(60)
        return {}

    job = await start(engine)
    runner = Runner(engine, kinds_of(slow), "one", Clock())
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(runner.run())
        await begun.wait()
        running.cancel()
    seen = await queue.get_job(engine, job.id)
    assert (seen.state, seen.tries, seen.leased_by) == ("waiting", 0, None)


class Enough(Exception):
    """Ends a runner between two looks, when no statement of its is under way."""


async def test_no_more_jobs_run_at_once_than_allowed(engine: Engine) -> None:
    under_way, most, ended = 0, 0, 0
    are_two = asyncio.Event()

    async def watched(hold: Hold, arguments: Count) -> Mapping[str, Any]:
        nonlocal under_way, most, ended
        under_way += 1
        most = max(most, under_way)
        if under_way == 2:
            are_two.set()
        await are_two.wait()
        await asyncio.sleep(0.02)
        under_way -= 1
        ended += 1
        return {}

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0.01)
        if seconds == LOOK_EVERY_S and len(await done_jobs(engine)) == 6:
            raise Enough

    for _ in range(6):
        await start(engine)
    runner = Runner(engine, kinds_of(watched), "one", Clock(), concurrency=2, sleep=sleep)
    async with asyncio.timeout(50):
        with pytest.raises(ExceptionGroup):
            await runner.run()
    assert (most, ended) == (2, 6)


async def done_jobs(engine: Engine) -> list[Job]:
    return await queue.list_jobs(engine, None, state="done")


async def test_one_job_a_day_is_made_however_many_processes_plan_it(engine: Engine) -> None:
    clock = Clock()
    for day in range(2):
        looks = 0

        async def sleep(seconds: float, day: int = day) -> None:
            nonlocal looks
            await asyncio.sleep(0.01)
            looks += seconds == LOOK_EVERY_S
            if seconds == LOOK_EVERY_S and looks > 4 and len(await done_jobs(engine)) > day:
                raise Enough

        async def run(name: str, sleep: Callable[[float], Awaitable[None]] = sleep) -> None:
            runner = Runner(engine, kinds_of(count), name, clock, daily=["count"], sleep=sleep)
            with pytest.raises(ExceptionGroup):
                await runner.run()

        async with asyncio.timeout(50), asyncio.TaskGroup() as tasks:
            tasks.create_task(run("one"))
            tasks.create_task(run("two"))
        found = await queue.list_jobs(engine, None, kind="count")
        assert [job.state for job in found] == ["done"] * (day + 1)
        assert {job.tenant_id for job in found} == {EVERYWHERE}
        clock.move(86_400)


async def test_jobs_of_other_tenants_are_not_listed(engine: Engine) -> None:
    job = await start(engine)
    assert [j.id for j in await queue.list_jobs(engine, {ACME})] == [job.id]
    assert await queue.list_jobs(engine, {TenantId("globex")}) == []
    assert await queue.list_jobs(engine, frozenset()) == []
    with pytest.raises(SantralError, match="There is no job"):
        await queue.get_job(engine, "job_none")


def _be_killed(url: str, job_id: str, mark: str) -> None:
    async def slowly(hold: Hold, arguments: Count) -> Mapping[str, Any]:
        await hold.report("counting", 2, 5, saved={"at": 2})
        Path(mark).touch()
        await asyncio.sleep(60)
        return {}

    async def run() -> None:
        runner = Runner(connect(url), kinds_of(slowly), "doomed", lambda: datetime.now(UTC))
        await runner.run_one(job_id)

    asyncio.run(run())


async def test_a_job_survives_kill_9_of_the_process_that_runs_it(
    engine: Engine, database: str, tmp_path: Path
) -> None:
    job = await start(engine, to=5)
    mark = tmp_path / "begun"
    spawn = multiprocessing.get_context("spawn")
    doomed = spawn.Process(target=_be_killed, args=(database, job.id, str(mark)))
    doomed.start()
    deadline = time.monotonic() + 40
    while not mark.exists():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert doomed.pid is not None
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.join()
    assert (await queue.get_job(engine, job.id)).state == "running"
    later = datetime.now(UTC) + timedelta(seconds=LEASE_S + 1)
    done = await Runner(engine, kinds_of(count), "heir", lambda: later).run_one(job.id)
    assert done.result == {"counted": 5, "from": 2}


async def test_a_job_whose_end_cannot_be_written_stops_no_other(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    jobs = [await start(engine), await start(engine)]
    broken, other = sorted(jobs, key=lambda job: job.id)  # in the order in which they are taken
    end = store.end_job

    async def break_once(
        conn: Any, tenant_id: TenantId, job: Job, *args: Any, **fields: Any
    ) -> bool:
        if job.id == broken.id and job.tries == 1:
            raise RuntimeError("unforeseen")
        return await end(conn, tenant_id, job, *args, **fields)

    monkeypatch.setattr(store, "end_job", break_once)
    runner = Runner(engine, kinds_of(count), "one", clock)
    assert (await runner.run_one(other.id)).state == "done"
    assert (await queue.get_job(engine, broken.id)).state == "running"
    clock.move(LEASE_S + 1)
    assert (await runner.run_one(broken.id)).state == "done"
