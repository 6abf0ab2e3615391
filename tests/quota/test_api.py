"""``/api/limits``, as an owner, as others, and as nobody."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.quota.rules import limit
from tests.tenants.acting import NOW, plant
from tests.tenants.test_api import Everybody, as_answer, code

from santral.db.engine import Engine
from santral.errors import SantralError
from santral.quota.api import limits_router

pytestmark = pytest.mark.anyio

DAY: dict[str, Any] = {
    "tenant_id": "acme",
    "measure": "tokens",
    "window": "day",
    "amount": 1000,
}


@pytest.fixture
async def client(engine: Engine) -> AsyncGenerator[httpx.AsyncClient]:
    await plant(engine, "acme", "team<acme")
    app = FastAPI()
    app.add_exception_handler(SantralError, as_answer)
    numbers = iter(range(1, 100))
    app.include_router(
        limits_router(
            engine,
            Everybody(engine),
            declared=lambda: [
                limit(binds="tenant:*", owner="*", amount=7, id="config.tokens_per_day")
            ],
            clock=lambda: NOW,
            new_id=lambda: f"lim_{next(numbers)}",
        )
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://control", headers={"x-who": "owner@*"}
    ) as made:
        yield made


async def shown(client: httpx.AsyncClient, tenant: str = "acme") -> list[dict[str, Any]]:
    found = await client.get("/api/limits", params={"tenant_id": tenant})
    return found.json()["limits"]


async def test_a_limit_is_set_shown_replaced_and_removed(client: httpx.AsyncClient) -> None:
    wanted = DAY | {
        "time_zone": "Europe/Istanbul",
        "warn_at": [0.5, 0.9],
        "webhook": "https://example.com/alerts",
        "fall_to": "small",
        "is_dry_run": True,
    }
    made = (await client.put("/api/limits", json=wanted)).json()
    assert made | wanted == made
    assert (made["id"], made["scope"], made["scope_id"]) == ("lim_1", "tenant", "acme")
    assert made["uncoordinated"] == "share"
    assert [row for row in await shown(client) if not row["is_declared"]] == [made]
    again = (await client.put("/api/limits", json=DAY | {"amount": 5})).json()
    assert (again["id"], again["amount"], again["warn_at"]) == ("lim_1", 5, [])
    assert (await client.delete("/api/limits/lim_1")).json() == again
    assert code(await client.delete("/api/limits/lim_1")) == (404, "not_found")


async def test_limits_of_the_file_are_shown_and_marked(client: httpx.AsyncClient) -> None:
    (row,) = await shown(client)
    assert (row["id"], row["is_declared"], row["amount"]) == ("config.tokens_per_day", True, 7)
    assert code(await client.delete("/api/limits/config.tokens_per_day")) == (404, "not_found")


async def test_money_is_not_guessed_while_redis_is_away(client: httpx.AsyncClient) -> None:
    made = await client.put("/api/limits", json=DAY | {"measure": "usd"})
    assert made.json()["uncoordinated"] == "refuse"
    said = await client.put("/api/limits", json=DAY | {"measure": "usd", "uncoordinated": "allow"})
    assert said.json()["uncoordinated"] == "allow"


@pytest.mark.parametrize("field", ["budget", "tokens_per_day", "id", "is_declared"])
async def test_an_unknown_field_is_refused_by_name_and_nothing_changes(
    client: httpx.AsyncClient, field: str
) -> None:
    refused = await client.put("/api/limits", json=DAY | {field: 5})
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == ["body", field]
    assert len(await shown(client)) == 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"amount": 0}, "amount"),
        ({"burst": 5}, "burst"),
        ({"scope": "user"}, "scope_id"),
        ({"scope": "key"}, "scope_id"),
        ({"scope": "tag", "scope_id": "team"}, "scope_id"),
        ({"wait_s": 5, "fall_to": "small"}, "fall_to"),
    ],
)
async def test_what_means_nothing_is_refused_with_its_name(
    client: httpx.AsyncClient, fields: dict[str, Any], param: str
) -> None:
    refused = await client.put("/api/limits", json=DAY | fields)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == param
    assert len(await shown(client)) == 1


async def test_a_contradiction_has_a_code_of_its_own(client: httpx.AsyncClient) -> None:
    await client.put("/api/limits", json=DAY)
    refused = await client.put("/api/limits", json=DAY | {"window": "month", "amount": 999})
    assert code(refused) == (400, "limits_contradict")


@pytest.mark.parametrize(
    ("who", "tenant", "statuses"),
    [
        ("owner@*", "acme", (200, 200)),
        ("operator@acme", "team", (200, 200)),
        ("viewer@acme", "acme", (200, 403)),
        ("owner@team", "acme", (404, 404)),
        ("owner@team", "*", (403, 403)),
        ("", "acme", (403, 403)),
    ],
)
async def test_a_role_reaches_its_tenant_and_what_is_beneath(
    client: httpx.AsyncClient, who: str, tenant: str, statuses: tuple[int, int]
) -> None:
    headers = {"x-who": who}
    read = await client.get("/api/limits", params={"tenant_id": tenant}, headers=headers)
    body = DAY | {"tenant_id": tenant}
    written = await client.put("/api/limits", json=body, headers=headers)
    assert (read.status_code, written.status_code) == statuses
