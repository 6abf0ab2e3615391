"""``/api/tenants``, ``/api/keys`` and ``/api/users``, as an owner, as others, and as nobody."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from random import Random
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from tests.tenants.acting import NOW, acting, plant

from santral.db.engine import Engine
from santral.errors import NotAllowed, SantralError
from santral.tenants.api import tenants_router
from santral.tenants.key import is_intact
from santral.tenants.permission import Action, Principal, Role
from santral.tenants.users.api import users_router
from santral.web.errors import openai_error

pytestmark = pytest.mark.anyio


class Everybody:
    """Lets a header say who asks: ``role@tenant``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, action: Action) -> Callable[..., Awaitable[Principal]]:
        async def authorised(request: Request) -> Principal:
            role, _, over = request.headers.get("x-who", "").partition("@")
            if not over:
                raise NotAllowed("Administrators only.")
            known: dict[str, Role] = {r: r for r in ("owner", "admin", "operator", "viewer")}  # type: ignore[misc]
            principal = await acting(self._engine, known[role], over)
            principal.require_somewhere(action)
            return principal

        return authorised


async def as_answer(request: Request, error: Exception) -> Response:
    assert isinstance(error, SantralError)
    answer = openai_error(error)
    return Response(answer.body, answer.status, media_type="application/json")


@pytest.fixture
async def client(engine: Engine) -> AsyncGenerator[httpx.AsyncClient]:
    app = FastAPI()
    app.add_exception_handler(SantralError, as_answer)
    rng = Random(1).randbytes
    for make in (tenants_router, users_router):
        app.include_router(make(engine, Everybody(engine), rng=rng, clock=lambda: NOW))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://control", headers={"x-who": "owner@*"}
    ) as made:
        yield made


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_key_is_issued_shown_once_listed_and_revoked(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/tenants", json={"id": "acme"})).json() == {
        "id": "acme",
        "name": "acme",
        "is_active": True,
        "parent_id": None,
    }
    body = {
        "tenant_id": "acme",
        "name": "shop",
        "routes": ["faq"],
        "networks": ["10.0.0.0/8"],
        "scopes": ["models"],
        "expires_at": "2027-01-01T00:00:00Z",
    }
    made = await client.post("/api/keys", json=body)
    assert made.status_code == 201, made.text
    plaintext, key = made.json()["plaintext"], made.json()["key"]
    assert is_intact(plaintext)
    listed = await client.get("/api/keys", params={"tenant_id": "acme"})
    assert listed.json() == {"keys": [key]}
    assert (await client.get(f"/api/keys/{key['id']}")).json() == key
    assert plaintext not in listed.text
    assert "digest" not in key
    ended = await client.delete(f"/api/keys/{key['id']}")
    assert ended.json()["revoked_at"] == "2026-11-22T12:00:00Z"


async def test_a_key_is_changed_and_rotated(client: httpx.AsyncClient) -> None:
    await client.post("/api/tenants", json={"id": "acme"})
    first = (await client.post("/api/keys", json={"tenant_id": "acme", "name": "shop"})).json()
    address = f"/api/keys/{first['key']['id']}"
    bound = await client.patch(address, json={"models": ["gpt"], "name": "shop 2"})
    assert (bound.json()["models"], bound.json()["name"]) == (["gpt"], "shop 2")
    free = await client.patch(address, json={"models": None})
    assert (free.json()["models"], free.json()["name"]) == (None, "shop 2")
    second = (await client.post(f"{address}/rotate", json={"overlap_s": 3600})).json()
    assert second["plaintext"] != first["plaintext"]
    assert second["key"]["id"] == first["key"]["id"]
    assert second["key"]["previous_prefix"] == first["key"]["prefix"]
    assert second["key"]["previous_expires_at"] == "2026-11-22T13:00:00Z"
    again = await client.post(f"{address}/rotate", json={"overlap_s": 60})
    assert code(again) == (409, "overlap_running")
    assert (await client.post(f"{address}/rotate", json={"overlap_s": 1e9})).status_code == 422


async def test_a_tenant_is_renamed_moved_switched_and_deleted(client: httpx.AsyncClient) -> None:
    for body in ({"id": "org"}, {"id": "team", "parent_id": "org"}):
        assert (await client.post("/api/tenants", json=body)).status_code == 201
    for change in ({"name": "The team"}, {"is_active": False}, {"parent_id": None}):
        done = await client.patch("/api/tenants/team", json=change)
        assert done.status_code == 200, done.text
        assert done.json().items() >= change.items()
    assert code(await client.patch("/api/tenants/team", json={})) == (400, "bad_request")
    both = await client.patch("/api/tenants/team", json={"name": "x", "is_active": True})
    assert both.status_code == 400
    assert (await client.get("/api/tenants/team")).json()["tenants"][0]["is_active"] is False
    await client.patch("/api/tenants/team", json={"parent_id": "org"})
    refused = await client.delete("/api/tenants/org")
    assert code(refused) == (409, "needs_force")
    gone = await client.delete("/api/tenants/org", params={"force": "true"})
    assert gone.json()["tenants"] == ["org", "team"]
    assert (await client.get("/api/tenants")).json() == {"tenants": []}


