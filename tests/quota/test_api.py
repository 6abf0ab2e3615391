"""``/api/limits``, as an administrator and as anybody else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from santral.db.engine import Engine
from santral.errors import NotAllowed, SantralError
from santral.quota.api import limits_router
from santral.tenants.issue import create_tenant
from santral.web.errors import openai_error

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def only_root(request: Request) -> None:
    if request.headers.get("x-who") != "root":
        raise NotAllowed("Administrators only.")


async def as_answer(request: Request, error: Exception) -> Response:
    assert isinstance(error, SantralError)
    answer = openai_error(error)
    return Response(answer.body, answer.status, media_type="application/json")


@pytest.fixture
async def client(engine: Engine) -> AsyncGenerator[httpx.AsyncClient]:
    await create_tenant(engine, "acme", None, NOW)
    app = FastAPI()
    app.add_exception_handler(SantralError, as_answer)
    app.include_router(limits_router(engine, only_root, clock=lambda: NOW))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://control", headers={"x-who": "root"}
    ) as made:
        yield made


async def test_limits_are_put_and_read_back(client: httpx.AsyncClient) -> None:
    wanted = {
        "tenant_id": "acme",
        "key_id": None,
        "requests_per_second": 5.0,
        "burst": 10,
        "tokens_per_day": 1000,
    }
    assert (await client.put("/api/limits", json=wanted)).json() == wanted
    found = await client.get("/api/limits", params={"tenant_id": "acme"})
    assert found.json() == {"limits": [wanted]}


async def test_an_unknown_limit_is_refused_by_name_and_nothing_changes(
    client: httpx.AsyncClient,
) -> None:
    body = {"tenant_id": "acme", "tokens_per_day": 5, "budget": 5}
    refused = await client.put("/api/limits", json=body)
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == ["body", "budget"]
    found = await client.get("/api/limits", params={"tenant_id": "acme"})
    assert found.json()["limits"][0]["tokens_per_day"] is None


async def test_a_contradiction_is_refused_with_its_name(client: httpx.AsyncClient) -> None:
    refused = await client.put("/api/limits", json={"tenant_id": "acme", "burst": 5})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "burst"


async def test_only_administrators_get_in(client: httpx.AsyncClient) -> None:
    for method in ("GET", "PUT"):
        refused = await client.request(
            method, "/api/limits", json={"tenant_id": "acme"}, headers={"x-who": "guest"}
        )
        assert refused.status_code == 403
