"""``/api/jobs`` and ``santral jobs``: who sees which job, and what is never shown."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from santral.audit.note import Actor
from santral.db.engine import Engine, connect, sqlite_url, writing
from santral.db.migrate import migrate
from santral.errors import SantralError
from santral.jobs import queue
from santral.jobs.api import jobs_router
from santral.jobs.cli import jobs_app
from santral.jobs.job import Job
from santral.tenants.permission import Action, Grant, Principal
from santral.tenants.tenant import EVERYWHERE, Role, TenantId
from santral.tenants.tree import TenantTree

pytestmark = pytest.mark.anyio

ACTOR = Actor("cli:test", "cli")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TREE = TenantTree({TenantId("acme"): None, TenantId("globex"): None})


async def start(engine: Engine, tenant: str) -> Job:
    async with writing(engine) as conn:
        arguments = {"subject": "ayse", "tenant": tenant}
        return await queue.start_job(
            conn,
            secrets.token_bytes,
            "privacy.erase",
            TenantId(tenant),
            arguments,
            NOW,
            actor=ACTOR,
        )


def client(engine: Engine, role: Role, over: str) -> httpx.AsyncClient:
    principal = Principal("user:usr_1", "203.0.113.7", (Grant(role, TenantId(over)),), TREE)

    def authorise(action: Action) -> Callable[[], Awaitable[Principal]]:
        async def who() -> Principal:
            principal.require_somewhere(action)
            return principal

        return who

    from santral.app.control import _answer_error  # pyright: ignore[reportPrivateUsage]

    app = FastAPI()
    app.add_exception_handler(SantralError, _answer_error)
    app.include_router(jobs_router(engine, authorise, clock=lambda: NOW))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://control")


async def test_a_tenants_jobs_are_seen_by_its_own_and_by_the_installation(engine: Engine) -> None:
    acme, globex = await start(engine, "acme"), await start(engine, "globex")
    async with client(engine, "operator", "acme") as http:
        listed = (await http.get("/api/jobs")).json()["jobs"]
        assert [job["id"] for job in listed] == [acme.id]
        assert (await http.get(f"/api/jobs/{globex.id}")).status_code == 404
        assert (await http.post(f"/api/jobs/{globex.id}/cancel")).status_code == 404
        shown = await http.get(f"/api/jobs/{acme.id}")
        assert shown.json()["state"] == "waiting"
        assert "ayse" not in shown.text
        ended = await http.post(f"/api/jobs/{acme.id}/cancel")
        assert ended.json()["state"] == "cancelled"
        again = await http.post(f"/api/jobs/{acme.id}/cancel")
        assert again.json()["error"]["code"] == "job_over"
    async with client(engine, "auditor", EVERYWHERE) as http:
        assert len((await http.get("/api/jobs")).json()["jobs"]) == 2
        assert len((await http.get("/api/jobs?state=cancelled")).json()["jobs"]) == 1
        assert (await http.get("/api/jobs?sate=done")).status_code == 422
        assert (await http.post(f"/api/jobs/{globex.id}/cancel")).status_code == 403
    async with client(engine, "viewer", EVERYWHERE) as http:
        assert (await http.get("/api/jobs")).status_code == 403


def test_the_command_line_lists_shows_and_cancels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANTRAL_DATA__FOLDER", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    async def prepare() -> Job:
        engine = connect(sqlite_url(tmp_path))
        await migrate(engine)
        job = await start(engine, "acme")
        await engine.dispose()
        return job

    job = asyncio.run(prepare())
    runner = CliRunner()
    assert job.id in runner.invoke(jobs_app, ["list", "--tenant", "acme"]).stdout
    assert job.id not in runner.invoke(jobs_app, ["list", "--tenant", "globex"]).stdout
    shown = runner.invoke(jobs_app, ["show", job.id]).stdout
    assert '"state": "waiting"' in shown
    assert "ayse" not in shown
    assert "Cancelled the job" in runner.invoke(jobs_app, ["cancel", job.id]).stdout
    assert "cancelled" in runner.invoke(jobs_app, ["list"]).stdout
