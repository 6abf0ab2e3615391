"""``/api/audit``: who may look into whose rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response
from tests.audit.test_verify import ADA, NOON
from tests.tenants.acting import OPERATOR, acting, plant

from santral.audit.api import audit_router
from santral.audit.note import Note, note_all
from santral.db.engine import Engine, writing
from santral.errors import SantralError
from santral.tenants.permission import Principal

pytestmark = pytest.mark.anyio


def client(engine: Engine, who: Principal) -> httpx.AsyncClient:
    def authorise(action: Any) -> Callable[..., Awaitable[Principal]]:
        async def principal() -> Principal:
            who.require_somewhere(action)
            return who

        return principal

    async def refuse(request: object, error: Exception) -> Response:
        assert isinstance(error, SantralError)
        return Response(error.message, error.status)

    app = FastAPI()
    app.include_router(audit_router(engine, authorise))
    app.add_exception_handler(SantralError, refuse)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://control")


async def fill(engine: Engine) -> int:
    """Note an act about each tenant and one about all; return the number of the first."""
    await plant(engine, "group", "sales<group", "other")
    async with writing(engine) as conn:
        entries = await note_all(
            conn,
            [
                Note(actor=ADA, action="x.y", object=f"o:{t}", tenant_id=t, occurred_at=NOON)
                for t in ("group", "sales", "other", "*")
            ],
        )
    return entries[0].number


async def seen(http: httpx.AsyncClient, query: str = "") -> list[str]:
    answer = await http.get(f"/api/audit?action=x.y{query}")
    assert answer.status_code == 200, answer.text
    return [entry["object"] for entry in answer.json()["entries"]]


async def test_an_auditor_sees_the_rows_of_its_tenants_alone(engine: Engine) -> None:
    first = await fill(engine)
    async with client(engine, await acting(engine, "auditor", "group")) as http:
        assert await seen(http) == ["o:sales", "o:group"]
        assert await seen(http, "&tenant_id=sales") == ["o:sales"]
        for hidden in ("other", "*", "nobody"):
            assert (await http.get(f"/api/audit?tenant_id={hidden}")).status_code == 404
        assert (await http.get(f"/api/audit/{first}")).status_code == 200
        assert (await http.get(f"/api/audit/{first + 2}")).status_code == 404
        assert (await http.get(f"/api/audit/{first + 3}")).status_code == 404
        assert (await http.get("/api/audit/99999")).status_code == 404


async def test_the_operator_sees_everything(engine: Engine) -> None:
    await fill(engine)
    async with client(engine, OPERATOR) as http:
        assert await seen(http) == ["o:*", "o:other", "o:sales", "o:group"]
        assert await seen(http, "&tenant_id=*") == ["o:*"]
        assert await seen(http, "&object=o:other") == ["o:other"]
        assert await seen(http, "&actor=user:usr_eve") == []
        assert await seen(http, "&since=2026-11-22T12:00:01Z") == []


@pytest.mark.parametrize("role", ["operator", "developer", "reviewer", "viewer"])
async def test_other_roles_see_nothing(engine: Engine, role: Any) -> None:
    await fill(engine)
    async with client(engine, await acting(engine, role, "group")) as http:
        assert (await http.get("/api/audit")).status_code == 403


async def test_pages_follow_each_other(engine: Engine) -> None:
    await fill(engine)
    async with client(engine, OPERATOR) as http:
        first = (await http.get("/api/audit?action=x.y&limit=3")).json()
        assert [e["object"] for e in first["entries"]] == ["o:*", "o:other", "o:sales"]
        before = first["next_before"]
        rest = (await http.get(f"/api/audit?action=x.y&limit=3&before={before}")).json()
        assert [e["object"] for e in rest["entries"]] == ["o:group"]
        assert rest["next_before"] is None
        assert (await http.get("/api/audit?colour=red")).status_code == 422
        assert (await http.get("/api/audit?limit=100000")).status_code == 422