async def test_users_get_and_lose_roles(client: httpx.AsyncClient) -> None:
    await client.post("/api/tenants", json={"id": "acme"})
    body = {"name": "Ada", "email": "ada@example.org", "grant": {"role": "viewer", "over": "acme"}}
    made = (await client.post("/api/users", json=body)).json()
    address = f"/api/users/{made['id']}"
    granted = await client.put(f"{address}/roles", json={"role": "admin", "over": "*"})
    assert {"role": "admin", "over": "*"} in granted.json()["grants"]
    left = await client.delete(f"{address}/roles/*")
    assert left.json()["grants"] == [{"role": "viewer", "over": "acme"}]
    off = await client.patch("/api/users/ada@example.org", json={"is_active": False})
    assert off.json()["is_active"] is False
    assert (await client.get("/api/users")).json() == {"users": [off.json()]}
    assert (await client.get(address)).json() == off.json()


async def test_an_unknown_field_is_refused_by_name(client: httpx.AsyncClient) -> None:
    await client.post("/api/tenants", json={"id": "acme"})
    for method, path, body in (
        ("POST", "/api/tenants", {"id": "fresh", "budget": 5}),
        ("PATCH", "/api/tenants/acme", {"name": "x", "budget": 5}),
        ("POST", "/api/keys", {"name": "shop", "budget": 5}),
        ("PATCH", "/api/keys/key_1", {"budget": 5}),
        ("POST", "/api/keys/key_1/rotate", {"budget": 5}),
        ("POST", "/api/users", {"name": "x", "budget": 5}),
        ("PATCH", "/api/users/x", {"is_active": True, "budget": 5}),
        ("PUT", "/api/users/x/roles", {"role": "viewer", "over": "*", "budget": 5}),
    ):
        refused = await client.request(method, path, json=body)
        assert refused.status_code == 422, (method, path)
        assert refused.json()["detail"][0]["loc"][-1] == "budget"
    assert len((await client.get("/api/tenants")).json()["tenants"]) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/keys", {"name": "shop", "expires_at": "2027-01-01T00:00:00"}),
        ("/api/keys", {"name": "shop", "scopes": ["everything"]}),
        ("/api/keys", {"name": "shop", "role": "god"}),
        ("/api/keys", {"name": "x" * 65536}),
        ("/api/tenants", {"id": "x" * 65536}),
        ("/api/users", {"name": "x" * 65536}),
    ],
)
async def test_a_value_of_no_sense_is_refused(
    client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    assert (await client.post(path, json=body)).status_code == 422


async def test_a_key_in_the_address_is_refused(client: httpx.AsyncClient) -> None:
    await client.post("/api/tenants", json={"id": "default"})
    plaintext = (await client.post("/api/keys", json={"name": "shop"})).json()["plaintext"]
    refused = await client.delete(f"/api/keys/{plaintext}")
    assert refused.status_code == 400
    assert plaintext not in refused.text


#: Every endpoint of the three, with a body that would do something.
ENDPOINTS: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("GET", "/api/tenants/{tenant}", None),
    ("PATCH", "/api/tenants/{tenant}", {"name": "Mine"}),
    ("DELETE", "/api/tenants/{tenant}?force=true", None),
    ("POST", "/api/tenants", {"id": "inside", "parent_id": "{tenant}"}),
    ("GET", "/api/keys?tenant_id={tenant}", None),
    ("POST", "/api/keys", {"tenant_id": "{tenant}", "name": "mine"}),
    ("GET", "/api/keys/{key}", None),
    ("PATCH", "/api/keys/{key}", {"name": "mine"}),
    ("POST", "/api/keys/{key}/rotate", {}),
    ("DELETE", "/api/keys/{key}", None),
    ("GET", "/api/users/{user}", None),
    ("PATCH", "/api/users/{user}", {"is_active": False}),
    ("PUT", "/api/users/{user}/roles", {"role": "viewer", "over": "{tenant}"}),
    ("DELETE", "/api/users/{user}/roles/{tenant}", None),
)


def filled(template: Any, names: dict[str, str]) -> Any:
    if isinstance(template, dict):
        return {key: filled(value, names) for key, value in template.items()}
    return template.format(**names) if isinstance(template, str) else template


@pytest.mark.parametrize(("method", "path", "body"), ENDPOINTS)
async def test_what_is_another_tenants_answers_like_what_does_not_exist(
    client: httpx.AsyncClient, engine: Engine, method: str, path: str, body: Any
) -> None:
    await plant(engine, "acme", "globex")
    key = (await client.post("/api/keys", json={"tenant_id": "globex", "name": "theirs"})).json()
    grant = {"role": "viewer", "over": "globex"}
    user = {"name": "Hal", "email": "hal@example.org", "grant": grant}
    theirs = {
        "tenant": "globex",
        "key": key["key"]["id"],
        "user": (await client.post("/api/users", json=user)).json()["id"],
    }
    nobodys = {"tenant": "nowhere", "key": "key_none", "user": "usr_none"}
    answers: list[str] = []
    for names in (theirs, nobodys):
        answer = await client.request(
            method,
            filled(path, names),
            json=filled(body, names),
            headers={"x-who": "admin@acme"},
        )
        assert code(answer) == (404, "not_found"), answer.text
        said = answer.text
        for word, name in names.items():
            said = said.replace(name, word)
        answers.append(said)
    assert answers[0] == answers[1]


@pytest.mark.parametrize(("method", "path", "body"), ENDPOINTS)
async def test_only_administrators_get_in(
    client: httpx.AsyncClient, engine: Engine, method: str, path: str, body: Any
) -> None:
    await plant(engine, "acme")
    names = {"tenant": "acme", "key": "key_1", "user": "usr_1"}
    path, body = filled(path, names), filled(body, names)
    refused = await client.request(method, path, json=body, headers={"x-who": "guest"})
    assert refused.status_code == 403
    if method != "GET":
        looked = await client.request(method, path, json=body, headers={"x-who": "viewer@acme"})
        assert code(looked) == (403, "role_missing")
