from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Header, Request, Response

from santral.errors import SantralError, Unauthenticated
from santral.tenants.keyring import Caller
from santral.tenants.tenant import KeyId, Tenant, TenantId, VirtualKey
from santral.traces.api import traces_router
from santral.traces.question import Progress
from santral.traces.store import TraceStore
from santral.web.errors import openai_error

START_US = 1_760_000_000_000_000


async def authorise(authorization: Annotated[str, Header()] = "") -> Caller:
    name = authorization.removeprefix("Bearer ")
    if name not in ("admin", "acme", "globex"):
        raise Unauthenticated("No key.")
    tenant = TenantId(name)
    key = VirtualKey(
        id=KeyId("k"),
        tenant_id=tenant,
        name="k",
        prefix="",
        digest="",
        is_admin=name == "admin",
    )
    return Caller(Tenant(tenant, name), key)


def build_app(store: TraceStore) -> FastAPI:
    app = FastAPI()
    app.include_router(traces_router(store, authorise))

    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, SantralError)
        found = openai_error(error)
        return Response(found.body, found.status, media_type="application/json")

    app.add_exception_handler(SantralError, answer)
    return app


def ask(make_record: Any, path: str, key: str = "admin", **params: str) -> httpx.Response:
    records = [
        make_record(1, tenant_id="acme", route="support"),
        make_record(2, tenant_id="globex", route="support"),
        make_record(3, tenant_id="acme", route="search", status=429, error="rate_limit_exceeded"),
    ]

    async def scenario() -> httpx.Response:
        store = TraceStore(Path(":memory:"), clock=lambda: START_US + 60_000_000)
        await store.insert(records, Progress(segment="s"))
        transport = httpx.ASGITransport(build_app(store))
        async with httpx.AsyncClient(transport=transport, base_url="http://santral") as client:
            headers = {"authorization": f"Bearer {key}"}
            answer = await client.get(path, params=params, headers=headers)
        await store.close()
        return answer

    return asyncio.run(scenario())


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [trace["request_id"] for trace in answer.json()["traces"]]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ["req_3", "req_2", "req_1"]),
        ({"tenant": "acme"}, ["req_3", "req_1"]),
        ({"route": "support", "tenant": "acme"}, ["req_1"]),
        ({"status": "error"}, ["req_3"]),
        ({"error": "rate"}, ["req_3"]),
        ({"since": "30s"}, []),
        ({"until": "30s"}, ["req_3", "req_2", "req_1"]),
        ({"since": "2025-10-09T08:53:20.002500"}, ["req_3"]),
    ],
)
def test_an_administrator_lists_and_filters(
    make_record: Any, params: dict[str, str], expected: list[str]
) -> None:
    assert ids(ask(make_record, "/api/traces", **params)) == expected


def test_pages_follow_one_another(make_record: Any) -> None:
    first = ask(make_record, "/api/traces", limit="2")
    assert ids(first) == ["req_3", "req_2"]
    second = ask(make_record, "/api/traces", limit="2", before=first.json()["next"])
    assert ids(second) == ["req_1"]
    assert second.json()["next"] is None


def test_a_tenant_is_shown_its_own_whatever_it_asks_for(make_record: Any) -> None:
    assert ids(ask(make_record, "/api/traces", "globex", tenant="acme")) == ["req_2"]
    theirs = make_record(1).trace_id
    assert ask(make_record, f"/api/traces/{theirs}", "globex").status_code == 404
    signals = ask(make_record, "/api/signals", "globex", tenant="acme").json()
    assert signals["total"]["n"] == 1
    assert set(signals["by_tenant"]) == {"globex"}


def test_one_trace_comes_with_everything_that_belongs_to_it(make_record: Any) -> None:
    record = make_record(1, tenant_id="acme", route="support")
    body = ask(make_record, f"/api/traces/{record.trace_id[:10]}").json()
    assert body["trace"]["trace_id"] == record.trace_id
    assert len(body["trace"]["spans"]) == len(record.spans)
    assert body["trace"]["payload"]["response"] == "Selam [1]."


@pytest.mark.parametrize(
    ("path", "params", "status", "says"),
    [
        ("/api/traces", {"since": "yesterday"}, 400, "since is 'yesterday'"),
        ("/api/traces", {"status": "nope"}, 400, "status is 'nope'"),
        ("/api/traces", {"before": "x"}, 400, "no cursor"),
        ("/api/traces", {"since": "1h", "until": "2h"}, 400, "Swap them"),
        ("/api/traces", {"limit": "0"}, 422, "limit"),
        ("/api/traces", {"stauts": "error"}, 422, "stauts"),
        ("/api/signals", {"limit": "5"}, 422, "limit"),
        ("/api/traces/ffff", {}, 404, "No trace 'ffff'"),
    ],
)
def test_a_question_that_means_nothing_is_answered_with_what_to_change(
    make_record: Any, path: str, params: dict[str, str], status: int, says: str
) -> None:
    answer = ask(make_record, path, **params)
    assert answer.status_code == status
    assert says in answer.text


@pytest.mark.parametrize("path", ["/api/traces", "/api/traces/ab", "/api/signals"])
def test_nothing_is_shown_without_a_key(make_record: Any, path: str) -> None:
    assert ask(make_record, path, key="").status_code == 401
