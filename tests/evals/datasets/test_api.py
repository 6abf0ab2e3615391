"""``/api/datasets``, through the control process as it is served, with traces that were really stored."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from tests.traces.conftest import build_record

from santral.app.control import build_app
from santral.config.load import load
from santral.db.engine import connect, sqlite_url
from santral.tenants.issue import KeyTerms, create_key, ensure_first_keys
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.traces.metrics import Metrics
from santral.traces.question import Progress
from santral.traces.record import Payload
from santral.traces.store import TraceStore

pytestmark = pytest.mark.anyio

ASKED = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Kaç gün?"}]


class Control:
    """An admin API with one tenant, and who asks it."""

    def __init__(self, client: httpx.AsyncClient, store: TraceStore, viewer: str) -> None:
        self.client = client
        self.store = store
        self.viewer = viewer

    async def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        answer = await self.client.request(method, f"/api/datasets{path}", **options)
        assert answer.status_code == status, answer.text
        return answer.json() if "json" in answer.headers["content-type"] else answer.content


@pytest.fixture
async def control(tmp_path: Path, sqlite_template: Path) -> AsyncGenerator[Control]:
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    (tmp_path / "santral.toml").write_text('[data]\nfolder = "."\n')
    engine = connect(sqlite_url(tmp_path))
    store = TraceStore(tmp_path / "telemetry.duckdb")
    await store.open()
    now, by = datetime.now(UTC), local_operator()
    first = await ensure_first_keys(engine, Random(1).randbytes, now)
    assert first is not None
    await create_tenant(engine, "acme", None, now, by=by)
    terms = KeyTerms(role="auditor", role_over="acme")
    auditor = await create_key(
        engine, Random(2).randbytes, "acme", "audit", now, by=by, terms=terms
    )
    app = build_app(load(tmp_path / "santral.toml", {}), engine, store, Metrics())
    headers = {"authorization": f"Bearer {first.admin.plaintext}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://control", headers=headers
    ) as client:
        made = Control(client, store, auditor.plaintext)
        await made.ask("POST", "", 201, json={"tenant_id": "acme", "name": "faq"})
        yield made
    await store.close()
    await engine.dispose()


async def put_traces(control: Control) -> None:
    now_us = control.store.clock()
    said = Payload(request=json.dumps(ASKED), response="14 gün")
    turns = json.dumps(
        [*ASKED, {"role": "assistant", "content": "14"}, {"role": "user", "content": "Emin misin?"}]
    )
    fields: dict[str, Any] = {
        "tenant_id": "acme",
        "route": "support",
        "started_at_us": now_us - 10**6,
    }
    records = [
        build_record(1, **fields, user="ayse-41", session="s", payload=said),
        build_record(2, **fields, payload=Payload(request=turns, response="Evet")),
        build_record(3, **fields, payload=None),
        build_record(4, **{**fields, "tenant_id": "globex"}, payload=said),
        build_record(5, **{**fields, "route": "other"}, payload=said),
    ]
    await control.store.insert(records, Progress(segment="s"))


async def test_traces_become_examples_with_where_they_come_from(control: Control) -> None:
    await put_traces(control)
    body = {"tenant_id": "acme", "route": "support", "with_answer": True}
    done = await control.ask("POST", "/faq/traces", 201, json=body)
    assert (done["created"], done["left_out"]) == (2, {"what was said was not kept": 1})
    page = await control.ask("GET", "/faq/examples?tenant_id=acme")
    by_user = {one["provenance"].get("user", ""): one for one in page["examples"]}
    assert by_user["ayse-41"]["content"]["input"] == "Kaç gün?"
    assert by_user["ayse-41"]["content"]["expected"] == "14 gün"
    assert by_user["ayse-41"]["provenance"]["origin"] == "trace"
    assert [one["role"] for one in by_user[""]["content"]["input"]] == ["user", "assistant", "user"]
    again = await control.ask("POST", "/faq/traces", 201, json=body)
    assert (again["created"], again["same"]) == (0, 2)


async def test_filters_choose_traces_and_a_wrong_one_is_named(control: Control) -> None:
    await put_traces(control)
    body = {"tenant_id": "acme", "filters": ["user=ayse-41"]}
    assert (await control.ask("POST", "/faq/traces", 201, json=body))["created"] == 1
    wrong = {"tenant_id": "acme", "filters": ["usr=x"]}
    answer = await control.ask("POST", "/faq/traces", 400, json=wrong)
    assert "no field 'usr'" in answer["error"]["message"]


async def test_who_may_not_read_payloads_sees_no_words_of_people(control: Control) -> None:
    await put_traces(control)
    await control.ask("POST", "/faq/traces", 201, json={"tenant_id": "acme"})
    body = {"tenant_id": "acme", "examples": [{"id": "own", "input": "Ours?"}]}
    await control.ask("POST", "/faq/examples", 201, json=body)
    await control.ask("POST", "/faq/versions", 201, json={"tenant_id": "acme"})
    headers = {"authorization": f"Bearer {control.viewer}"}
    page = await control.ask("GET", "/faq/examples?tenant_id=acme", headers=headers)
    shown = {one["id"]: one["content"] for one in page["examples"]}
    assert shown.pop("own")["input"] == "Ours?"
    assert set(shown.values()) == {None}
    await control.ask("GET", "/faq/export?tenant_id=acme", 403, headers=headers)
    await control.ask("POST", "/faq/traces", 403, json={"tenant_id": "acme"}, headers=headers)


async def test_a_file_goes_in_and_comes_out(control: Control) -> None:
    table = "question,answer\nKaç gün?,14\nNerede?,Burada\n"
    path = "/faq/import?tenant_id=acme&format=csv&map=input=question&map=expected=answer"
    assert (await control.ask("POST", path, 201, content=table))["created"] == 2
    await control.ask("POST", "/faq/versions", 201, json={"tenant_id": "acme", "note": "first"})
    out = await control.ask("GET", "/faq/export?tenant_id=acme&format=chat")
    answers = [json.loads(line)["messages"][-1]["content"] for line in out.splitlines()]
    assert sorted(answers) == ["14", "Burada"]
    card = await control.ask("GET", "/faq/card?tenant_id=acme")
    assert card["origins"] == {"file": 2}


async def test_a_file_with_a_wrong_row_changes_nothing(control: Control) -> None:
    lines = '{"input": "a"}\n{"inptu": "b"}\n'
    answer = await control.ask("POST", "/faq/import?tenant_id=acme", 400, content=lines)
    assert "line 2" in answer["error"]["message"]
    assert (await control.ask("GET", "/faq?tenant_id=acme"))["examples"] == 0
    done = await control.ask("POST", "/faq/import?tenant_id=acme&skip_bad=true", 201, content=lines)
    assert done["created"] == 1
    await control.ask("POST", "/faq/import?tenant_id=acme&format=xlsx", 400, content=b"x")


async def test_an_example_is_changed_deleted_and_told_apart(control: Control) -> None:
    body = {"tenant_id": "acme", "examples": [{"id": "a", "input": "x"}, {"id": "b", "input": "y"}]}
    await control.ask("POST", "/faq/examples", 201, json=body)
    await control.ask("POST", "/faq/versions", 201, json={"tenant_id": "acme"})
    change = {"tenant_id": "acme", "changes": {"expected": "z"}}
    await control.ask("PATCH", "/faq/examples/a", json=change)
    await control.ask("DELETE", "/faq/examples/b?tenant_id=acme")
    history = await control.ask("GET", "/faq/examples/a/history?tenant_id=acme")
    assert [one["revision"] for one in history["revisions"]] == [2, 1]
    found = await control.ask("GET", "/faq/diff?tenant_id=acme&older=1")
    assert (found["changed"], found["removed"]) == (["a"], ["b"])


async def test_checks_splits_masks_and_augments(control: Control) -> None:
    examples = [{"id": f"q{n}", "input": f"Soru {n * 7919:x}: iade {n:b}?"} for n in range(40)]
    examples.append({"id": "mail", "input": "Ayşe'ye yaz: ayse@example.com"})
    await control.ask(
        "POST", "/faq/examples", 201, json={"tenant_id": "acme", "examples": examples}
    )
    checked = await control.ask("GET", "/faq/check?tenant_id=acme")
    assert checked["personal"]["kinds"] == {"EMAIL": 1}
    counts = await control.ask("POST", "/faq/split", json={"tenant_id": "acme"})
    assert sum(counts.values()) == 41
    assert (await control.ask("POST", "/faq/mask", json={"tenant_id": "acme"}))["patched"] == 1
    ways = {"tenant_id": "acme", "ways": ["swap:names"]}
    made = await control.ask("POST", "/faq/augment", 201, json=ways)
    assert (made["created"], made["patched"]) == (1, 1)


async def test_two_that_write_at_once_lose_nothing(control: Control) -> None:
    async def put(number: int) -> None:
        body = {"tenant_id": "acme", "examples": [{"id": "a", "input": f"text {number}"}]}
        await control.ask("POST", "/faq/examples", 201, json=body)

    await asyncio.gather(*(put(n) for n in range(8)))
    history = await control.ask("GET", "/faq/examples/a/history?tenant_id=acme")
    assert [one["revision"] for one in history["revisions"]] == list(range(8, 0, -1))
