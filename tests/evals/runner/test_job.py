"""Suites as jobs: progress, an end with verdicts, a second try that goes on, and who may start them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.evals.asking import ScriptedAsk, echo
from tests.evals.runner.conftest import NOW
from tests.evals.runner.places import place, write_suite

from santral.db.engine import Engine
from santral.errors import BadRequest, NotAllowed, NotFound
from santral.evals import kept
from santral.evals.answer import Answer, Question
from santral.evals.job import EVALUATE, EvaluateArguments, Evaluation
from santral.evals.start import start_evaluation
from santral.evals.suites import list_suites
from santral.jobs import queue
from santral.jobs.job import Job, JobKind
from santral.jobs.runner import Runner
from santral.tenants.issue import ensure_first_keys
from santral.tenants.operator import local_operator
from santral.tenants.permission import Grant, Principal
from santral.tenants.tenant import DEFAULT_TENANT
from santral.tenants.tree import TenantTree

pytestmark = pytest.mark.anyio
BY = local_operator()


@pytest.fixture
async def engine(sqlite_engine: Engine) -> Engine:
    await ensure_first_keys(sqlite_engine, secrets.token_bytes)
    return sqlite_engine


def runner_of(engine: Engine, folder: Path, ask: ScriptedAsk) -> Runner:
    work = Evaluation(lambda: place(folder, engine, ask), folder)
    kind = JobKind(name=EVALUATE, about="", arguments=EvaluateArguments, work=work)
    return Runner(engine, {EVALUATE: kind}, "me", lambda: NOW)


async def start(engine: Engine, folder: Path, **asked: Any) -> Job:
    arguments = EvaluateArguments(suite="suite", **asked)
    return await start_evaluation(engine, folder, DEFAULT_TENANT, arguments, NOW, by=BY)


def result(job: Job) -> Mapping[str, Any]:
    assert job.state == "done", job.error
    assert job.result is not None
    return job.result


async def test_a_job_runs_a_suite_and_holds_it_against_the_last_one(
    engine: Engine, tmp_path: Path
) -> None:
    write_suite(tmp_path)
    first = await start(engine, tmp_path)
    done = await runner_of(engine, tmp_path, ScriptedAsk(echo)).run_one(first.id)
    assert result(done)["runs"] == [first.id.replace("job_", "run_")]
    assert (done.progress.done, done.progress.total) == (6, 6)

    second = await start(engine, tmp_path, baseline="last", is_fresh=True)
    worse = ScriptedAsk(lambda _: "no idea")
    found = result(await runner_of(engine, tmp_path, worse).run_one(second.id))

    (verdict,) = found["verdicts"].values()
    assert verdict == {"base": first.id.replace("job_", "run_"), "outcome": "regression"}


async def test_a_second_try_goes_on_with_what_the_first_has_left(
    engine: Engine, tmp_path: Path
) -> None:
    write_suite(tmp_path)
    never = asyncio.Event()

    class Stuck(ScriptedAsk):
        async def __call__(self, question: Question) -> Answer:
            if len(self.asked) >= 4:
                await never.wait()
            return await super().__call__(question)

    job = await start(engine, tmp_path)
    stuck = Stuck(echo)
    task = asyncio.create_task(runner_of(engine, tmp_path, stuck).run_one(job.id))
    while len(stuck.asked) < 4:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)  # what was answered is written
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    again = ScriptedAsk(echo)
    found = result(await runner_of(engine, tmp_path, again).run_one(job.id))

    assert len(again.asked) == 2
    run = await kept.show_kept(engine, DEFAULT_TENANT, found["runs"][0], by=BY)
    assert run.state == "done"


async def test_a_suite_that_cannot_be_run_fails_the_job_with_the_reason(
    engine: Engine, tmp_path: Path
) -> None:
    write_suite(tmp_path)
    job = await start(engine, tmp_path)
    (tmp_path / "cases.jsonl").unlink()

    done = await runner_of(engine, tmp_path, ScriptedAsk(echo)).run_one(job.id)

    assert done.state == "failed"
    assert "cases.jsonl cannot be read" in done.error


async def test_only_what_may_be_started_is_started(engine: Engine, tmp_path: Path) -> None:
    write_suite(tmp_path)
    viewer = Principal(
        name="user:v",
        origin="test",
        grants=(Grant("viewer", DEFAULT_TENANT),),
        tree=TenantTree({DEFAULT_TENANT: None}),
    )
    asked = EvaluateArguments(suite="suite")
    with pytest.raises(NotAllowed):
        await start_evaluation(engine, tmp_path, DEFAULT_TENANT, asked, NOW, by=viewer)
    for name in ("../suite", "none", ""):
        with pytest.raises(NotFound):
            await start_evaluation(
                engine, tmp_path, DEFAULT_TENANT, EvaluateArguments(suite=name), NOW, by=BY
            )
    for ref in ("main", "/etc/run.json", "run_x/../run.json", "run_a.json"):
        with pytest.raises(BadRequest, match="for the command line"):
            await start(engine, tmp_path, baseline=ref)
    assert [line.name for line in list_suites(tmp_path)] == ["suite"]
    assert list_suites(tmp_path / "nowhere") == []
    assert [job.kind for job in await queue.list_jobs(engine, None)] == []
