from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.gateway.worker import KEY, NARROW_KEY, Answer, Worker

from santral.config.feedback import FeedbackConfig
from santral.feedback.token import MARK, Grant
from santral.tenants.tenant import PayloadPolicy

TRACE = "0123456789abcdef" * 2
PAGE = "https://app.example.com"


def give(worker: Worker, key: str = KEY.plaintext, headers: Any = (), **fields: Any) -> Answer:
    body = json.dumps(fields).encode()
    return worker.post(body, path="/v1/feedback", key=key, headers=headers)


def mint(worker: Worker, **fields: Any) -> str:
    answer = worker.post(json.dumps(fields).encode(), path="/v1/feedback/tokens")
    assert answer.status == 200, answer.body
    return answer.json["token"]


@pytest.fixture
def settings(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(payloads: PayloadPolicy = "full", **changes: Any) -> None:
        snapshot = worker.process.current.snapshot
        telemetry = snapshot.config.telemetry.model_copy(update={"payloads": payloads})
        update = {"feedback": FeedbackConfig(**changes), "telemetry": telemetry}
        config = snapshot.config.model_copy(update=update)
        monkeypatch.setattr(worker.process.current, "snapshot", replace(snapshot, config=config))

    return put


def test_a_score_by_trace_id_is_spooled_before_the_answer(worker: Worker) -> None:
    answer = give(worker, trace_id=TRACE, name="thumbs", value=1, user="u7", tags=["late"])
    assert answer.status == 200
    (score,) = worker.scores
    assert (score.tenant_id, score.trace_id, score.name) == ("acme", TRACE, "thumbs")
    assert (score.value, score.rater, score.label, score.source) == (1.0, "u7", "late", "user")
    assert answer.json == {
        "id": score.id, "object": "feedback", "name": "thumbs", "trace_id": TRACE, "status": "kept",
    }  # fmt: skip
    assert worker.records == [], "feedback is no request of a model"


@pytest.mark.parametrize("header", ["x-request-id", "x-santral-trace-id"])
def test_the_ids_in_the_headers_of_an_answer_are_taken(worker: Worker, header: str) -> None:
    answer = worker.ask()
    field = "trace_id" if "trace" in header else "response_id"
    assert (
        give(worker, **{field: answer.headers[header]}, name="thumbs", label="down").status == 200
    )
    record, score = worker.record, worker.scores[0]
    assert score.trace_id in (record.trace_id, f"request:{record.request_id}")
    assert score.value == 0.0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/messages", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}),
        ("/v1/responses", {"input": "Hi"}),
        ("/v1/completions", {"prompt": "Hi"}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_id_in_the_body_of_an_answer_leads_to_its_trace(
    worker: Worker, path: str, body: dict[str, Any], stream: bool
) -> None:
    sent = json.dumps({"model": "plain", "stream": stream, **body}).encode()
    said = worker.post(sent, path=path).body.decode()
    first = next(part for part in said.split("data: ") if '"id"' in part)
    event = json.loads(first.strip().splitlines()[0] if stream else said)
    event = event.get("response") or event.get("message") or event
    assert give(worker, response_id=event["id"], name="thumbs", value=True).status == 200
    record, score = worker.record, worker.scores[0]
    assert score.trace_id in (f"request:{record.request_id}", f"response:{record.response_id}")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "thumbs", "value": 2}, "value 1 or 0"),
        ({"name": "rating", "value": 9}, "from 1 to 5"),
        ({"name": "rating"}, "from 1 to 5"),
        ({"name": "comment"}, "words"),
        ({"name": "correction", "comment": "x"}, "correction"),
        ({"name": "THUMBS", "value": 1}, "name is 'THUMBS'"),
        ({"name": "own"}, "says nothing"),
        ({"name": "own", "value": 1e300}, "number between"),
        ({"name": "thumbs", "vlaue": 1}, "Did you mean 'value'"),
        ({"name": "thumbs", "value": "yes"}, "value"),
        ({"name": "comment", "comment": "x" * 9000}, "at most 8000"),
        ({"name": "thumbs", "value": 1, "response_id": "x"}, "one of the two"),
        ({"name": "thumbs", "value": 1, "trace_id": "zz"}, "32 hexadecimal"),
    ],
)
def test_what_cannot_be_a_score_is_refused_with_the_remedy(
    worker: Worker, fields: dict[str, Any], told: str
) -> None:
    answer = give(worker, **{"trace_id": TRACE, **fields})
    assert answer.status == 400
    assert told in answer.error["message"]
    assert worker.scores == []


def test_the_same_idempotency_key_is_the_same_score(worker: Worker) -> None:
    headers = [(b"idempotency-key", b"k-1")]
    for _ in range(2):
        assert give(worker, headers=headers, trace_id=TRACE, name="thumbs", value=1).status == 200
    assert give(worker, trace_id=TRACE, name="thumbs", value=1).status == 200
    first, second, third = worker.scores
    assert first.id == second.id != third.id


def test_an_idempotency_key_reaches_one_score_of_one_answer_alone(worker: Worker) -> None:
    """A token for one answer cannot swallow what is said of another."""
    headers = [(b"idempotency-key", b"1")]
    token = mint(worker, trace_id=TRACE)
    give(worker, key=token, headers=headers, trace_id=TRACE, name="thumbs", value=1)
    for fields in (
        {"trace_id": "a" * 32, "name": "thumbs", "value": 0},
        {"trace_id": TRACE, "name": "rating", "value": 2},
        {"trace_id": TRACE, "name": "thumbs", "value": None},
        {"trace_id": TRACE, "name": "thumbs", "value": 0, "user": "u2"},
    ):
        give(worker, headers=headers, **fields)
    assert len({score.id for score in worker.scores}) == 5


