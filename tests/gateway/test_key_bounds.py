"""What a key is bound to holds on every endpoint and in every dialect: networks, scopes, models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from random import Random
from typing import Any, get_args

import msgspec
import pytest
from tests.gateway.worker import Answer, Worker

from santral.errors import ProviderFailed
from santral.gateway.batches.batch import Batch, Line
from santral.gateway.batches.inner import ask_inside
from santral.quota.book import LimitBook
from santral.tenants.key import MARK, new_key
from santral.tenants.keyring import KeyRing
from santral.tenants.scope import SCOPES, KeyScope
from santral.tenants.tenant import KeyId, Tenant, TenantId, UserId, VirtualKey

KEY = new_key(Random(77).randbytes)
ACME = Tenant(TenantId("acme"), "Acme")

HI = [{"role": "user", "content": "Hi"}]

#: One request to each endpoint that takes a key: method, path, body, and the scope it asks for.
REQUESTS: tuple[tuple[str, str, Any, KeyScope], ...] = (
    ("POST", "/v1/chat/completions", {"model": "plain", "messages": HI}, "conversations"),
    ("POST", "/v1/completions", {"model": "plain", "prompt": "Hi"}, "conversations"),
    ("POST", "/v1/messages", {"model": "plain", "messages": HI, "max_tokens": 9}, "conversations"),
    ("POST", "/v1/messages/count_tokens", {"model": "plain", "messages": HI}, "conversations"),
    (
        "POST",
        "/v1beta/models/plain:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
        "conversations",
    ),
    (
        "POST",
        "/v1beta/models/plain:countTokens",
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
        "conversations",
    ),
    ("POST", "/v1/responses", {"model": "plain", "input": "Hi", "store": False}, "responses"),
    ("GET", "/v1/responses/resp_1", None, "responses"),
    ("DELETE", "/v1/responses/resp_1", None, "responses"),
    ("GET", "/v1/responses/resp_1/input_items", None, "responses"),
    ("POST", "/v1/responses/resp_1/cancel", None, "responses"),
    ("POST", "/v1/embeddings", {"model": "plain", "input": "Hi"}, "embeddings"),
    ("POST", "/v1/rerank", {"model": "plain", "query": "q", "documents": ["d"]}, "rerank"),
    ("POST", "/v2/rerank", {"model": "plain", "query": "q", "documents": ["d"]}, "rerank"),
    ("POST", "/v1/moderations", {"model": "plain", "input": "Hi"}, "moderations"),
    ("POST", "/v1/files", None, "files"),
    ("GET", "/v1/files", None, "files"),
    ("GET", "/v1/files/file-1", None, "files"),
    ("DELETE", "/v1/files/file-1", None, "files"),
    ("GET", "/v1/files/file-1/content", None, "files"),
    ("POST", "/v1/batches", {}, "batches"),
    ("GET", "/v1/batches", None, "batches"),
    ("GET", "/v1/batches/batch-1", None, "batches"),
    ("POST", "/v1/batches/batch-1/cancel", None, "batches"),
    ("GET", "/v1/models", None, "models"),
    ("GET", "/v1/models/plain", None, "models"),
    ("GET", "/v1beta/models", None, "models"),
    ("GET", "/v1beta/models/plain", None, "models"),
    ("POST", "/v1/feedback", {"trace_id": "a" * 32, "name": "thumbs", "value": 1}, "feedback"),
    ("DELETE", "/v1/feedback", None, "feedback"),
    ("POST", "/v1/feedback/tokens", {"trace_id": "a" * 32}, "feedback"),
    ("GET", "/v1/held/held_1", None, "held"),
)

#: What needs no key at all.
OPEN = {"/health/live", "/health/ready", "/metrics"}


@pytest.fixture
def bound(worker: Worker) -> Iterator[Worker]:
    """Return the worker with one key more, which tests bind; all is as before afterwards."""
    before = worker.process.current.snapshot
    yield worker
    worker.client = None
    worker.process.current.snapshot = before


def bind(worker: Worker, **bounds: Any) -> None:
    key = VirtualKey(
        id=KeyId("k9"),
        tenant_id=ACME.id,
        name="bound",
        prefix=KEY.prefix,
        digest=KEY.digest,
        **bounds,
    )
    worker.process.current.put_access(KeyRing([key], [ACME]), LimitBook([]))


def ask(worker: Worker, method: str, path: str, body: Any, **more: Any) -> Answer:
    data = b"" if body is None else json.dumps(body).encode()
    return worker.post(data, key=KEY.plaintext, path=path, method=method, **more)


def is_fenced(answer: Answer) -> bool:
    """Whether the key's own bounds refused, in any dialect."""
    return answer.status == 403


