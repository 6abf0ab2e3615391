"""Answers that wait for a reviewer, in every dialect, whole and streamed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.conftest import PRICES
from tests.gateway.worker import KEY, NARROW_KEY, Answer, Worker, saying

from santral.config.load import load
from santral.errors import ConfigError, Conflict
from santral.gateway.held.answer import Decision
from santral.gateway.held.cabinet import HeldCabinet
from santral.guardrails.policy import compile_policy
from santral.wire.delta import ChoiceDelta, ToolCallDelta

CONFIGURATION = """
[data]
folder = "data"
[prices]
file = "prices.toml"
[providers.stub]
kind = "openai-compatible"
base_url = "http://127.0.0.1:1/v1"
[deployments.one]
provider = "stub"
model = "m-one"
retries = 0
[policies.look]
output = [{ check = "pii", action = "hold" }]
[policies.mask-and-look]
output = [{ check = "pii", action = "mask" }, { check = "length", max_tokens = 5, action = "hold" }]
[routes.held]
ladder = [{ deployments = { one = 1 } }]
hold = true
cache = { enabled = true }
[routes.patient]
ladder = [{ deployments = { one = 1 } }]
hold = true
hold_wait_s = 5
cache = { enabled = true }
[routes.looked]
ladder = [{ deployments = { one = 1 } }]
policy = "look"
[routes.masked]
ladder = [{ deployments = { one = 1 } }]
policy = "mask-and-look"
"""
PATHS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
    "messages": (
        "/v1/messages",
        {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9},
    ),
    "responses": ("/v1/responses", {"input": "Hi"}),
    "completions": ("/v1/completions", {"prompt": "Hi"}),
    "gemini": ("/v1beta/models/held:generateContent", {"contents": [{"parts": [{"text": "Hi"}]}]}),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("held")
    (folder / "prices.toml").write_text(PRICES)
    made = Worker(folder, CONFIGURATION)
    yield made
    made.close()


@pytest.fixture
def worker(running: Worker) -> Worker:
    running.reset()
    return running


@pytest.fixture
def cabinet(running: Worker) -> HeldCabinet:
    return HeldCabinet(running.process._loaded.config.data.folder / "objects", time.time)


def ask(worker: Worker, dialect: str, *, stream: bool = False) -> Answer:
    path, body = PATHS[dialect]
    if dialect == "gemini":
        path = path.replace(":generate", ":streamGenerate") if stream else path
        query = b"alt=sse" if stream else b""
        return worker.post(json.dumps(body).encode(), path=path, query=query)
    sent = {"model": "held", "stream": stream, **body}
    return worker.post(json.dumps(sent).encode(), path=path)


def look(worker: Worker, held_id: str, key: str = KEY.plaintext) -> Answer:
    return worker.post(b"", path=f"/v1/held/{held_id}", method="GET", key=key)


def decide(cabinet: HeldCabinet, held_id: str, **fields: Any) -> None:
    async def main() -> None:
        held = await cabinet.get("acme", held_id, 3600)
        assert held is not None
        decision = {"status": "released", "by": "user:usr_1", "at": time.time(), **fields}
        await cabinet.decide(held, Decision(**decision))

    asyncio.run(main())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", PATHS)
def test_a_held_answer_says_where_to_ask_and_is_given_in_its_dialect_when_released(
    worker: Worker, cabinet: HeldCabinet, dialect: str, stream: bool
) -> None:
    answer = ask(worker, dialect, stream=stream)
    assert answer.status == 423
    assert b"Hello there" not in answer.body
    assert b"held_for_review" in answer.body.lower()
    held_id = answer.headers["x-santral-held-id"]
    assert answer.headers["x-should-retry"] == "false"
    assert (worker.record.status, worker.record.error) == (423, "held_for_review")
    assert worker.record.cost_nanousd, "the answer was made and is paid for"
    waiting = look(worker, held_id).json
    assert (waiting["status"], waiting["trace_id"]) == ("waiting", worker.record.trace_id)
    assert "response" not in waiting
    decide(cabinet, held_id)
    released = look(worker, held_id).json
    assert released["status"] == "released"
    assert "Hello there." in json.dumps(released["response"])
    expected = {
        "chat": ("object", "chat.completion"),
        "messages": ("type", "message"),
        "responses": ("object", "response"),
        "completions": ("object", "text_completion"),
        "gemini": ("modelVersion", "m-one"),
    }[dialect]
    assert released["response"][expected[0]] == expected[1]
    assert look(worker, held_id).json == released, "asked again it is the same"


def test_a_held_answer_is_never_served_to_the_next(worker: Worker) -> None:
    first, second = ask(worker, "chat"), ask(worker, "chat")
    assert (first.status, second.status) == (423, 423)
    assert len(worker.provider.asked) == 2
    assert first.headers["x-santral-held-id"] != second.headers["x-santral-held-id"]


def test_a_check_holds_what_it_finds_alone(worker: Worker, cabinet: HeldCabinet) -> None:
    assert worker.ask("looked").status == 200
    worker.provider.will(saying(ChoiceDelta(text="Write to ayse@example.com.")))
    answer = worker.ask("looked", stream=True)
    assert answer.status == 423
    held = asyncio.run(cabinet.get("acme", answer.headers["x-santral-held-id"], 3600))
    assert held is not None
    assert (held.check, held.reason) == ("pii", "1 EMAIL")
    assert worker.records[-1].verdicts[-1].action == "hold"


def test_what_a_check_finds_in_the_arguments_of_a_tool_is_held_too(worker: Worker) -> None:
    call = ToolCallDelta(0, "c1", "mail", '{"to": "ayse@example.com"}')
    worker.provider.will(saying(ChoiceDelta(tool_calls=(call,), finish_reason="tool_calls")))
    assert worker.ask("looked").status == 423


def test_what_is_masked_is_held_masked(worker: Worker, cabinet: HeldCabinet) -> None:
    said = "Write to ayse@example.com about the very long matter of the day before yesterday."
    worker.provider.will(saying(ChoiceDelta(text=said)))
    held_id = worker.ask("masked").headers["x-santral-held-id"]
    kept = (cabinet._root / "acme" / "held" / f"{held_id}.json").read_text()
    assert "ayse@example.com" not in kept
    decide(cabinet, held_id)
    text = look(worker, held_id).json["response"]["choices"][0]["message"]["content"]
    assert text.startswith("Write to ")
    assert "ayse@example.com" not in text


def test_a_reviewers_words_take_the_answers_place(worker: Worker, cabinet: HeldCabinet) -> None:
    held_id = ask(worker, "chat").headers["x-santral-held-id"]
    decide(cabinet, held_id, status="replaced", replacement="Please call us.")
    said = look(worker, held_id).json
    assert said["status"] == "replaced"
    assert said["response"]["choices"][0]["message"]["content"] == "Please call us."


def test_a_refused_answer_stays_here(worker: Worker, cabinet: HeldCabinet) -> None:
    held_id = ask(worker, "chat").headers["x-santral-held-id"]
    decide(cabinet, held_id, status="refused", reason="It is wrong.")
    said = look(worker, held_id).json
    assert (said["status"], said["reason"]) == ("refused", "It is wrong.")
    assert "response" not in said


def test_the_first_decision_stands(worker: Worker, cabinet: HeldCabinet) -> None:
    held_id = ask(worker, "chat").headers["x-santral-held-id"]
    decide(cabinet, held_id)
    with pytest.raises(Conflict):
        decide(cabinet, held_id, status="refused")
    assert look(worker, held_id).json["status"] == "released"


@pytest.mark.parametrize(("on_expiry", "status"), [("refuse", "expired"), ("release", "released")])
def test_what_nobody_looked_at_in_time_becomes_what_the_settings_say(
    worker: Worker, cabinet: HeldCabinet, on_expiry: str, status: str
) -> None:
    held_id = ask(worker, "chat").headers["x-santral-held-id"]
    path = cabinet._root / "acme" / "held" / f"{held_id}.json"
    kept = json.loads(path.read_bytes())
    path.write_text(json.dumps({**kept, "expires_at": time.time() - 1, "on_expiry": on_expiry}))
    said = look(worker, held_id).json
    assert said["status"] == status
    assert ("response" in said) is (status == "released")


@pytest.mark.parametrize(
    "held_id", ["held_" + "0" * 32, "held_../../x", "held_", "..%2f", "resp_1"]
)
def test_what_is_not_there_is_a_404(worker: Worker, held_id: str) -> None:
    assert look(worker, held_id).status == 404


@pytest.mark.parametrize("changes", [{"groups": ["board"]}, {"route": "held", "narrow": True}])
def test_who_may_not_see_what_it_is_made_of_is_told_that_there_is_none(
    worker: Worker, cabinet: HeldCabinet, changes: dict[str, Any]
) -> None:
    """Documents of a group, or a route that the key may not use."""
    key = NARROW_KEY.plaintext if changes.pop("narrow", False) else KEY.plaintext
    held_id = ask(worker, "chat").headers["x-santral-held-id"]
    path = cabinet._root / "acme" / "held" / f"{held_id}.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}))
    decide(cabinet, held_id)
    assert look(worker, held_id, key).status == 404


def reviewed(worker: Worker, cabinet: HeldCabinet, replacement: str) -> Answer:
    """Ask a route that waits, and put ``replacement`` in the answer's place meanwhile."""

    async def main() -> Answer:
        answer = Answer()
        body = {"model": "patient", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        known = {held.id for held in await cabinet.list("acme")}
        serving = asyncio.create_task(worker.serve([{"body": json.dumps(body).encode()}], answer))
        waiting = []
        for _ in range(100):
            waiting = [held for held in await cabinet.list("acme") if held.id not in known]
            if waiting:
                break
            await asyncio.sleep(0.02)
        assert waiting, "nobody gets it before a reviewer looked"
        assert answer.status == 0
        decision = Decision(
            status="replaced", by="user:usr_1", at=time.time(), replacement=replacement
        )
        await cabinet.decide(waiting[0], decision)
        await asyncio.wait_for(serving, 5)
        return answer

    return asyncio.run(main())


def test_a_request_waits_for_a_reviewer_as_long_as_its_route_says(
    worker: Worker, cabinet: HeldCabinet
) -> None:
    """And is then an ordinary answer."""
    answer = reviewed(worker, cabinet, "Good.")
    assert answer.status == 200
    assert answer.choices[0].text == "Good."
    assert worker.record.status == 200


def test_what_a_reviewer_let_go_is_no_answer_to_the_next_who_asks(
    worker: Worker, cabinet: HeldCabinet
) -> None:
    for said in ("Good, Ada.", "Good, Veli."):
        assert reviewed(worker, cabinet, said).choices[0].text == said
    assert [record.cache for record in worker.records] == ["miss", "miss"]


def test_where_no_words_are_kept_nothing_can_be_held(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, cabinet: HeldCabinet
) -> None:
    monkeypatch.setattr("santral.gateway.held.hold.payload_policy", lambda ctx: "none")
    before = len(asyncio.run(cabinet.list("acme")))
    answer = ask(worker, "chat")
    assert (answer.status, answer.error["code"]) == (502, "output_refused")
    assert len(asyncio.run(cabinet.list("acme"))) == before


def test_hold_is_for_answers_alone(tmp_path: Path) -> None:
    (tmp_path / "santral.toml").write_text(
        "[policies.p]\ninput = [{ check = 'pii', action = 'hold' }]\n"
    )
    config = load(tmp_path / "santral.toml", {}).config
    with pytest.raises(ConfigError, match="cannot hold here"):
        compile_policy("p", config.policies["p"])
