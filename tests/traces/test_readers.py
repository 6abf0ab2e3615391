"""Who was answered from a document: asked of the store, the admin API and a stopped installation."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.traces.test_api import START_US, authorise, build_app

from santral.traces.ask import StoppedStore
from santral.traces.question import Progress
from santral.traces.readers.api import readers_router
from santral.traces.readers.ask import readers_of
from santral.traces.record import SHADOW_SUFFIX, SourceRecord
from santral.traces.removal import store as removal
from santral.traces.store import TraceStore


def given(document: str, number: int = 1, *, is_cited: bool = False) -> SourceRecord:
    return SourceRecord(
        number=number, chunk_id=f"{document}-c{number}", document=f"{document}.md",
        is_cited=is_cited, collection="docs", document_id=document,
    )  # fmt: skip


def records(make_record: Any) -> list[Any]:
    return [
        make_record(1, tenant_id="acme", user="ada", sources=[given("d1", is_cited=True)]),
        make_record(2, tenant_id="acme", user="bob", sources=[given("d2"), given("d1", 2)]),
        make_record(3, tenant_id="globex", sources=[given("d1")]),
        make_record(4, tenant_id="acme", sources=[given("d2")]),
        make_record(5, tenant_id="acme", route=f"r{SHADOW_SUFFIX}", sources=[given("d1")]),
    ]


def app_of(store: TraceStore) -> FastAPI:
    app = build_app(store)
    app.include_router(readers_router(store, authorise))
    return app


def ask(make_record: Any, key: str, path: str, **params: str) -> httpx.Response:
    async def scenario() -> httpx.Response:
        store = TraceStore(Path(":memory:"), clock=lambda: START_US + 60_000_000)
        await store.insert(records(make_record), Progress(segment="s"))
        transport = httpx.ASGITransport(app_of(store))
        async with httpx.AsyncClient(transport=transport, base_url="http://santral") as client:
            headers = {"authorization": f"Bearer {key}"}
            answer = await client.get(path, params=params, headers=headers)
        await store.close()
        return answer

    return asyncio.run(scenario())


PATH = "/api/collections/docs/documents/d1/readers"


def test_readers_are_listed_the_newest_first(make_record: Any) -> None:
    found = ask(make_record, "admin", PATH).json()["readers"]
    assert [(r["tenant_id"], r["user"], r["rank"], r["is_cited"]) for r in found] == [
        ("globex", "", 1, False),
        ("acme", "bob", 2, False),
        ("acme", "ada", 1, True),
    ]
    assert (found[2]["key_id"], found[2]["chunk_id"]) == ("key_1", "d1-c1")


def test_readers_of_other_tenants_are_not_shown(make_record: Any) -> None:
    found = ask(make_record, "acme", PATH).json()["readers"]
    assert {r["tenant_id"] for r in found} == {"acme"}
    assert ask(make_record, "acme", PATH, tenant="globex").status_code == 404
    assert ask(make_record, "acme+viewer", PATH, tenant="acme").status_code == 403


def test_another_collection_or_document_has_other_readers(make_record: Any) -> None:
    for path in (PATH.replace("docs", "laws"), PATH.replace("d1", "d9"), PATH.replace("d1", "d%")):
        assert ask(make_record, "admin", path).json() == {"readers": []}
    assert len(ask(make_record, "admin", PATH, limit="1").json()["readers"]) == 1


def test_a_stopped_installation_tells_them_too(tmp_path: Path, make_record: Any) -> None:
    path = tmp_path / "telemetry.duckdb"

    async def fill() -> None:
        store = TraceStore(path)
        await store.insert(records(make_record), Progress(segment="s"))
        await store.close()

    asyncio.run(fill())
    since = {"since": "2025-01-01"}
    found = readers_of(StoppedStore(path), "docs", "d1", {**since, "tenant": "acme"})
    assert [reader.user for reader in found] == ["bob", "ada"]


@pytest.mark.parametrize("how", ["erasure", "retention"])
def test_readers_go_with_their_traces(make_record: Any, how: str) -> None:
    async def scenario() -> list[str]:
        store = TraceStore(Path(":memory:"), clock=lambda: START_US + 60_000_000)
        await store.insert(records(make_record), Progress(segment="s"))
        if how == "erasure":
            rows = await store.ask(lambda c: removal.own_rows(c, "acme", "ada", []))
            await store.change(lambda c: removal.delete_rows(c, "acme", [row.n for row in rows]))
        else:
            await store.change(lambda c: removal.delete_before(c, "acme", START_US + 1500))
        left = await store.ask(lambda c: c.execute("SELECT tenant_id, n FROM sources").fetchall())
        await store.close()
        return [f"{tenant}{n}" for tenant, n in left]

    assert asyncio.run(scenario()) == ["acme2", "acme2", "globex3", "acme4", "acme5"]