def test_every_endpoint_is_in_the_list_of_requests(worker: Worker) -> None:
    app = worker.process.app
    for path, methods in app._endpoints.items():
        for method in methods:
            listed = {(m, p) for m, p, _, _ in REQUESTS}
            is_open = path in OPEN or method == "OPTIONS"  # which a browser sends without a key
            assert is_open or (method, path) in listed, (method, path)
    for pattern, methods in app._patterns:
        for method in methods:
            assert any(m == method and pattern.fullmatch(p) for m, p, _, _ in REQUESTS), pattern


def test_the_table_of_scopes_is_whole() -> None:
    assert set(SCOPES) == set(get_args(KeyScope)) == {scope for *_, scope in REQUESTS}


@pytest.mark.parametrize(("method", "path", "body", "asks"), REQUESTS)
def test_a_key_is_for_its_scopes_alone(
    bound: Worker, method: str, path: str, body: Any, asks: KeyScope
) -> None:
    bind(bound, scopes=frozenset(SCOPES) - {asks})
    refused = ask(bound, method, path, body)
    assert is_fenced(refused), refused.body
    assert f"not for {asks}" in refused.body.decode()
    assert bound.provider.asked == []
    bind(bound, scopes=frozenset({asks}))
    assert not is_fenced(ask(bound, method, path, body))


@pytest.mark.parametrize(("method", "path", "body", "asks"), REQUESTS)
def test_a_key_is_for_its_networks_alone(
    bound: Worker, method: str, path: str, body: Any, asks: KeyScope
) -> None:
    bind(bound, networks=("198.51.100.0/24", "2001:db8::/32"))
    for client in (("203.0.113.7", 5000), ("2001:db9::1", 5000), None):
        bound.client = client
        refused = ask(bound, method, path, body)
        assert is_fenced(refused), (client, refused.body)
        assert "is not for the address" in refused.body.decode()
    assert bound.provider.asked == []
    for host in ("198.51.100.9", "::ffff:198.51.100.9", "2001:db8::5"):
        bound.client = (host, 5000)
        assert not is_fenced(ask(bound, method, path, body)), host


def test_what_a_client_says_of_itself_is_not_believed(bound: Worker) -> None:
    bind(bound, networks=("198.51.100.0/24",))
    bound.client = ("203.0.113.7", 5000)
    for name in (b"x-forwarded-for", b"forwarded", b"x-real-ip"):
        headers = [(name, b"198.51.100.9")]
        assert is_fenced(ask(bound, *REQUESTS[0][:3], headers=headers))


@pytest.mark.parametrize(("method", "path", "body", "asks"), REQUESTS)
def test_a_key_in_the_address_is_refused(
    bound: Worker, method: str, path: str, body: Any, asks: KeyScope
) -> None:
    bind(bound)
    for query in (
        b"key=" + KEY.plaintext.encode(),
        b"alt=sse&key=x",
        b"api_key=x",
        b"access_token=",
        b"after=" + KEY.plaintext.encode(),
        b"x=%73k-santral-" + KEY.plaintext[len(MARK) :].encode(),
    ):
        refused = ask(bound, method, path, body, query=query)
        assert refused.status == 400, query
        assert KEY.plaintext[len(MARK) :].encode() not in refused.body
    assert bound.provider.asked == []
    assert not any(KEY.plaintext.encode() in record for record in bound.spooled)


@pytest.mark.parametrize(
    "path", ["/{}", "/v1/{}", "/v1/{}/models", "/v1/models/{}", "/health/live/{}"]
)
def test_a_key_as_a_part_of_the_path_is_refused(bound: Worker, path: str) -> None:
    bind(bound)
    refused = ask(bound, "GET", path.format(KEY.plaintext), None)
    assert refused.status == 400
    assert KEY.plaintext[len(MARK) :].encode() not in refused.body


def test_health_and_metrics_refuse_a_key_in_the_address_too(bound: Worker) -> None:
    for path in OPEN:
        assert ask(bound, "GET", path, None, query=b"key=x").status == 400


# models

IN_DIALECTS = [r for r in REQUESTS if r[0] == "POST" and "plain" in f"{r[1]}{r[2]}"]


@pytest.mark.parametrize(("method", "path", "body", "asks"), IN_DIALECTS)
def test_a_route_without_a_model_of_the_key_is_refused_by_name(
    bound: Worker, method: str, path: str, body: Any, asks: KeyScope
) -> None:
    bind(bound, models=frozenset({"two"}))
    refused = ask(bound, method, path, body)
    assert refused.status == 403, refused.body
    assert "(one)" in refused.body.decode()
    assert bound.provider.asked == []


