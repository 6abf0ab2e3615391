"""The whole admin API: every endpoint names what it does, and takes no field that it does not know."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from tests.db.databases import anyio_backend, sqlite_template
from tests.tenants.acting import NOW, OPERATOR, plant

from santral.app.control import build_app
from santral.config.load import load
from santral.db.engine import Engine, connect, sqlite_url
from santral.tenants import issue
from santral.tenants.issue import KeyTerms, ensure_first_keys
from santral.tenants.permission import ACTIONS
from santral.traces.metrics import Metrics
from santral.traces.store import TraceStore

__all__ = ["anyio_backend", "sqlite_template"]

pytestmark = pytest.mark.anyio

#: Open to all, and why.
OPEN = {
    "/api/docs": "the page about the admin API says nothing of this installation",
    "/api/openapi.json": "the document that the page is made from",
}


@pytest.fixture
async def engine(tmp_path: Path, sqlite_template: Path) -> AsyncGenerator[Engine]:
    (tmp_path / "santral.db").write_bytes(sqlite_template.read_bytes())
    made = connect(sqlite_url(tmp_path))
    yield made
    await made.dispose()


@pytest.fixture
def app(tmp_path: Path, engine: Engine) -> FastAPI:
    file = tmp_path / "santral.toml"
    file.write_text(
        '[data]\nfolder = "."\n[server]\ntrusted_proxies = ["192.0.2.0/24"]\n', encoding="utf-8"
    )
    store = TraceStore(Path(":memory:"))
    return build_app(load(file, {}), engine, store, Metrics())


@pytest.fixture
async def client(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=("203.0.113.7", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://control") as made:
        yield made


def endpoints(app: FastAPI | APIRouter) -> Iterator[APIRoute]:
    """Return every endpoint below ``/api``, also of routers that were included."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            if route.path.startswith("/api") and route.path not in OPEN:
                yield route
        elif (included := getattr(route, "original_router", None)) is not None:
            yield from endpoints(included)


def methods(route: APIRoute) -> set[str]:
    return route.methods or set()


def actions(dependant: Dependant) -> set[str]:
    """Return the actions that an endpoint and what it depends on name."""
    found = {action} if (action := getattr(dependant.call, "action", None)) else set[str]()
    return found.union(*(actions(part) for part in dependant.dependencies))


async def test_every_endpoint_names_one_action(app: FastAPI) -> None:
    named = {
        f"{sorted(methods(route))[0]} {route.path}": actions(route.dependant)
        for route in endpoints(app)
    }
    assert len(named) > 15
    assert {name: found for name, found in named.items() if len(found) != 1} == {}
    assert set[str]().union(*named.values()) <= set(ACTIONS)


async def test_an_endpoint_that_writes_names_an_action_that_writes(app: FastAPI) -> None:
    writing = [route for route in endpoints(app) if methods(route).isdisjoint({"GET", "HEAD"})]
    reads = {
        route.path
        for route in writing
        if not all(
            action.endswith((".write", ".protect", ".rate", ".run"))
            for action in actions(route.dependant)
        )
    }
    # Asking for a proof changes nothing, and is no GET because it takes a while; a search
    # neither, nor filling a prompt in, and a question must not stand in an address. Who adjudicates
    # may be one who keeps the queue or one whom it names: the function itself asks.
    harmless = ("/verify", "/search", "/render", "/adjudicate")
    assert {path for path in reads if not path.endswith(harmless)} == set()


async def test_nothing_is_answered_without_a_key(app: FastAPI, client: httpx.AsyncClient) -> None:
    for route in endpoints(app):
        for method in methods(route):
            answer = await client.request(method, route.path.format_map(Any_()), json={})
            assert answer.status_code == 401, (method, route.path)
            assert answer.json()["error"]["code"] == "invalid_api_key"


class Any_(dict[str, str]):  # noqa: N801 - a value for every name in a path
    def __missing__(self, key: str) -> str:
        return "x"


async def test_every_object_that_a_client_writes_refuses_unknown_fields(app: FastAPI) -> None:
    document = app.openapi()
    schemas: dict[str, Any] = document["components"]["schemas"]
    written: set[str] = set()
    for path in document["paths"].values():
        for operation in path.values():
            for media in operation.get("requestBody", {}).get("content", {}).values():
                written |= named(media["schema"])
    seen: set[str] = set()
    while written - seen:
        name = (written - seen).pop()
        seen.add(name)
        written |= named(schemas[name])
    assert len(seen) > 5
    loose = {
        name
        for name in seen
        if schemas[name].get("type") == "object"
        and schemas[name].get("additionalProperties") is not False
    }
    assert loose == set()


