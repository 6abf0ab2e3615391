"""What is kept of a tenant's words: a matrix of policies and places, by a search through every file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.gateway.worker import KEY, NARROW_KEY, Worker, saying

from santral.guardrails.entities.mask import Placeholders
from santral.guardrails.redact import redacted_json, redacted_texts
from santral.tenants.inherit import inherited
from santral.tenants.keyring import KeyRing
from santral.tenants.tenant import KeyId, PayloadPolicy, Tenant, TenantId, VirtualKey
from santral.wire.delta import ChoiceDelta

MAIL = "ayse.yilmaz@example.com"
CANARY = "KANARYA-4711"
ANSWER = "SERCE-0815"

Keep = Callable[[PayloadPolicy | None], None]


@pytest.fixture
def keep(worker: Worker) -> Iterator[Keep]:
    """Return a function that sets the tenant's policy, as a new access file would."""
    current = worker.process.current
    before = current.snapshot.ring

    def put(policy: PayloadPolicy | None) -> None:
        tenants = [Tenant(TenantId("acme"), "Acme", payloads=policy)]
        keys = [
            VirtualKey(
                id=KeyId(name), tenant_id=TenantId("acme"), name=name, prefix=key.prefix,
                digest=key.digest,
            )
            for name, key in (("k1", KEY), ("k2", NARROW_KEY))
        ]  # fmt: skip
        current.put_access(KeyRing(keys, tenants), current.snapshot.limits)

    yield put
    current.put_access(before, current.snapshot.limits)


def in_files(worker: Worker, *words: str) -> list[str]:
    folder: Path = worker.loaded.config.data.folder
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and any(word.encode() in path.read_bytes() for word in words)
    ]


def clean(worker: Worker) -> None:
    """Take away what other tests of this worker left in its files."""
    worker.process._spool.close()
    for path in worker.loaded.config.data.folder.rglob("*"):
        if path.is_file() and path.parent.name in ("spool", "responses", "files", "batches"):
            path.unlink()


@pytest.mark.parametrize("policy", ["full", "redacted", "hashes", "none"])
def test_each_policy_keeps_what_it_says_in_the_trace(
    worker: Worker, keep: Keep, policy: PayloadPolicy
) -> None:
    clean(worker)
    keep(policy)
    worker.provider.will(saying(ChoiceDelta(text=f"{ANSWER}, write to {MAIL}")))
    answer = worker.ask(content=f"{CANARY}: I am {MAIL}")
    assert MAIL in answer.choices[0].text  # what is kept changes nothing of the answer
    payload = worker.record.payload
    kept = "" if payload is None else payload.request + payload.response
    assert (CANARY in kept) == (policy in ("full", "redacted"))
    assert (ANSWER in kept) == (policy in ("full", "redacted"))
    assert (MAIL in kept) == (policy == "full")
    assert (payload is None) == (policy == "none")
    assert bool(in_files(worker, MAIL)) == (policy == "full")
    assert bool(in_files(worker, CANARY, ANSWER)) == (policy in ("full", "redacted"))
    if policy == "redacted":
        assert kept.count("[EMAIL_1]") == 2


def test_a_hash_stands_for_each_message_and_is_the_same_for_the_same_text(
    worker: Worker, keep: Keep
) -> None:
    keep("hashes")
    worker.provider.will(saying(ChoiceDelta(text=ANSWER)))
    worker.ask(content=CANARY)
    worker.ask(content=[{"type": "text", "text": CANARY}])
    worker.ask(content=CANARY)
    one, parts, again = [json.loads(r.payload.request)[0] for r in worker.records if r.payload]
    assert one["role"] == "user"
    assert one["length"] == len(CANARY)
    assert one == again
    assert one["hash"] != parts["hash"]
    pseudonyms = worker.process.current.snapshot.pseudonyms
    assert one["hash"] == pseudonyms.of_text("acme", CANARY)
    assert one["hash"] != pseudonyms.of_text("globex", CANARY)
    assert one["hash"] != pseudonyms.of_user("acme", CANARY)
    key = worker.loaded.config.data.folder / "keys" / "pseudonym.key"
    assert key.stat().st_mode & 0o777 == 0o600


