"""``/api/budgets`` and ``/api/alerts``, as one who may read them and as one who may not."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI, Request
from tests.quota.budgets.test_watch import NOON, Clock, budget, sender, spend
from tests.quota.ledger.test_api import as_answer

from santral.db.engine import Engine, reading, writing
from santral.errors import SantralError
from santral.quota.budgets.api import budgets_router
from santral.quota.budgets.watch import Watch
from santral.quota.rule import Scope
from santral.quota.store import put_rule
from santral.quota.window import calendar
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.tenants.permission import Action, Grant, Principal
from santral.tenants.store import load_tree
from santral.tenants.tenant import EVERYWHERE, TenantId

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(engine: Engine) -> AsyncGenerator[httpx.AsyncClient]:
    calendar.cache_clear()
    for tenant in ("acme", "globex"):
        await create_tenant(engine, tenant, None, NOON, by=local_operator())
    rules = [
        budget(),
        budget("lim_tokens", measure="tokens"),
        budget("lim_2", tenant_id="globex", scope=Scope("tenant", "globex")),
    ]
    async with writing(engine) as conn:
        for rule in rules:
            await put_rule(conn, TenantId(rule.tenant_id), rule, NOON)
    await spend(engine, "r1", 600)
    await Watch(engine, sender(Clock()), clock=Clock()).look()

    def authorise(action: Action) -> Callable[..., Awaitable[Principal]]:
        async def authorised(request: Request) -> Principal:
            async with reading(engine) as conn:
                tree = await load_tree(conn)
            over = TenantId(request.headers["x-over"])
            by = Principal("key:k", "here", (Grant("viewer", over),), tree)
            by.require_somewhere(action)
            return by

        return authorised

    app = FastAPI()
    app.add_exception_handler(SantralError, as_answer)
    app.include_router(budgets_router(engine, authorise, clock=lambda: NOON))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://control",
        headers={"x-over": EVERYWHERE},
    ) as http:
        yield http


async def test_budgets_are_read_with_their_forecasts(client: httpx.AsyncClient) -> None:
    (found,) = (await client.get("/api/budgets?tenant_id=acme")).json()["budgets"]
    assert (found["id"], found["spent"], found["left"]) == ("lim_1", 600, 400)
    assert found["used_up_at"] == "2026-11-22T12:40:00Z"
    assert found["ends_at"] == "2026-11-23T00:00:00Z"
    (same,) = (await client.get("/api/budgets/lim_1/forecast")).json()["budgets"]
    assert same == found


async def test_what_is_no_budget_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/budgets/lim_none/forecast")).status_code == 404
    refused = await client.get("/api/budgets/lim_tokens/forecast")
    assert refused.status_code == 400
    assert "counts tokens" in refused.json()["error"]["message"]


async def test_alerts_are_listed(client: httpx.AsyncClient) -> None:
    (alert,) = (await client.get("/api/alerts")).json()["alerts"]
    assert (alert["kind"], alert["tenant_id"], alert["tries"]) == ("warned at 0.5", "acme", 0)
    assert alert["text"].startswith("Santral: the limit")


async def test_nobody_sees_beyond_their_tenant(client: httpx.AsyncClient) -> None:
    theirs = {"x-over": "globex"}
    assert (await client.get("/api/budgets?tenant_id=acme", headers=theirs)).status_code == 404
    assert (await client.get("/api/budgets/lim_1/forecast", headers=theirs)).status_code == 404
    assert (await client.get("/api/alerts", headers=theirs)).json() == {"alerts": []}
    assert (await client.get("/api/alerts?tenant_id=acme", headers=theirs)).status_code == 404