def named(schema: Any) -> set[str]:
    """Return the names of every schema that one refers to."""
    if isinstance(schema, dict):
        own = {schema["$ref"].rpartition("/")[2]} if "$ref" in schema else set[str]()
        return own.union(*(named(value) for value in schema.values()))
    return (
        set[str]().union(*(named(value) for value in schema)) if isinstance(schema, list) else set()
    )


async def admin_key(engine: Engine, **terms: Any) -> str:
    first = await ensure_first_keys(engine, Random(1).randbytes, NOW)
    assert first is not None
    if not terms:
        return first.admin.plaintext
    made = await issue.create_key(
        engine, Random(2).randbytes, "default", "some", NOW, by=OPERATOR, terms=KeyTerms(**terms)
    )
    return made.plaintext


def bearing(key: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", **more}


async def test_the_first_key_administers_everything(
    engine: Engine, client: httpx.AsyncClient
) -> None:
    key = await admin_key(engine)
    assert (await client.get("/api/tenants", headers=bearing(key))).status_code == 200
    assert (await client.get("/api/tenants", headers={"x-api-key": key})).status_code == 200


async def test_a_key_without_a_role_administers_nothing(
    engine: Engine, client: httpx.AsyncClient
) -> None:
    key = await admin_key(engine, name="plain")
    refused = await client.get("/api/tenants", headers=bearing(key))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_allowed")


@pytest.mark.parametrize(
    ("network", "forwarded", "status"),
    [
        ("203.0.113.0/24", "", 200),
        ("::ffff:203.0.113.0/120", "", 200),
        ("198.51.100.0/24", "", 403),
        ("198.51.100.0/24", "198.51.100.9", 403),  # whoever claims it is no trusted proxy
    ],
)
async def test_a_key_bound_to_networks_administers_from_there_alone(
    engine: Engine, client: httpx.AsyncClient, network: str, forwarded: str, status: int
) -> None:
    key = await admin_key(engine, role="viewer", role_over="*", networks=[network])
    headers = bearing(key, **({"x-forwarded-for": forwarded} if forwarded else {}))
    assert (await client.get("/api/tenants", headers=headers)).status_code == status


async def test_behind_a_trusted_proxy_the_client_is_who_counts(
    engine: Engine, app: FastAPI
) -> None:
    key = await admin_key(engine, role="viewer", role_over="*", networks=["198.51.100.0/24"])
    transport = httpx.ASGITransport(app, client=("192.0.2.5", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
        for hops, status in (
            ("198.51.100.9", 200),
            ("198.51.100.9, 203.0.113.7", 403),
            ("203.0.113.7, 198.51.100.9, 192.0.2.8", 200),
        ):
            headers = bearing(key, **{"x-forwarded-for": hops})
            assert (await client.get("/api/tenants", headers=headers)).status_code == status, hops


async def test_an_act_is_noted_with_who_did_it_and_from_where(
    engine: Engine, client: httpx.AsyncClient
) -> None:
    key = await admin_key(engine)
    made = await client.post("/api/tenants", json={"id": "acme"}, headers=bearing(key))
    assert made.status_code == 201
    async with engine.connect() as conn:
        rows = await conn.exec_driver_sql(
            "SELECT actor, origin FROM audit_log WHERE action = 'tenants.create'"
        )
        noted = rows.one()
    assert noted.actor.startswith("key:key_")
    assert noted.origin == "203.0.113.7"


@pytest.mark.parametrize(
    "address",
    [
        "/api/tenants?key={key}",
        "/api/tenants?api_key={key}",
        "/api/tenants?access_token=anything",
        "/api/tenants?API_KEY=anything",
        "/api/tenants?tenant={key}",
        "/api/keys/{key}",
        "/sign-in?next={key}",
        "/{key}",
        "/nowhere/{key}/deeper",
        "/health/live?key={key}",
        "/api/keys/%73k-santral-{rest}",
    ],
)
async def test_a_key_in_an_address_is_refused_everywhere_and_not_repeated(
    engine: Engine, client: httpx.AsyncClient, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = await admin_key(engine)
    filled = address.format(key=key, rest=key.removeprefix("sk-santral-"))
    refused = await client.get(filled, headers=bearing(key))
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "key_in_url")
    assert "header" in refused.json()["error"]["message"]
    assert key[11:] not in refused.text
    assert key[11:] not in caplog.text


async def test_the_prefix_of_a_key_may_stand_in_an_address(
    engine: Engine, client: httpx.AsyncClient
) -> None:
    key = await admin_key(engine)
    shown = await client.get(f"/api/keys/{key[:17]}", headers=bearing(key))
    assert shown.json()["prefix"] == key[:17]


async def test_a_reader_of_traces_is_shown_a_subtree(
    engine: Engine, client: httpx.AsyncClient
) -> None:
    await plant(engine, "org", "team<org", "globex")
    key = await admin_key(engine, role="viewer", role_over="org")
    for tenant, status in (("org", 200), ("team", 200), ("globex", 404), ("nowhere", 404)):
        answer = await client.get("/api/traces", params={"tenant": tenant}, headers=bearing(key))
        assert answer.status_code == status, tenant


@pytest.mark.parametrize(
    ("field", "shown"),
    [("budget", "budget"), ("x" * 65536, "x" * 64), ("a\u202eb", "…"), ("sk-santral-abc", "…")],
)
async def test_an_unknown_field_is_named_as_far_as_it_can_be_shown(
    engine: Engine, client: httpx.AsyncClient, field: str, shown: str
) -> None:
    key = await admin_key(engine)
    refused = await client.post("/api/tenants", json={"id": "a", field: 1}, headers=bearing(key))
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (400, "invalid_request")
    assert error["message"].startswith(f"{shown}: ")
    assert len(error["message"]) < 200


async def test_a_body_of_a_thousand_faults_is_answered_with_some(
    engine: Engine, client: httpx.AsyncClient
) -> None:
    key = await admin_key(engine)
    body = {"id": "a", **{f"f{n}": n for n in range(1000)}}
    refused = await client.post("/api/tenants", json=body, headers=bearing(key))
    assert len(refused.json()["error"]["message"]) < 2000


#: What else an endpoint wants, to come as far as asking whose it is.
NEEDED = {
    "month": "2026-11",
    "since_us": "0",
    "until_us": "1",
    "old": "1.0.0",
    "new": "2.0.0",
    "older": "1",
    "base": "run_1",
    "head": "run_2",
}

#: Bodies that would do something to a tenant; every endpoint whose body names one has its own here.
BODIES: dict[str, dict[str, Any]] = {
    "NewTenantBody": {"id": "inside", "parent_id": "{}"},
    "NewKeyBody": {"tenant_id": "{}", "name": "mine"},
    "LimitBody": {"tenant_id": "{}", "measure": "requests", "window": "day", "amount": 1},
    "PolicyBody": {"tenant_id": "{}", "payloads": "none", "retention_days": 9},
    "ErasureBody": {"tenant_id": "{}", "user": "ada"},
    "PersonBody": {"tenant_id": "{}", "user": "ada"},
    "NewPromptVersion": {"tenant_id": "{}", "version": "1.0.0", "body": "x"},
    "LabelBody": {"tenant_id": "{}", "version": "1.0.0"},
    "RollbackBody": {"tenant_id": "{}"},
    "ProtectionBody": {"tenant_id": "{}"},
    "RenderBody": {"tenant_id": "{}"},
    "NewEvaluation": {"tenant_id": "{}", "suite": "support"},
    "NewMonitorBody": {"tenant_id": "{}", "name": "watch"},
    "MonitorChangeBody": {"is_paused": True},
    "NewQueue": {"tenant_id": "{}", "name": "daily", "settings": {"labels": [{"name": "ok"}]}},
    "ChangedQueue": {"tenant_id": "{}"},
    "SentTrace": {"tenant_id": "{}", "trace_id": "0"},
    "NewPairs": {"tenant_id": "{}", "pairs": []},
    "QueueBody": {"tenant_id": "{}"},
    "RatingBody": {"tenant_id": "{}", "labels": {"ok": True}},
    "ReasonBody": {"tenant_id": "{}", "reason": "no"},
    "AdjudicationBody": {"tenant_id": "{}", "labels": {"ok": True}},
    "IntoDatasetBody": {"tenant_id": "{}", "dataset": "judged"},
    "ReviewExportBody": {"tenant_id": "{}"},
    "NewDataset": {"tenant_id": "{}", "name": "faq"},
    "NewExamples": {"tenant_id": "{}", "examples": [{"input": "a"}]},
    "ChangedExample": {"tenant_id": "{}", "changes": {}},
    "CommitBody": {"tenant_id": "{}"},
    "SplitBody": {"tenant_id": "{}"},
    "MaskBody": {"tenant_id": "{}"},
    "AugmentBody": {"tenant_id": "{}", "ways": ["noise:typos"]},
    "TracesBody": {"tenant_id": "{}"},
    "NewExperiment": {"tenant_id": "{}", "name": "tone", "settings": {}},
    "ExperimentAct": {"tenant_id": "{}"},
    "RampAct": {"tenant_id": "{}"},
    "StopAct": {"tenant_id": "{}"},
    "DecideAct": {"tenant_id": "{}", "arm": "new"},
    "NewCollection": {"tenant_id": "{}", "name": "docs"},
    "ChangedCollection": {"tenant_id": "{}", "settings": {}},
    "NewVersion": {"tenant_id": "{}", "changes": {}},
    "SwitchBody": {"tenant_id": "{}"},
    "BatchBody": {"documents": [{"key": "a", "text": "b"}]},
    "ChangeBody": {"metadata": {"owner": "me"}},
    "RetryBody": {},
    "NewSourceBody": {"tenant_id": "{}", "collection": "docs", "kind": "push", "settings": {}},
    "SearchBody": {"tenant_id": "{}", "query": "leave"},
}


def foreign_requests(app: FastAPI) -> Iterator[tuple[str, str, dict[str, str], Any]]:
    """Return a request to each endpoint that takes a tenant, with ``{}`` where the tenant goes."""
    document = app.openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            query = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"]
            given = {name: "{}" for name in query if name in ("tenant", "tenant_id")}
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {}).get("$ref", "")
            fields = (
                document["components"]["schemas"].get(name_of(schema), {}).get("properties", {})
            )
            if given or not {"tenant", "tenant_id"}.isdisjoint(fields):
                needed = {name: NEEDED[name] for name in query if name in NEEDED}
                body = BODIES[name_of(schema)] if schema else None
                yield method.upper(), path, {**needed, **given}, body


def name_of(reference: str) -> str:
    return reference.rpartition("/")[2]


def put_in(template: Any, tenant: str) -> Any:
    if isinstance(template, dict):
        return {name: put_in(value, tenant) for name, value in template.items()}
    return template.replace("{}", tenant) if isinstance(template, str) else template


async def test_no_endpoint_tells_that_another_tenant_exists(
    engine: Engine, app: FastAPI, client: httpx.AsyncClient
) -> None:
    await plant(engine, "acme", "globex")
    key = await admin_key(engine, role="admin", role_over="acme")
    requests = list(foreign_requests(app))
    assert len(requests) > 8
    for method, path, query, body in requests:
        said: list[tuple[int, str]] = []
        for tenant in ("globex", "nowhere"):
            answer = await client.request(
                method, path.replace("{version}", "1"), params=put_in(query, tenant),
                json=put_in(body, tenant), headers=bearing(key),
            )  # fmt: skip
            said.append((answer.status_code, answer.text.replace(tenant, "X")))
        assert said[0][0] in (403, 404), (method, path, said[0])
        assert said[0] == said[1], (method, path)


async def test_what_is_the_installations_is_for_roles_over_all_of_it(
    engine: Engine, client: httpx.AsyncClient
) -> None:
    await plant(engine, "acme")
    key = await admin_key(engine, role="owner", role_over="acme")
    for method, path, body in (
        ("GET", "/api/secrets", None),
        ("PUT", "/api/secrets/openai", {"value": "x"}),
        ("DELETE", "/api/secrets/openai", None),
        ("POST", "/api/secrets/rotate", None),
        ("POST", "/api/tenants", {"id": "top"}),
        (
            "POST",
            "/api/keys",
            {"tenant_id": "acme", "name": "k", "role": "viewer", "role_over": "*"},
        ),
        (
            "PUT",
            "/api/limits",
            {"tenant_id": "*", "measure": "requests", "window": "day", "amount": 1},
        ),
    ):
        answer = await client.request(method, path, json=body, headers=bearing(key))
        assert answer.status_code == 403, (method, path, answer.text)
