"""``/api/collections/{name}/documents``: pushed, listed, changed and deleted; by those who may."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from tests.retrieval.ingest.place import NOW, Place
from tests.retrieval.ingest.test_job import runner_at

from santral.db.engine import writing
from santral.errors import SantralError
from santral.retrieval.collections.store import insert_collection
from santral.retrieval.ingest.api import documents_router
from santral.tenants.operator import local_operator
from santral.tenants.permission import Principal
from santral.web.errors import openai_error

pytestmark = pytest.mark.anyio

AT = "/api/collections/docs"
ACME = {"tenant_id": "acme"}


def authorise(action: str) -> Callable[..., Awaitable[Principal]]:
    async def principal() -> Principal:
        return local_operator()

    return principal


async def answer(request: Request, error: Exception) -> Response:
    assert isinstance(error, SantralError)
    status, _, body = openai_error(error)
    return Response(body, status, media_type="application/json")


@pytest.fixture
async def client(place: Place) -> AsyncGenerator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(
        documents_router(
            place.work.engine, partial(nullcontext, place.work), authorise, clock=place.clock
        )
    )
    app.add_exception_handler(SantralError, answer)
    async with writing(place.work.engine) as conn:
        await insert_collection(conn, "acme", "docs", None, "", NOW)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://control", params=ACME
    ) as made:
        yield made


async def put(client: httpx.AsyncClient, key: str, body: dict[str, Any]) -> httpx.Response:
    return await client.put(f"{AT}/documents/{key}", json=body, params=ACME)


async def test_a_document_is_pushed_found_changed_and_deleted(
    client: httpx.AsyncClient, place: Place
) -> None:
    body = {"text": "# Pay\n\nSalaries are paid on the first.", "metadata": {"owner": "HR"}}
    made = await put(client, "pay", body)
    assert made.status_code == 202
    [document] = made.json()["documents"]
    assert (document["source"], document["metadata"]["owner"]) == ("pay", "HR")
    runner = runner_at(place)
    await runner.run_one(made.json()["job"]["id"])
    assert await place.search("salaries", groups=[]) == ["Salaries are paid on the first."]

    again = await put(client, "pay", body)
    assert (again.status_code, again.json()["job"]) == (200, None)

    change = {"metadata": {"allowed_groups": ["hr"], "title": "Pay day"}}
    changed = await client.patch(f"{AT}/documents/pay", json=change)
    await runner.run_one(changed.json()["job"]["id"])
    assert await place.search("salaries", groups=[]) == []
    await put(client, "pay", body | {"text": "# Pay\n\nSalaries are paid on the second."})
    shown = (await client.get(f"{AT}/documents/{document['id']}")).json()
    assert shown["metadata"]["allowed_groups"] == ["hr"]
    assert shown["title"] == "Pay day"

    gone = await client.delete(f"{AT}/documents/pay")
    await runner.run_one(gone.json()["job"]["id"])
    assert (await client.get(f"{AT}/documents/pay")).status_code == 404
    assert await place.search("salaries") == []


async def test_files_are_pushed_as_bytes_or_in_base_64(
    client: httpx.AsyncClient, place: Place
) -> None:
    page = b"<html><body><h1>Leave</h1><p>Annual leave is fourteen days.</p></body></html>"
    raw = await client.put(
        f"{AT}/documents/page", content=page, headers={"content-type": "text/html; charset=utf-8"}
    )
    coded = {"content_base64": base64.b64encode(page).decode(), "media_type": "text/html"}
    other = await put(client, "other", coded)
    for made in (raw, other):
        assert made.json()["documents"][0]["kind"] == "html", made.text
    bad = await put(client, "bad", {"content_base64": "AAAA", "media_type": "application/pdf"})
    assert bad.json()["documents"][0]["status"] == "quarantined"


async def test_a_batch_is_one_job_and_pages_follow_each_other(
    client: httpx.AsyncClient, place: Place
) -> None:
    documents = [{"key": f"k{n}", "text": f"# K\n\nText number {n}."} for n in range(5)]
    made = await client.post(f"{AT}/documents:batch", json={"documents": documents})
    assert len(made.json()["documents"]) == 5
    first = (await client.get(f"{AT}/documents", params={**ACME, "limit": "3"})).json()
    rest = (
        await client.get(f"{AT}/documents", params={**ACME, "limit": "3", "after": first["next"]})
    ).json()
    assert [one["source"] for one in first["documents"] + rest["documents"]] == [
        f"k{n}" for n in range(5)
    ]
    assert rest["next"] is None
    await runner_at(place).run_one(made.json()["job"]["id"])
    shown = (await client.get(f"{AT}/documents/k3")).json()
    assert shown["chunks"][0]["text"] == "Text number 3."
    chunk = shown["chunks"][0]
    assert shown["text"][chunk["start"] : chunk["end"]] == "Text number 3."


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "text or content_base64"),
        ({"text": "a", "content_base64": "YQ=="}, "one of them"),
        ({"content_base64": "%%%"}, "not base 64"),
        ({"text": "a", "metadata": {"onwer": "x"}}, "Did you mean 'owner'"),
        ({"text": "a", "metadata": {"expires_at": "soon"}}, "ISO 8601"),
        ({"text": "a", "metadata": {"url": "javascript:alert(1)"}}, "an address of http"),
        ({"text": "a", "metadata": {"lifecycle": "old"}}, "one of draft"),
        ({"text": "a", "kind": "x"}, "kind"),
    ],
)
async def test_what_means_nothing_is_refused_with_its_place(
    client: httpx.AsyncClient, body: dict[str, Any], said: str
) -> None:
    refused = await put(client, "a", body)
    assert refused.status_code == 400
    assert said in refused.text
    assert (await client.get(f"{AT}/documents")).json()["documents"] == []


async def test_what_is_not_there_is_named(client: httpx.AsyncClient) -> None:
    assert "santral documents list" in (await client.get(f"{AT}/documents/none")).text
    missing = await client.get("/api/collections/nothing/documents")
    assert (missing.status_code, "nothing" in missing.text) == (404, True)
    pushed = await put(client, "a", {"text": ""})
    assert pushed.json()["documents"][0]["reason"] == "it is empty"
    refused = await client.get(f"{AT}/documents", params={**ACME, "after": "??"})
    assert refused.status_code == 400
    retried = await client.post(f"{AT}/documents:retry", json={"documents": ["a"]})
    assert "has to push it again" in retried.text


async def test_a_call_may_wait_until_a_document_can_be_searched(
    client: httpx.AsyncClient, place: Place
) -> None:
    made = await client.put(
        f"{AT}/documents/a", json={"text": "# A\n\nHello."}, params={**ACME, "wait": "0.2"}
    )
    assert made.status_code == 202
    await runner_at(place).run_one(made.json()["job"]["id"])
    job = await client.post(f"{AT}/update")
    await runner_at(place).run_one(job.json()["id"])
    assert job.json()["kind"] == "retrieval.ingest"
