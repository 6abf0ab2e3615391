"""``/api/secrets``: values go in, and never come out."""

from __future__ import annotations

import secrets as random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response
from tests.tenants.acting import OPERATOR, acting

from santral.config.safekeeping import SecretsConfig
from santral.db.engine import Engine
from santral.errors import SantralError
from santral.secrets.api import secrets_router
from santral.secrets.change import open_from_database
from santral.secrets.master import MasterKey
from santral.secrets.wrappers import Wrappers, wrappers_from
from santral.tenants.permission import Principal

pytestmark = pytest.mark.anyio

WRAPPERS = Wrappers(MasterKey(random.token_bytes(32)), {})


def client(
    engine: Engine, who: Principal, wrappers: Callable[[], Wrappers] = lambda: WRAPPERS
) -> httpx.AsyncClient:
    def authorise(action: Any) -> Callable[..., Awaitable[Principal]]:
        async def principal() -> Principal:
            who.require_somewhere(action)
            return who

        return principal

    async def refuse(request: object, error: Exception) -> Response:
        assert isinstance(error, SantralError)
        return Response(error.message, error.status)

    app = FastAPI()
    app.include_router(secrets_router(engine, wrappers, authorise))
    app.add_exception_handler(SantralError, refuse)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://control")


async def test_a_value_goes_in_and_never_comes_out(engine: Engine) -> None:
    async with client(engine, OPERATOR) as http:
        answers = [
            await http.put("/api/secrets/openai", json={"value": "sk-very-secret"}),
            await http.get("/api/secrets"),
            await http.post("/api/secrets/rotate"),
            await http.get("/api/secrets/openai"),
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 405]
        assert "very-secret" not in "".join(answer.text for answer in answers)
        assert answers[1].json()["secrets"][0]["name"] == "openai"
        assert await open_from_database(engine, WRAPPERS) == {"openai": "sk-very-secret"}
        assert (await http.delete("/api/secrets/openai")).status_code == 204
        assert (await http.delete("/api/secrets/openai")).status_code == 404


async def test_what_is_refused_is_not_repeated(engine: Engine) -> None:
    async with client(engine, OPERATOR) as http:
        for body in ({"value": "sk-very-secret\0"}, {"value": "sk-very-secret", "extra": 1}, {}):
            answer = await http.put("/api/secrets/openai", json=body)
            assert answer.status_code in (400, 422)
        answer = await http.put("/api/secrets/a%20b", json={"value": "sk-very-secret"})
        assert answer.status_code == 400
        assert "very-secret" not in answer.text


@pytest.mark.parametrize("role", ["admin", "operator", "auditor", "viewer"])
async def test_only_an_owner_over_everything_changes_secrets(engine: Engine, role: Any) -> None:
    async with client(engine, await acting(engine, role, "*")) as http:
        answer = await http.put("/api/secrets/openai", json={"value": "sk-1"})
        assert answer.status_code == 403
    async with client(engine, await acting(engine, "owner", "acme")) as http:
        answer = await http.put("/api/secrets/openai", json={"value": "sk-1"})
        assert answer.status_code == 403
        assert (await http.get("/api/secrets")).status_code == 403


async def test_without_a_master_key_nothing_is_kept(engine: Engine) -> None:
    def missing() -> Wrappers:
        return wrappers_from(SecretsConfig())

    async with client(engine, OPERATOR, missing) as http:
        answer = await http.put("/api/secrets/openai", json={"value": "sk-very-secret"})
        assert answer.status_code == 500
        assert "secrets.master_key is not set" in answer.text
        assert (await http.get("/api/secrets")).json() == {"secrets": []}