def test_a_score_can_be_taken_back(worker: Worker) -> None:
    give(worker, trace_id=TRACE, name="thumbs", value=None)
    query = f"trace_id={TRACE}&name=thumbs".encode()
    answer = worker.post(b"", path="/v1/feedback", method="DELETE", query=query)
    assert answer.json["status"] == "retracted"
    assert all(score.is_retracted and score.value is None for score in worker.scores)


@pytest.mark.parametrize("payloads", ["none", "hashes"])
def test_words_are_dropped_where_the_tenant_keeps_none(
    worker: Worker, settings: Any, payloads: PayloadPolicy
) -> None:
    settings(payloads)
    answer = give(worker, trace_id=TRACE, name="thumbs", value=0, comment="Bad for Ayşe")
    assert "dropped" in answer.json["note"]
    assert worker.scores[0].comment == ""


@pytest.mark.parametrize("payloads", ["none", "hashes", "redacted"])
def test_a_label_is_kept_under_every_policy_without_what_would_be_masked(
    worker: Worker, settings: Any, payloads: PayloadPolicy
) -> None:
    settings(payloads)
    give(worker, trace_id=TRACE, name="reason", tags=["late", "call ayse@example.com"])
    label = worker.scores[0].label
    assert label.startswith("late, call ")
    assert "ayse@example.com" not in label


def test_words_are_masked_where_policies_mask(worker: Worker) -> None:
    give(worker, trace_id=TRACE, name="comment", comment="write to ayse@example.com")
    assert "ayse@example.com" not in worker.scores[0].comment


def test_a_full_spool_is_a_503_and_nothing_is_said_to_be_kept(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.process._spool, "append", lambda record: False)
    answer = give(worker, trace_id=TRACE, name="thumbs", value=1)
    assert (answer.status, answer.error["code"]) == (503, "feedback_not_kept")


def test_too_much_about_one_answer_is_a_429(worker: Worker, settings: Any) -> None:
    settings(max_per_trace_per_minute=2)
    trace = "f" * 32
    assert [give(worker, trace_id=trace, name="thumbs", value=1).status for _ in range(3)] == [
        200, 200, 429,
    ]  # fmt: skip
    assert give(worker, trace_id="e" * 32, name="thumbs", value=1).status == 200


def test_a_token_scores_one_answer_without_a_key(worker: Worker) -> None:
    token = mint(worker, trace_id=TRACE, names=["thumbs"], user="u1")
    assert give(worker, key=token, trace_id=TRACE, name="thumbs", value=1).status == 200
    assert worker.scores[0].rater == "u1"
    other = give(worker, key=token, trace_id="a" * 32, name="thumbs", value=1)
    assert (other.status, other.error["code"]) == (403, "feedback_token_foreign")
    assert give(worker, key=token, trace_id=TRACE, name="rating", value=1).status == 403
    assert worker.ask(key=token).status == 401, "a token opens nothing else"
    assert worker.post(b"{}", path="/v1/feedback/tokens", key=token).status == 401


def test_tokens_that_were_changed_or_are_over_are_refused(worker: Worker) -> None:
    token = mint(worker, trace_id=TRACE)
    body, signature = token.removeprefix(MARK).split(".")
    for changed in (
        f"{MARK}{body}.{signature[:-2]}xx",
        f"{MARK}A{body[1:]}.{signature}",
        f"{MARK}x",
    ):
        answer = give(worker, key=changed, trace_id=TRACE, name="thumbs", value=1)
        assert (answer.status, answer.error["code"]) == (401, "feedback_token_invalid")
    key = worker.process.app.feedback._key
    over = key.sign(Grant("acme", "k1", TRACE, 1_000_000_000))
    answer = give(worker, key=over, trace_id=TRACE, name="thumbs", value=1)
    assert (answer.status, answer.error["code"]) == (401, "feedback_token_expired")
    gone = key.sign(Grant("acme", "k-revoked", TRACE, 2**40))
    assert give(worker, key=gone, trace_id=TRACE, name="thumbs", value=1).status == 401


def test_pages_of_allowed_origins_alone_may_read_the_answer(worker: Worker, settings: Any) -> None:
    settings(allowed_origins=[PAGE])
    token = mint(worker, trace_id=TRACE)
    for origin, is_allowed in ((PAGE, True), ("https://evil.example", False)):
        headers = [(b"origin", origin.encode())]
        for key in (token, MARK + "broken"):
            answer = give(worker, key=key, headers=headers, trace_id=TRACE, name="thumbs", value=1)
            assert (answer.headers.get("access-control-allow-origin") == origin) is is_allowed
        asked = worker.post(b"", path="/v1/feedback", method="OPTIONS", key="", headers=headers)
        assert asked.status == 204
        assert ("access-control-allow-methods" in asked.headers) is is_allowed


def test_no_key_is_no_feedback(worker: Worker) -> None:
    assert give(worker, key="", trace_id=TRACE, name="thumbs", value=1).status == 401
    assert (
        give(worker, key=NARROW_KEY.plaintext, trace_id=TRACE, name="thumbs", value=1).status == 200
    )


def test_a_key_cannot_fill_the_spool_by_naming_many_answers(worker: Worker, settings: Any) -> None:
    settings(max_per_key_per_minute=3)
    narrow = NARROW_KEY.plaintext  # last in this file: it has nothing left
    answers = [
        give(worker, key=narrow, trace_id=f"{n:032x}", name="thumbs", value=1) for n in range(4)
    ]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert "feedback.max_per_key_per_minute" in answers[3].error["message"]
