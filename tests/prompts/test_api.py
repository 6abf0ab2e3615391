"""The admin API of prompts: what applications read, how long it holds, and who may move a label."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from tests.db.databases import anyio_backend, sqlite_template
from tests.tenants.acting import OPERATOR, plant

from santral.db.engine import Engine, connect, sqlite_url
from santral.prompts.api import prompts_router
from santral.prompts.library import PromptLibrary
from santral.tenants.permission import Action, Principal

__all__ = ["anyio_backend", "sqlite_template"]

pytestmark = pytest.mark.anyio
BODY = "+++\n[variables.who]\n+++\n## user\nHello {{ who }}\n"


@pytest.fixture
async def engine(
    tmp_path: Path, sqlite_template: Path, anyio_backend: str
) -> AsyncGenerator[Engine]:
    (tmp_path / "santral.db").write_bytes(sqlite_template.read_bytes())
    made = connect(sqlite_url(tmp_path))
    await plant(made, "acme")
    yield made
    await made.dispose()


@pytest.fixture
async def client(engine: Engine) -> AsyncGenerator[httpx.AsyncClient]:
    def authorise(action: Action):  # type: ignore[no-untyped-def]
        async def who() -> Principal:
            return OPERATOR

        return who

    app = FastAPI()
    app.include_router(prompts_router(engine, lambda: PromptLibrary({}), authorise))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://control") as made:
        for version in ("1.0.0", "2.0.0"):
            body = BODY.replace("Hello", f"Hello {version}")
            pushed = await made.post(
                "/api/prompts/greet/versions",
                json={"tenant_id": "acme", "version": version, "body": body},
            )
            assert pushed.status_code == 201
            assert pushed.json()["is_new"]
        await move(made, "1.0.0")
        yield made


async def move(client: httpx.AsyncClient, version: str) -> None:
    answer = await client.put(
        "/api/prompts/greet/labels/live", json={"tenant_id": "acme", "version": version}
    )
    assert answer.status_code == 200


async def test_what_is_read_carries_an_etag_and_says_how_long_it_holds(
    client: httpx.AsyncClient,
) -> None:
    where = {"tenant_id": "acme", "label": "live"}
    first = await client.get("/api/prompts/greet", params=where)
    assert first.json()["messages"] == [{"role": "user", "text": "Hello 1.0.0 {{ who }}"}]
    assert first.headers["cache-control"] == "private, max-age=60, stale-if-error=3600"
    known = {"if-none-match": first.headers["etag"]}
    again = await client.get("/api/prompts/greet", params=where, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    await move(client, "2.0.0")
    moved = await client.get("/api/prompts/greet", params=where, headers=known)
    assert moved.status_code == 200
    assert moved.json()["version"] == "2.0.0"


async def test_a_version_is_rendered_and_compared(client: httpx.AsyncClient) -> None:
    filled = await client.post(
        "/api/prompts/greet/render",
        json={"tenant_id": "acme", "version": "2.0.0", "variables": {"who": "Ada"}},
    )
    assert filled.json()["messages"][0]["content"] == "Hello 2.0.0 Ada"
    differs = await client.get(
        "/api/prompts/greet/diff",
        params={"tenant_id": "acme", "old": "1.0.0", "new": "2.0.0"},
    )
    assert [change["name"] for change in differs.json()["changes"]] == ["user"]


async def test_history_and_log_say_who_did_what(client: httpx.AsyncClient) -> None:
    history = (await client.get("/api/prompts/greet/history", params={"tenant_id": "acme"})).json()
    assert [version["version"] for version in history["versions"]] == ["2.0.0", "1.0.0"]
    assert history["labels"] == [
        {"label": "live", "version": "1.0.0", "number": 1, "is_protected": False}
    ]
    log = (await client.get("/api/prompts/greet/log", params={"tenant_id": "acme"})).json()
    assert {entry["deed"] for entry in log["entries"]} == {"pushed", "labelled"}
