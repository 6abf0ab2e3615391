"""``/api/evals``: suites, runs page by page, samples, comparisons, and a start that is a job."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.evals.asking import ScriptedAsk, echo
from tests.evals.runner.places import place, wish, write_suite

from santral.app.control import _answer_error  # pyright: ignore[reportPrivateUsage]
from santral.db.engine import Engine
from santral.errors import SantralError
from santral.evals.api import evals_router
from santral.evals.evaluation import evaluate
from santral.tenants.issue import ensure_first_keys
from santral.tenants.operator import local_operator
from santral.tenants.permission import Action, Principal

pytestmark = pytest.mark.anyio
BY = local_operator()


def authorise(action: Action) -> Callable[..., Awaitable[Principal]]:
    del action

    async def who() -> Principal:
        return BY

    return who


@pytest.fixture
async def client(sqlite_engine: Engine, tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    await ensure_first_keys(sqlite_engine, secrets.token_bytes)
    path = write_suite(tmp_path)
    for run_id, ask in (("run_a", ScriptedAsk(echo)), ("run_b", ScriptedAsk(lambda _: "no"))):
        asked = wish(path, run_id, is_fresh=True)
        await evaluate(place(tmp_path, sqlite_engine, ask), asked, by=BY)
    app = FastAPI()
    app.include_router(evals_router(sqlite_engine, tmp_path, authorise))
    app.add_exception_handler(SantralError, _answer_error)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://control/api/evals") as made:
        yield made


async def got(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_runs_and_samples_are_shown_page_by_page(client: httpx.AsyncClient) -> None:
    first = await got(client, "/runs", limit=1)
    rest = await got(client, "/runs", limit=1, before=first["next"])
    assert [run["id"] for run in (*first["runs"], *rest["runs"])] == ["run_b", "run_a"]
    assert (await got(client, "/runs/run_a"))["summary"]["measures"][0]["value"] == 1.0

    page = (await got(client, "/runs/run_a/samples", limit=4))["samples"]
    last = page[-1]["example_id"]
    more = (await got(client, "/runs/run_a/samples", limit=4, after=last))["samples"]
    assert [one["example_id"] for one in (*page, *more)] == [f"e{n}" for n in range(6)]
    assert page[0]["example"]["input"] == "question 0"
    assert (await got(client, "/runs/run_a/samples", failed=True))["samples"] == []


async def test_two_runs_are_compared(client: httpx.AsyncClient) -> None:
    found = await got(client, "/compare", base="run_a", head="run_b")
    assert found["outcome"] == "regression"
    assert found["measures"][0]["broken"] == [f"e{n}" for n in range(6)]


async def test_a_suite_is_started_as_a_job_and_what_cannot_be_is_refused(
    client: httpx.AsyncClient,
) -> None:
    assert [one["name"] for one in (await got(client, "/suites"))["suites"]] == ["suite"]
    started = await client.post("/runs", json={"suite": "suite", "baseline": "run_a"})
    assert (started.status_code, started.json()["kind"]) == (202, "evals.run")
    for body, status in (
        ({"suite": "../suite"}, 404),
        ({"suite": "suite", "baseline": "main"}, 400),
        ({"suite": "suite", "path": "/etc"}, 422),
    ):
        assert (await client.post("/runs", json=body)).status_code == status, body


async def test_a_run_that_is_nobodys_is_not_found(client: httpx.AsyncClient) -> None:
    for path in ("/runs/run_x", "/runs/run_x/samples"):
        assert (await client.get(path)).status_code == 404
    assert (await client.delete("/runs/run_a")).status_code == 200
    assert (await client.get("/runs/run_a")).status_code == 404