def test_without_its_key_no_hash_is_kept_and_the_request_is_answered(
    worker: Worker, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    from santral.errors import StoreError
    from santral.secrets.pseudonym import Pseudonyms

    def broken(*_: object) -> str:
        raise StoreError("the disk is gone")

    keep("hashes")
    monkeypatch.setattr(Pseudonyms, "of_text", broken)
    assert worker.ask(content=CANARY).status == 200
    assert worker.record.payload is None


def test_masked_before_cut_so_that_no_half_of_a_value_is_kept(worker: Worker, keep: Keep) -> None:
    keep("redacted")
    for size in range(1940, 2010, 3):
        worker.records.clear()
        worker.ask(content="x" * size + f" {MAIL} " + "y" * 5000)
        payload = worker.record.payload
        assert payload is not None
        assert "ayse" not in payload.request


def test_values_in_nested_json_names_and_files_are_masked() -> None:
    said = {
        "tool_calls": [{"function": {"arguments": json.dumps({"mail": MAIL})}}],
        MAIL: ["a", 1, None, {"deep": f"<{MAIL}>"}],
        "file": {"file_data": "data:text/plain;base64,QUJD"},
    }
    masked = redacted_json(said, Placeholders())
    assert MAIL not in json.dumps(masked)
    assert masked["[EMAIL_1]"][3] == {"deep": "<[EMAIL_1]>"}
    assert masked["file"]["file_data"] == "[file of 27 characters]"
    assert redacted_texts(("4111 1111 1111 1111",), Placeholders()) == ("[CARD_1]",)


@pytest.mark.parametrize("policy", ["full", "redacted", "hashes", "none"])
def test_stored_responses_follow_the_policy(
    worker: Worker, keep: Keep, policy: PayloadPolicy
) -> None:
    clean(worker)
    keep(policy)
    worker.provider.will(saying(ChoiceDelta(text=f"{ANSWER} {MAIL}")))
    body = {"model": "plain", "input": f"{CANARY} {MAIL}", "store": True, "user": "ayse"}
    answer = worker.post(json.dumps(body).encode(), path="/v1/responses")
    assert answer.status == 200
    assert answer.json["store"] == (policy in ("full", "redacted"))
    folder = worker.loaded.config.data.folder / "objects" / "acme" / "responses"
    kept = "".join(path.read_text() for path in folder.glob("*.json"))
    assert (CANARY in kept) == (policy in ("full", "redacted"))
    assert (MAIL in kept) == (policy == "full")
    if policy in ("full", "redacted"):
        assert msgspec.json.decode(kept)["user"] == "ayse"
        follow = {"model": "plain", "input": "More", "previous_response_id": answer.json["id"]}
        assert worker.post(json.dumps(follow).encode(), path="/v1/responses").status == 200
    if policy != "full":
        assert in_files(worker, MAIL) == []


@pytest.mark.parametrize("policy", ["redacted", "hashes", "none"])
def test_files_of_batches_are_refused_where_words_are_not_kept_as_they_are(
    worker: Worker, keep: Keep, policy: PayloadPolicy
) -> None:
    clean(worker)
    keep(policy)
    form = (
        b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        + CANARY.encode()
        + b"\r\n--b--\r\n"
    )
    multipart = [(b"content-type", b"multipart/form-data; boundary=b")]
    answer = worker.post(form, path="/v1/files", headers=multipart)
    assert (answer.status, answer.error["code"]) == (403, "payloads_not_kept")
    wish = {"input_file_id": "file-" + "a" * 32, "endpoint": "/v1/chat/completions"}
    answer = worker.post(json.dumps(wish).encode(), path="/v1/batches")
    assert (answer.status, answer.error["code"]) == (403, "payloads_not_kept")
    assert in_files(worker, CANARY) == []
    keep("full")
    assert worker.post(form, path="/v1/files", headers=multipart).status == 200


def test_what_a_tenant_does_not_say_it_has_from_its_parent_then_from_the_configuration(
    worker: Worker, keep: Keep
) -> None:
    top, team, project = TenantId("top"), TenantId("team"), TenantId("project")
    known = {
        t.id: t
        for t in inherited(
            [
                Tenant(project, "P", parent_id=team, retention_days=7),
                Tenant(team, "T", parent_id=top),
                Tenant(top, "O", payloads="hashes", retention_days=30),
                Tenant(TenantId("alone"), "A"),
            ]
        )
    }
    assert (known[project].payloads, known[project].retention_days) == ("hashes", 7)
    assert (known[team].payloads, known[team].retention_days) == ("hashes", 30)
    assert (known[TenantId("alone")].payloads, known[TenantId("alone")].retention_days) == (
        None,
        None,
    )
    keep(None)
    worker.ask(content=CANARY)
    assert worker.record.payload is not None
    assert CANARY in worker.record.payload.request


def test_other_answers_than_full_are_not_shared_between_workers(
    worker: Worker, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared: list[bool] = []
    tiers = worker.process._caches.tiers
    put = tiers.put

    def watched(key: bytes, answer: object, ttl_s: float, *, is_shared: bool = True) -> bool:
        shared.append(is_shared)
        return put(key, answer, ttl_s, is_shared=is_shared)  # type: ignore[arg-type]

    monkeypatch.setattr(tiers, "put", watched)
    for policy in ("full", "redacted", "hashes", "none"):
        keep(policy)
        worker.ask("cached", f"{CANARY} {policy}")
    assert shared == [True, False, False, False]
