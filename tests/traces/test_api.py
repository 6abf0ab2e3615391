from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Header, Request, Response

from santral.errors import SantralError, Unauthenticated
from santral.tenants.permission import Action, Grant, Principal, role_named
from santral.tenants.tenant import EVERYWHERE, TenantId
from santral.tenants.tree import TenantTree
from santral.traces.api import traces_router
from santral.traces.question import Progress
from santral.traces.store import TraceStore
from santral.web.errors import openai_error

TREE = TenantTree(
    {TenantId("acme"): None, TenantId("globex"): None, TenantId("acme-team"): TenantId("acme")}
)
START_US = 1_760_000_000_000_000


def authorise(action: Action) -> Callable[..., Awaitable[Principal]]:
    """Let ``admin`` see everything, and the name of a tenant what is beneath it."""

    async def authorised(authorization: Annotated[str, Header()] = "") -> Principal:
        name, _, role = authorization.removeprefix("Bearer ").partition("+")
        if name not in ("admin", "acme", "globex"):
            raise Unauthenticated("No key.")
        over = EVERYWHERE if name == "admin" else TenantId(name)
        return Principal("key:k", "203.0.113.7", (Grant(role_named(role or "admin"), over),), TREE)

    return authorised


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
        make_record(4, tenant_id="acme-team", route="other"),
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
        ({}, ["req_4", "req_3", "req_2", "req_1"]),
        ({"tenant": "acme"}, ["req_3", "req_1"]),
        ({"route": "support", "tenant": "acme"}, ["req_1"]),
        ({"status": "error"}, ["req_3"]),
        ({"error": "rate"}, ["req_3"]),
        ({"since": "30s"}, []),
        ({"until": "30s"}, ["req_4", "req_3", "req_2", "req_1"]),
        ({"since": "2025-10-09T08:53:20.002500"}, ["req_4", "req_3"]),
    ],
)
def test_an_administrator_lists_and_filters(
    make_record: Any, params: dict[str, str], expected: list[str]
) -> None:
    assert ids(ask(make_record, "/api/traces", **params)) == expected


def test_pages_follow_one_another(make_record: Any) -> None:
    first = ask(make_record, "/api/traces", limit="2")
    assert ids(first) == ["req_4", "req_3"]
    second = ask(make_record, "/api/traces", limit="2", before=first.json()["next"])
    assert ids(second) == ["req_2", "req_1"]
    assert second.json()["next"] is None


def test_a_tenant_is_shown_its_own_and_nothing_of_others(make_record: Any) -> None:
    assert ids(ask(make_record, "/api/traces", "globex")) == ["req_2"]
    for asked in ("acme", "nowhere"):
        assert ask(make_record, "/api/traces", "globex", tenant=asked).status_code == 404
        assert ask(make_record, "/api/signals", "globex", tenant=asked).status_code == 404
    theirs = make_record(1).trace_id
    assert ask(make_record, f"/api/traces/{theirs}", "globex").status_code == 404
    signals = ask(make_record, "/api/signals", "globex").json()
    assert signals["total"]["n"] == 1
    assert set(signals["by_tenant"]) == {"globex"}


def test_whoever_stands_above_is_shown_what_is_beneath(make_record: Any) -> None:
    assert ids(ask(make_record, "/api/traces", "acme")) == ["req_4", "req_3", "req_1"]
    assert ids(ask(make_record, "/api/traces", "acme", tenant="acme-team")) == ["req_4"]


def test_what_was_said_is_shown_to_roles_that_may_read_it(make_record: Any) -> None:
    path = f"/api/traces/{make_record(1).trace_id}"
    assert "payload" in ask(make_record, path, "acme+reviewer").json()["trace"]
    shown = ask(make_record, path, "acme+viewer").json()["trace"]
    assert shown["request_id"] == "req_1"
    assert "payload" not in shown


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