def test_a_deployment_that_the_key_may_not_use_is_left_out_of_its_route(bound: Worker) -> None:
    bind(bound, models=frozenset({"two"}))
    answer = ask(bound, "POST", "/v1/chat/completions", {"model": "ladder", "messages": HI})
    assert answer.status == 200
    assert [asked.model for asked in bound.provider.asked] == ["m-two"]


@pytest.mark.parametrize(
    ("models", "asked"), [(None, ["m-one", "m-two"]), (frozenset({"one"}), ["m-one"])]
)
def test_a_failing_model_never_falls_to_one_that_the_key_may_not_use(
    bound: Worker, models: frozenset[str] | None, asked: list[str]
) -> None:
    bind(bound, models=models)
    bound.provider.will([ProviderFailed("It is down.")], model="m-one")
    answer = ask(bound, "POST", "/v1/chat/completions", {"model": "ladder", "messages": HI})
    assert answer.status == (200 if models is None else 502)
    assert [call.model for call in bound.provider.asked] == asked


def test_a_deployment_is_asked_by_its_own_name_only_where_the_key_may(bound: Worker) -> None:
    bind(bound, models=frozenset({"one"}))
    for name, status in (("one", 200), ("two", 403)):
        body = {"model": name, "messages": HI}
        assert ask(bound, "POST", "/v1/chat/completions", body).status == status


def test_the_list_of_models_shows_what_the_key_may_use(bound: Worker) -> None:
    bind(bound, models=frozenset({"two"}))
    listed = {model["id"] for model in ask(bound, "GET", "/v1/models", None).json["data"]}
    assert {"two", "ladder", "masked-ladder"} <= listed
    assert listed.isdisjoint({"one", "plain", "unpriced"})
    assert ask(bound, "GET", "/v1/models/one", None).status == 404


def test_an_answer_kept_for_others_is_not_given_to_a_key_of_other_models(bound: Worker) -> None:
    body = {"model": "cached", "messages": HI}
    bind(bound)
    for _ in range(2):
        assert ask(bound, "POST", "/v1/chat/completions", body).status == 200
    assert len(bound.provider.asked) == 1, "the second came from the cache"
    bind(bound, models=frozenset({"one", "two"}))
    assert ask(bound, "POST", "/v1/chat/completions", body).status == 200
    assert len(bound.provider.asked) == 2
    assert ask(bound, "POST", "/v1/chat/completions", body).status == 200
    assert len(bound.provider.asked) == 2, "its own answers are kept for it"


# the user of a key


@pytest.mark.parametrize(
    ("fields", "user"),
    [({}, "usr_7"), ({"user": "ada"}, "ada"), ({"santral": {"user": "bo"}}, "bo")],
)
def test_the_owner_of_a_key_is_the_user_where_the_request_names_none(
    bound: Worker, fields: dict[str, Any], user: str
) -> None:
    bind(bound, user_id=UserId("usr_7"))
    ask(bound, "POST", "/v1/chat/completions", {"model": "plain", "messages": HI, **fields})
    assert bound.record.user == user


def test_a_key_without_bounds_has_no_fence_to_look_at(bound: Worker) -> None:
    bind(bound, user_id=UserId("usr_7"), models=frozenset({"one"}))
    ring = bound.process.current.snapshot.ring
    assert ring.identify(KEY.plaintext, 0.0).fence is None


# work that goes on after its request


@pytest.mark.parametrize(
    ("bounds", "status"),
    [
        ({"scopes": frozenset({"batches", "files", "conversations"})}, 200),
        ({"scopes": frozenset({"batches", "files"})}, 403),
        ({"networks": ("198.51.100.0/24",)}, 200),  # it was asked for from there
        ({"models": frozenset({"two"})}, 403),
    ],
)
def test_a_batchs_requests_are_held_to_the_bounds_of_its_key(
    bound: Worker, bounds: dict[str, Any], status: int
) -> None:
    bind(bound, **bounds)
    batch = Batch(
        id="batch-1",
        tenant_id="acme",
        key_id="k9",
        endpoint="/v1/chat/completions",
        input_file_id="file-1",
        completion_window="24h",
        created_at=0,
        expires_at=1,
    )
    body = msgspec.Raw(json.dumps({"model": "plain", "messages": HI}).encode())
    line = Line(custom_id="one", url=batch.endpoint, body=body)
    ring = bound.process.current.snapshot.ring
    answer = asyncio.run(ask_inside(bound.process.app, ring, 0.0, batch, line))
    assert answer.status == status, answer.body
    assert bool(bound.provider.asked) == (status == 200)
