"""``/api/ledger``, as one who may read it and as one who may not."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import httpx
import msgspec
import pytest
from fastapi import FastAPI, Request, Response
from tests.quota.ledger.test_write import NOON, attempt, record

from santral.db.engine import Engine, reading
from santral.errors import SantralError
from santral.quota.ledger.api import ledger_router
from santral.quota.ledger.showback import Invoice
from santral.quota.ledger.write import write_ledger
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.tenants.permission import Action, Grant, Principal
from santral.tenants.store import load_tree
from santral.tenants.tenant import EVERYWHERE, TenantId
from santral.traces.question import BilledAttempt, Progress
from santral.traces.store import TraceStore
from santral.web.errors import openai_error

pytestmark = pytest.mark.anyio

AT_US = int(NOON.timestamp()) * 1_000_000
WINDOW = {"since_us": AT_US, "until_us": AT_US + 1}


async def as_answer(request: Request, error: Exception) -> Response:
    assert isinstance(error, SantralError)
    answer = openai_error(error)
    return Response(answer.body, answer.status, media_type="application/json")


@pytest.fixture
async def client(engine: Engine, tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    for tenant in ("acme", "globex"):
        await create_tenant(engine, tenant, None, NOON, by=local_operator())
    made = [record("r1", attempt(cost=7)), record("r2", attempt(cost=9), tenant_id="globex")]
    await write_ledger(engine, made)
    store = TraceStore(tmp_path / "telemetry.duckdb")
    await store.insert(made, Progress(segment=""))

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
    app.include_router(ledger_router(engine, store, authorise))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://control",
        headers={"x-over": EVERYWHERE},
    ) as http:
        yield http
    await store.close()


async def test_what_was_spent_is_read(client: httpx.AsyncClient) -> None:
    found = await client.get("/api/ledger", params={"tenant_id": "acme", "day": "2026-11-22"})
    (line,) = found.json()["spent"]
    assert (line["model"], line["cost_nanousd"], line["day"]) == ("gpt", 7, "2026-11-22")
    other_day = await client.get("/api/ledger", params={"tenant_id": "acme", "day": "2026-11-21"})
    assert other_day.json() == {"spent": []}


async def test_an_invoice_is_read(client: httpx.AsyncClient) -> None:
    found = await client.get(
        "/api/ledger/invoice", params={"tenant_id": "acme", "month": "2026-11"}
    )
    assert msgspec.json.decode(found.content, type=Invoice).total.cost_nanousd == 7
    refused = await client.get("/api/ledger/invoice", params={"tenant_id": "acme", "month": "Nov"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "month")


async def test_attempts_are_read_as_a_proof_needs_them(client: httpx.AsyncClient) -> None:
    found = await client.get("/api/ledger/attempts", params=WINDOW)
    attempts = msgspec.json.decode(found.content, type=list[BilledAttempt])
    assert {(a.request_id, a.number, a.cost_nanousd) for a in attempts} == {
        ("r1", 1, 7),
        ("r2", 1, 9),
    }
    assert attempts[0].usage == attempt().usage


async def test_nobody_reads_beyond_their_tenant(client: httpx.AsyncClient) -> None:
    mine = {"x-over": "acme"}
    assert (await client.get("/api/ledger?tenant_id=acme", headers=mine)).status_code == 200
    for path in (
        "/api/ledger?tenant_id=globex",
        "/api/ledger/invoice?tenant_id=globex&month=2026-11",
        f"/api/ledger/attempts?tenant=globex&since_us={AT_US}&until_us={AT_US + 1}",
    ):
        assert (await client.get(path, headers=mine)).status_code == 404
    everything = await client.get("/api/ledger/attempts", params=WINDOW, headers=mine)
    assert everything.status_code == 403
