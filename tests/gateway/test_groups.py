"""Nobody is answered from a document that is not for them: no text, title, count or score leaks."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from tests.gateway.citations.answers import notes
from tests.gateway.dialects_in import HELLO, ask
from tests.gateway.worker import Answer, Worker, saying
from tests.retrieval.search.shelves import NOW_S, OneShelf, document

from santral.errors import NotFound
from santral.gateway.batches.batch import StoredFile
from santral.gateway.batches.cabinet import Cabinet
from santral.retrieval.library import Shelf
from santral.retrieval.search.retriever import Retriever
from santral.tenants.key import new_key
from santral.tenants.keyring import KeyRing
from santral.tenants.tenant import KeyId, Tenant, TenantId, VirtualKey
from santral.wire.delta import ChoiceDelta

TOML = """
[data]
folder = "."
[providers.up]
kind = "openai"
base_url = "http://up.test/v1"
[deployments.one]
provider = "up"
model = "m-one"
[collections.docs]
[routes.found]
ladder = [{ deployments = { one = 1 } }]
retrieval = { collection = "docs" }
cache = { enabled = true, semantic = { mode = "serve", threshold = 0.5 } }
[routes.bare]
ladder = [{ deployments = { one = 1 } }]
"""

#: What only the group hr may learn: in the text, title, URL and id of one document.
SECRETS = ("Zanzibar", "Payroll", "pay.test", "doc-hr")
DOCUMENTS = [
    document("open", "Salaries are paid on the last working day of a month.", title="Handbook"),
    document(
        "doc-hr",
        "The salaries of directors in Zanzibar are paid twice. A salary is secret.",
        title="Payroll",
        url="https://pay.test/x",
        allowed_groups=("hr",),
    ),
    document(
        "partner",
        "Salaries of partners are paid in gold.",
        title="Partners",
        allowed_groups=("rival/hr",),
    ),
]
QUESTION = "When are salaries paid?"

KEYS = {name: new_key(random.Random(name).randbytes) for name in ("plain", "hr", "svc", "rival")}


class Shelves:
    """Collections of acme: ``docs``, and ``shared``, which the tenant rival may search."""

    def __init__(self) -> None:
        self.put(OneShelf(DOCUMENTS))

    def put(self, one: OneShelf, version: int = 1) -> None:
        before = one.shelf
        named = replace(before.version, version=version)
        self._shelf = Shelf(before.collection, named, before.reader, before.model)

    def find(self, tenant_id: str, name: str) -> Shelf | None:
        if (tenant_id, name) in (("acme", "docs"), ("acme", "shared"), ("rival", "shared")):
            return self._shelf
        raise NotFound(f"There is no collection '{name}'.", code="collection_not_found")

    def owner(self, tenant_id: str, name: str) -> str | None:
        self.find(tenant_id, name)
        return "acme"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    worker = Worker(tmp_path_factory.mktemp("worker"), TOML)
    yield worker
    worker.close()


@pytest.fixture
def shelves() -> Shelves:
    return Shelves()


@pytest.fixture
def worker(running: Worker, shelves: Shelves) -> Worker:
    running.reset()
    retrieve = running.process.app._desk.stages.retrieve
    retrieve._find_owner = shelves.owner
    retrieve._search = Retriever(shelves, now=lambda: NOW_S)
    hold(running)
    running.provider.will(saying(ChoiceDelta(text="On the last working day [1] [2] [3].")))
    return running


def hold(worker: Worker, **changes: Any) -> None:
    """Give out the keys; ``changes`` are of the key hr."""
    held = {
        "plain": {},
        "hr": {"groups": frozenset({"hr"})} | changes,
        "svc": {"names_groups": True},
        "rival": {"tenant_id": TenantId("rival"), "groups": frozenset({"hr"})},
    }
    keys = [
        VirtualKey(
            **{
                "id": KeyId(name), "tenant_id": TenantId("acme"), "name": name,
                "prefix": key.prefix, "digest": key.digest, **held[name],
            }
        )
        for name, key in KEYS.items()
    ]  # fmt: skip
    tenants = [Tenant(TenantId("acme"), "Acme"), Tenant(TenantId("rival"), "Rival")]
    current = worker.process.current
    current.put_access(KeyRing(keys, tenants), current.snapshot.limits)


def put(worker: Worker, key: str, retrieval: dict[str, Any] | None = None, **fields: Any) -> Answer:
    extras = {} if retrieval is None else {"santral": {"retrieval": retrieval}}
    return worker.ask("found", QUESTION, key=KEYS[key].plaintext, **extras, **fields)


def leaks(worker: Worker, answer: Answer, *, asked: bool = True) -> list[str]:
    """Return the secrets in what left: to the client, the provider, the trace."""
    told = "".join(one.text for one in worker.provider.asked) if asked else ""
    everything = answer.body.decode() + told + b"".join(worker.spooled).decode(errors="replace")
    return [secret for secret in SECRETS if secret in everything]


def test_a_group_sees_its_documents_and_nobody_else_does(worker: Worker) -> None:
    assert leaks(worker, put(worker, "plain")) == []
    assert [s.document for s in worker.record.sources] == ["open.md"]
    worker.reset()
    answer = put(worker, "hr")
    assert {s.document for s in worker.record.sources} == {"open.md", "doc-hr.md"}
    assert leaks(worker, answer)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", ["chat", "messages", "responses", "gemini"])
def test_no_dialect_leaks(worker: Worker, dialect: str, stream: bool) -> None:
    fields = json.loads(json.dumps(HELLO[dialect]).replace("Hi", QUESTION))
    hold(worker, digest=KEYS["hr"].digest)
    original = worker.post

    def as_plain(body: bytes, **more: Any) -> Answer:
        return original(body, key=KEYS["plain"].plaintext, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "post", as_plain)
        answer = ask(worker, dialect, "found", stream=stream, fields=fields)
    assert answer.status == 200
    assert leaks(worker, answer) == []
    assert {note["santral"]["number"] for note in notes(dialect, answer)} == {1}


@pytest.mark.parametrize(
    "retrieval",
    [
        {"groups": ["hr"]},
        {"groups": ["hr", "hr"]},
        {"groups": ["HR"]},
        {"groups": ["һr"]},
        {"groups": ["hr\u0000"]},
        {"groups": ["hr,"]},
        {"groups": ["' OR 1=1 --"]},
        {"groups": ["*"]},
        {"groups": [""]},
        {"groups": ["g"] * 501},
        {"groups": "hr"},
        {"groups": {"in": ["hr"]}},
        {"filters": {"allowed_groups": "hr"}},
        {"filters": {"groups": ["hr"]}},
        {"filters": {"attributes.": "x"}},
        {"filters": {"title": {"regex": "Pay.*"}}},
        {"filters": {"title": {"$ne": None}}},
        {"filters": {"title": ["x"] * 1001}},
        {"filters": {"document": {"or": [{"allowed_groups": "hr"}]}}},
        {"filters": ["title", "Payroll"]},
        {"collection": "rival/docs"},
        {"collection": "../acme/docs"},
        {"rewrite_route": "bare"},
        {"rerank": "deployment:one"},
        {"scope": None},
        {"tenant_id": "acme"},
        {"top_k": 10_000},
        {"candidates": -1},
        {"min_score": "much"},
        {"weights": {"bm25": 1, "groups": 1}},
    ],
)
def test_what_tries_to_widen_is_refused_by_name(worker: Worker, retrieval: dict[str, Any]) -> None:
    answer = put(worker, "plain", retrieval)
    assert answer.status in (400, 403, 404), answer.body
    assert answer.error["code"]
    assert worker.provider.asked == []
    assert leaks(worker, answer) == []


@pytest.mark.parametrize(
    "retrieval",
    [
        {"filters": {"title": "Payroll"}},
        {"filters": {"document": "doc-hr"}},
        {"filters": {"document": ["doc-hr", "doc-hr.md"]}},
        {"filters": {"url": {"prefix": "https://pay.test"}}},
        {"filters": {"title": {"nin": ["Handbook"]}}},
        {"filters": {"title": {"ne": "Handbook"}}},
        {"filters": {"title": {"prefix": ""}}, "top_k": 100, "candidates": 1000},
        {"filters": {"section": {"exists": True}}, "neighbours": 5, "parents": "always"},
        {"whole_document_tokens": 100_000, "max_tokens": 1_000_000},
        {"diversity": 1.0, "min_score": 0.0, "weights": {"bm25": 1.0}},
        {"groups": []},
    ],
)
def test_no_filter_or_option_shows_a_hidden_document(
    worker: Worker, retrieval: dict[str, Any]
) -> None:
    answer = put(worker, "plain", retrieval)
    assert answer.status == 200, answer.body
    assert {s.document for s in worker.record.sources} <= {"open.md"}
    # The caller's own words are in the request: what is looked at is what it did not say.
    said = json.dumps(retrieval)
    assert [secret for secret in leaks(worker, answer) if secret not in said] == []
    assert b"doc-hr" not in answer.body


def test_an_unknown_option_names_the_nearest(worker: Worker) -> None:
    answer = put(worker, "plain", {"rerannk": "learned"})
    assert (answer.status, answer.error["code"]) == (400, "unknown_extra")
    assert "rerank" in answer.error["message"]


def test_a_service_names_the_groups_of_its_user(worker: Worker) -> None:
    put(worker, "svc", {"groups": ["hr"]})
    assert {s.document for s in worker.record.sources} == {"open.md", "doc-hr.md"}
    worker.reset()
    assert leaks(worker, put(worker, "svc", {"groups": ["staff"]})) == []
    worker.reset()
    assert leaks(worker, put(worker, "svc")) == [], "it names none: what everybody sees"


def test_a_key_may_narrow_what_it_sees(worker: Worker) -> None:
    assert leaks(worker, put(worker, "hr", {"groups": []})) == []


def test_groups_of_another_tenant_are_other_groups(worker: Worker) -> None:
    answer = put(worker, "rival", {"collection": "shared"})
    assert answer.status == 200
    assert {s.document for s in worker.record.sources} == {"open.md", "partner.md"}
    assert leaks(worker, answer) == []
    assert put(worker, "rival", {"collection": "docs"}).status == 404


@pytest.mark.parametrize("first", ["hr", "plain"])
def test_caches_do_not_cross_groups(worker: Worker, first: str) -> None:
    """Twice each, equal and in other words: the answer of one never serves the other."""
    other = {"hr": "plain", "plain": "hr"}[first]
    assert put(worker, first, temperature=0).headers["x-santral-cache"] == "miss"
    assert put(worker, other, temperature=0).headers["x-santral-cache"] == "miss"
    assert put(worker, first, temperature=0).headers["x-santral-cache"] == "hit"


def test_caches_do_not_cross_groups_where_all_see_the_same(
    worker: Worker, shelves: Shelves
) -> None:
    shelves.put(OneShelf(DOCUMENTS[:1]))
    assert put(worker, "hr", temperature=0).headers["x-santral-cache"] == "miss"
    assert put(worker, "plain", temperature=0).headers["x-santral-cache"] == "miss"


def test_a_kept_answer_is_not_served_once_its_document_is_gone_or_narrowed(
    worker: Worker, shelves: Shelves
) -> None:
    assert put(worker, "hr", temperature=0).headers["x-santral-cache"] == "miss"
    open_, hidden, partner = DOCUMENTS
    narrowed = document("doc-hr", *[c.text for c in hidden[1]], allowed_groups=("board",))
    for number, documents in enumerate(([open_, partner], [open_, narrowed, partner]), 2):
        shelves.put(OneShelf(documents), version=number)
        answer = put(worker, "hr", temperature=0)
        assert answer.headers["x-santral-cache"] == "miss"
        assert "Zanzibar" not in worker.provider.asked[-1].text + answer.body.decode()


def test_a_kept_response_is_not_for_who_may_not_see_its_documents(worker: Worker) -> None:
    body = {"model": "found", "input": QUESTION}
    made = worker.post(
        json.dumps(body).encode(), key=KEYS["hr"].plaintext, path="/v1/responses"
    ).json
    went = {**body, "previous_response_id": made["id"], "input": "And who?"}

    def go_on(key: str, **more: Any) -> Answer:
        sent = json.dumps({**went, **more}).encode()
        return worker.post(sent, key=KEYS[key].plaintext, path="/v1/responses")

    assert go_on("hr").status == 200
    worker.provider.asked.clear()
    assert go_on("plain").error["code"] == "previous_response_not_found"
    assert go_on("svc").status == 404, "for a user who is in no group"
    named = {"santral": {"retrieval": {"groups": ["staff"]}}}
    assert go_on("svc", **named).status == 404
    assert go_on("hr", model="bare").status == 200, "another route, the same person"
    looked = worker.post(
        b"", key=KEYS["plain"].plaintext, path=f"/v1/responses/{made['id']}", method="GET"
    )
    assert looked.status == 404
    item = [{"type": "item_reference", "id": made["output"][0]["id"]}]
    assert go_on("plain", previous_response_id=None, input=item).status == 404


def test_answers_of_a_batch_are_for_who_sees_their_documents(worker: Worker) -> None:
    cabinet = Cabinet(worker.loaded.config.data.folder / "objects")
    files = {
        "file-" + 30 * "a": {"groups": ["hr"]},
        "file-" + 30 * "b": {"is_of_named_groups": True},
        "file-" + 30 * "c": {},
    }
    for name, more in files.items():
        file = StoredFile(
            id=name, filename="f.jsonl", purpose="batch_output", bytes=2, created_at=1, **more
        )
        cabinet.put_file("acme", file, b"{}")

    def read_by(key: str) -> list[int]:
        paths = [f"/v1/files/{name}/content" for name in files]
        text = KEYS[key].plaintext
        return [worker.post(b"", key=text, path=p, method="GET").status for p in paths]

    assert read_by("hr") == [200, 404, 200]
    assert read_by("plain") == [404, 404, 200]
    assert read_by("svc") == [200, 200, 200], "it may name any group"
