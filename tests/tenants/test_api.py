"""``/api/tenants`` and ``/api/keys``, as an administrator and as anybody else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from random import Random

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from santral.db.engine import Engine
from santral.errors import NotAllowed, SantralError
from santral.tenants.api import tenants_router
from santral.tenants.key import is_intact
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
    app = FastAPI()
    app.add_exception_handler(SantralError, as_answer)
    rng = Random(1).randbytes
    app.include_router(tenants_router(engine, only_root, rng=rng, clock=lambda: NOW))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://control", headers={"x-who": "root"}
    ) as made:
        yield made


async def test_a_key_is_issued_shown_once_listed_and_revoked(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/tenants", json={"id": "acme"})).json() == {
        "id": "acme",
        "name": "acme",
        "is_active": True,
    }
    body = {
        "tenant_id": "acme",
        "name": "shop",
        "routes": ["faq"],
        "expires_at": "2027-01-01T00:00:00Z",
    }
    made = await client.post("/api/keys", json=body)
    assert made.status_code == 201
    plaintext, key = made.json()["plaintext"], made.json()["key"]
    assert is_intact(plaintext)
    listed = await client.get("/api/keys", params={"tenant_id": "acme"})
    assert listed.json() == {"keys": [key]}
    assert plaintext not in listed.text
    assert "digest" not in key
    ended = await client.delete(f"/api/keys/{key['id']}")
    assert ended.json()["revoked_at"] == "2026-11-22T12:00:00Z"


async def test_an_unknown_field_is_refused_by_name(client: httpx.AsyncClient) -> None:
    for path, body in (
        ("/api/tenants", {"id": "acme", "budget": 5}),
        ("/api/keys", {"name": "shop", "budget": 5}),
    ):
        refused = await client.post(path, json=body)
        assert refused.status_code == 422
        assert refused.json()["detail"][0]["loc"] == ["body", "budget"]
    assert (await client.get("/api/tenants")).json() == {"tenants": []}


async def test_a_time_without_a_zone_is_refused(client: httpx.AsyncClient) -> None:
    body = {"name": "shop", "expires_at": "2027-01-01T00:00:00"}
    assert (await client.post("/api/keys", json=body)).status_code == 422


async def test_a_key_in_the_address_is_refused(client: httpx.AsyncClient) -> None:
    await client.post("/api/tenants", json={"id": "default"})
    plaintext = (await client.post("/api/keys", json={"name": "shop"})).json()["plaintext"]
    refused = await client.delete(f"/api/keys/{plaintext}")
    assert refused.status_code == 400
    assert plaintext not in refused.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/tenants"),
        ("POST", "/api/tenants"),
        ("GET", "/api/keys"),
        ("POST", "/api/keys"),
        ("DELETE", "/api/keys/key_1"),
    ],
)
async def test_only_administrators_get_in(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    refused = await client.request(method, path, json={"id": "acme"}, headers={"x-who": "guest"})
    assert refused.status_code == 403
