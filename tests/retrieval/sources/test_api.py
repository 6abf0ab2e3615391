"""``/api/sources`` and ``/hooks/sources`` over HTTP."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from random import Random

import httpx
import pytest
from tests.retrieval.conftest import NOW
from tests.tenants.acting import plant

from santral.app.control import build_app
from santral.config.load import load
from santral.db.engine import Engine, connect, sqlite_url
from santral.tenants.issue import ensure_first_keys
from santral.traces.metrics import Metrics
from santral.traces.store import TraceStore

pytestmark = pytest.mark.anyio


@pytest.fixture
async def own(tmp_path: Path, sqlite_template: Path) -> AsyncGenerator[Engine]:
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    made = connect(sqlite_url(tmp_path))
    await plant(made, "acme")
    yield made
    await made.dispose()


@pytest.fixture
async def client(own: Engine, tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    (tmp_path / "santral.toml").write_text('[data]\nfolder = "."\n')
    app = build_app(
        load(tmp_path / "santral.toml", {}), own, TraceStore(Path(":memory:")), Metrics()
    )
    first = await ensure_first_keys(own, Random(1).randbytes, NOW)
    assert first is not None
    headers = {"authorization": f"Bearer {first.admin.plaintext}"}
    transport = httpx.ASGITransport(app, client=("203.0.113.7", 5000))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://control", headers=headers
    ) as made:
        yield made


NEW = {
    "tenant_id": "acme", "collection": "docs", "kind": "url",
    "settings": {"urls": ["https://docs.example.com/a"]}, "every_s": 3600,
}  # fmt: skip


async def test_a_source_is_added_run_and_shown(client: httpx.AsyncClient) -> None:
    made = (await client.post("/api/sources", json=NEW)).json()
    assert (made["kind"], made["has_token"], made["last_state"]) == ("url", False, "")
    listed = (await client.get("/api/sources", params={"tenant_id": "acme"})).json()["sources"]
    assert [source["id"] for source in listed] == [made["id"]]
    job = (await client.post(f"/api/sources/{made['id']}/run")).json()["job"]
    shown = (await client.get(f"/api/sources/{made['id']}")).json()
    assert (shown["last_job"], shown["last_state"], shown["documents"]) == (job, "running", 0)
    assert (await client.get(f"/api/jobs/{job}")).json()["kind"] == "retrieval.ingest"
    gone = await client.delete(f"/api/sources/{made['id']}")
    assert gone.status_code == 202
    assert (await client.get(f"/api/sources/{made['id']}")).status_code == 404


async def test_what_cannot_be_is_named(client: httpx.AsyncClient) -> None:
    for change, said in (
        ({"kind": "urls"}, "Did you mean 'url'"),
        ({"settings": {"urls": ["http://127.0.0.1/"]}}, "inside the network"),
        ({"settings": {"urls": ["https://a.com"], "pause": 1}}, "Did you mean 'pause_s'"),
        ({"every_s": 1}, "between 60 seconds"),
        ({"collection": "../x"}, "collection"),
        ({"more": 1}, "more"),
    ):
        answer = await client.post("/api/sources", json=NEW | change)
        assert answer.status_code == 400, answer.text
        assert said in answer.json()["error"]["message"]


async def test_a_webhook_is_opened_by_its_own_token_alone(client: httpx.AsyncClient) -> None:
    made = (await client.post("/api/sources", json=NEW)).json()
    path = f"/hooks/sources/{made['id']}"
    refused = await client.post(path, json={})  # the key of an administrator
    unknown = await client.post("/hooks/sources/src_nowhere", json={})
    assert (refused.status_code, refused.json()) == (401, unknown.json())
    token = (await client.post(f"/api/sources/{made['id']}/token")).json()
    assert token["path"] == path
    assert token["token"] not in (await client.get(f"/api/sources/{made['id']}")).text
    await client.post(f"/api/sources/{made['id']}/run")
    headers = {"x-gitlab-token": token["token"], "authorization": ""}
    for is_asked in (True, False, False):
        rung = await client.post(path, headers=headers, content=b"x" * 100_000)
        assert (rung.status_code, rung.json()) == (202, {"is_asked": is_asked})
    answers = [(await client.post(path, headers=headers)).status_code for _ in range(40)]
    assert set(answers) == {202, 429}
    key = await client.post(f"{path}?token={token['token']}&access_token=x")
    assert key.status_code == 400
