"""What is asked for in a request itself: prompts, collections, schemas, bounds."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from tests.gateway.worker import Worker, part, saying, whole

from santral.gateway.stages import compose, output_gate
from santral.guardrails.checks.citations import Citations
from santral.retrieval.filter import Condition
from santral.wire.delta import ChoiceDelta, Source


def test_a_request_may_name_a_collection_of_its_own(worker: Worker) -> None:
    worker.ask(santral={"retrieval": {"collection": "docs", "top_k": 2, "filters": {"kind": "md"}}})
    worker.ask("found-plain", santral={"retrieval": {"collection": "other"}})
    worker.ask("found-plain", content="[EMAIL_1]")
    assert [
        (scope.tenant_id, scope.collection, options.top_k, options.filter)
        for scope, _, options in worker.search.asked
    ] == [
        ("acme", "docs", 2, (Condition("kind", "eq", "md"),)),
        ("acme", "other", 5, ()),
    ]


def test_a_request_without_messages_needs_a_prompt(worker: Worker) -> None:
    empty = worker.ask("prompted", messages=[])
    assert empty.status == 200
    assert [m["role"] for m in worker.provider.asked[0].fields["messages"]] == ["system"]
    assert worker.ask(messages=[]).error["param"] == "messages"


def test_a_prompts_settings_hold_where_the_request_says_nothing(worker: Worker) -> None:
    worker.ask("prompted", seed=9)
    fields = worker.provider.asked[0].fields
    assert (fields["temperature"], fields["seed"]) == (0.25, 9)


def test_what_a_stream_without_an_end_holds_back_still_leaves(worker: Worker) -> None:
    worker.provider.will([part(ChoiceDelta(text="Write to a@example.com"), role=True)])
    answer = worker.ask("out-mask", stream=True)
    assert b"[EMAIL_1]" in answer.body
    assert b"a@example.com" not in answer.body


def test_an_unusable_schema_of_the_request_is_its_own_fault(worker: Worker) -> None:
    answer = worker.ask(santral={"output_schema": {"type": 7}})
    assert (answer.status, answer.error["code"]) == (400, "invalid_json_schema")
    assert worker.ask(santral={"output_schema": None}).status == 200


def test_composed_prompts_are_kept_within_a_bound(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose, "MAX_CONSTANT", 1)
    kept = worker.process.app._desk.stages.compose._constant
    kept.clear()
    kept["another@1.0.0", "hash"] = []
    worker.ask("prompted")
    assert list(kept) == [next(key for key in kept if key[0].startswith("greeter"))]
    first = worker.provider.asked[0].fields["messages"]
    worker.ask("prompted")
    assert worker.provider.asked[1].fields["messages"] == first


def test_a_long_answer_is_kept_up_to_a_bound(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_gate, "MAX_KEPT", 3)
    worker.provider.will(saying(ChoiceDelta(text="0123456789" * 4)))
    answer = worker.ask(stream=True)
    assert answer.choices[0].text == "0123456789" * 4
    assert worker.record.payload is not None
    assert worker.record.payload.response == "012345678901"


def test_variables_that_are_no_texts_pass_the_guard(worker: Worker) -> None:
    fields = {"prompt": {"name": "greeter", "variables": {"name": 7, "topics": ["a@example.com"]}}}
    answer = worker.ask("in-mask", santral=fields)
    assert (answer.status, answer.error["code"]) == (400, "invalid_prompt_variables")
    assert b"a@example.com" not in worker.spooled[0]


def test_a_check_that_breaks_refuses_and_its_words_give_nothing_away(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Citations, looked: object) -> None:
        await asyncio.sleep(0)
        raise ValueError("a@example.com")

    monkeypatch.setattr(Citations, "__call__", broken)
    worker.find(Source(number=1, chunk_id="c", document="d", text="Text."))
    worker.provider.will([whole(ChoiceDelta(text="Fine."))])
    answer = worker.ask("found-out-citations")
    assert answer.error["code"] == "output_refused"
    assert "the check itself failed (ValueError)" in answer.error["message"]
    assert b"a@example.com" not in answer.body + worker.spooled[0]


def test_the_application_speaks_http_alone(worker: Worker) -> None:
    async def never(*_: Any) -> Any:
        raise AssertionError("nothing is said")

    with pytest.raises(Exception, match="speaks HTTP here, not websocket"):
        asyncio.run(worker.process.app({"type": "websocket"}, never, never))


DEEP = b"[" * 4000 + b"]" * 4000


@pytest.mark.parametrize("name", ["call", "google-gemini-v1", "openai-responses-v1", "x"])
@pytest.mark.parametrize("field", [b"type", b"kind", b"x", b"call"])
def test_a_forged_blob_never_becomes_a_fault_of_ours(
    worker: Worker, name: str, field: bytes
) -> None:
    payload = b'{"type":"text","kind":"text","%b":%b}' % (field, DEEP)
    blob = f"santral.{name}.{base64.urlsafe_b64encode(payload).decode()}"
    thinking = [
        {"type": "thinking", "thinking": "t", "signature": blob},
        {"type": "redacted_thinking", "data": blob},
    ]
    said = [{"role": "assistant", "content": thinking[number : number + 1]} for number in (0, 1)]
    for turn in said:
        asked = {"role": "user", "content": "x"}
        body = {"model": "plain", "max_tokens": 9, "messages": [asked, turn, asked]}
        assert worker.post(json.dumps(body).encode(), path="/v1/messages").status in (200, 400)
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": blob}
    body = {"model": "plain", "input": [item, {"role": "user", "content": "x"}]}
    assert worker.post(json.dumps(body).encode(), path="/v1/responses").status in (200, 400)


def test_a_batch_nested_too_deep_is_no_json(worker: Worker) -> None:
    answer = worker.post(b'{"x":%b}' % DEEP, path="/v1/batches")
    assert (answer.status, answer.error["code"]) == (400, "invalid_json")
