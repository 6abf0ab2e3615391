"""Caches on the path: what is shared, with whom, and what is never served again."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gateway.conftest import PRICES
from tests.gateway.worker import KEY, Answer, Worker, part, saying, streamed, usage, whole

from santral.app.access import AccessRecord, access_file, write_access
from santral.cache.switch import kill, kill_file, unkill
from santral.errors import ContextWindowExceeded, ProviderFailed
from santral.providers.provider import ProviderCall, TaskAnswer, TaskCall
from santral.tenants.key import new_key
from santral.tenants.tenant import KeyId, Tenant, TenantId, VirtualKey
from santral.wire.delta import ChoiceDelta, Source
from santral.wire.usage import Usage

OTHER_TENANT = new_key(random.Random(11).randbytes)
FEW_RIGHTS = new_key(random.Random(12).randbytes)

ROUTES = """
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
[deployments.two]
provider = "stub"
model = "m-two"
retries = 0
[deployments.vectors]
provider = "stub"
model = "m-two"
retries = 0
[collections.docs]
[policies.masks]
input = [{ check = 'pii', action = 'mask' }]
output = [{ check = 'pii', action = 'mask' }]
[routes.cached]
ladder = [{ deployments = { one = 1 } }]
cache = { enabled = true }
[routes.masked]
ladder = [{ deployments = { one = 1 } }]
policy = "masks"
cache = { enabled = true }
[routes.ladder]
ladder = [{ deployments = { one = 1 } }, { deployments = { two = 1 } }]
cache = { enabled = true }
[routes.alone]
ladder = [{ deployments = { one = 1 } }]
cache = { enabled = true, collapse = false }
[routes.alike]
ladder = [{ deployments = { one = 1 } }]
[routes.alike.cache]
enabled = true
semantic = { mode = "serve", threshold = 0.6 }
[routes.alike-too]
ladder = [{ deployments = { one = 1 } }]
[routes.alike-too.cache]
enabled = true
semantic = { mode = "serve", threshold = 0.6 }
[routes.shadow]
ladder = [{ deployments = { one = 1 } }]
[routes.shadow.cache]
enabled = true
semantic = { mode = "shadow", threshold = 0.6 }
[routes.cool]
ladder = [{ deployments = { one = 1 } }]
[routes.cool.cache]
enabled = true
semantic = { mode = "serve", threshold = 0.6, max_temperature = 0.5 }
[routes.found]
ladder = [{ deployments = { one = 1 } }]
retrieval = { collection = "docs" }
[routes.found.cache]
enabled = true
semantic = { mode = "serve", threshold = 0.6 }
[routes.embedded]
ladder = [{ deployments = { one = 1 } }]
[routes.embedded.cache]
enabled = true
semantic = { mode = "serve", threshold = 0.6, embedding = "vectors" }
"""


def _record() -> AccessRecord:
    keys = [
        VirtualKey(
            id=KeyId(name), tenant_id=TenantId(tenant), name=name, prefix=key.prefix,
            digest=key.digest, routes=routes,
        )
        for name, tenant, key, routes in (
            ("k1", "acme", KEY, None),
            ("k2", "globex", OTHER_TENANT, None),
            ("k3", "acme", FEW_RIGHTS, frozenset({"cached"})),
        )
    ]  # fmt: skip
    return AccessRecord(
        revision=2,
        read_at=time.time(),
        tenants=[Tenant(TenantId("acme"), "Acme"), Tenant(TenantId("globex"), "Globex")],
        keys=keys,
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("caches")
    (folder / "prices.toml").write_text(PRICES)
    made = Worker(folder, ROUTES)
    write_access(access_file(made.loaded.config), _record())
    assert made.process._take_access()
    yield made
    made.close()


@pytest.fixture
def worker(running: Worker) -> Iterator[Worker]:
    running.reset()
    running.process._caches.shadow.counts.clear()
    yield running
    assert len(running.process._caches.flights) == 0


def cache_of(answer: Answer) -> str:
    return answer.headers["x-santral-cache"]


COST = 100 * 1500 + 20 * 6000  # nano-dollars of one answer, at the prices of the conftest


# What is never served to another.


@pytest.mark.parametrize("route", ["cached", "alike"])
def test_two_tenants_never_share_an_answer_of_any_tier(worker: Worker, route: str) -> None:
    question = "What are the opening hours?"
    assert cache_of(worker.ask(route, question)) == "miss"
    assert cache_of(worker.ask(route, question, key=OTHER_TENANT.plaintext)) == "miss"
    again = cache_of(worker.ask(route, question + " ", key=OTHER_TENANT.plaintext))
    assert again == ("miss" if route == "cached" else "semantic"), "it has its own"
    assert cache_of(worker.ask(route, question)) == "hit"


def test_two_tenants_who_ask_at_once_make_two_calls(worker: Worker) -> None:
    gate, scene = Gate(), Scene(worker)
    worker.provider.will(gated(gate, HELLO))
    scene.ask("a", stream=True)
    scene.ask("b", stream=True, key=OTHER_TENANT.plaintext)
    scene.ask("c", stream=True, key=FEW_RIGHTS.plaintext)
    scene.play([gate.open])
    assert len(worker.provider.asked) == 3, "nor keys with other rights"


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.5},
        {"messages": [{"role": "user", "content": "Hello!"}]},
        {"messages": [{"role": "user", "content": "Hello", "name": "x"}]},
        {"max_tokens": 10},
        {"tools": []},
        {"some_new_field": None},
        {"n": 1},
        {
            "messages": [
                {"role": "assistant", "content": "a", "reasoning_details": [{"data": "x"}]},
                {"role": "user", "content": "Hello"},
            ]
        },
    ],
    ids=lambda change: next(iter(change)),
)
def test_changing_any_field_misses(worker: Worker, change: dict[str, Any]) -> None:
    worker.ask("cached")
    body = {"model": "cached", "messages": [{"role": "user", "content": "Hello"}]} | change
    assert cache_of(worker.post(json.dumps(body).encode())) == "miss"
    assert cache_of(worker.post(json.dumps(body).encode())) == "hit"


def test_another_configuration_misses_and_a_policy_is_part_of_it(worker: Worker) -> None:
    worker.ask("cached")
    current = worker.process.current
    before = current.snapshot
    current.snapshot = replace(before, digest="another")
    try:
        assert cache_of(worker.ask("cached")) == "miss"
    finally:
        current.snapshot = before
    assert cache_of(worker.ask("cached")) == "hit"


def test_another_index_misses_though_its_passages_are_the_same(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.find(Source(number=1, chunk_id="c", document="d", text="Open from 9 to 5."))
    monkeypatch.setattr(worker.search, "generation", "g1")
    assert cache_of(worker.ask("found", "What are the opening hours?")) == "miss"
    assert cache_of(worker.ask("found", "What are the opening hours?")) == "hit"
    assert cache_of(worker.ask("found", "What are the opening hours ?")) == "semantic"
    monkeypatch.setattr(worker.search, "generation", "g2")
    assert cache_of(worker.ask("found", "What are the opening hours?")) == "miss"


@pytest.mark.parametrize(
    "script",
    [
        [part(ChoiceDelta(text="Half an")), ProviderFailed("It broke.")],
        [part(ChoiceDelta(text="Half an")), usage()],
        streamed(ChoiceDelta(text="No.", finish_reason="content_filter")),
        streamed(ChoiceDelta(refusal="I cannot.")),
        [ProviderFailed("It broke.")],
    ],
    ids=["failed", "cut", "filtered", "refused", "error"],
)
def test_negative_answers_are_never_kept(worker: Worker, script: Sequence[Any]) -> None:
    worker.provider.will(script, saying(ChoiceDelta(text="Yes.")))
    worker.ask("cached", stream=True)
    again = worker.ask("cached", stream=True)
    assert cache_of(again) == "miss"
    assert [choice.text for choice in again.choices] == ["Yes."]


def test_degraded_answers_are_never_kept(worker: Worker) -> None:
    worker.provider.will([ProviderFailed("no")], saying(ChoiceDelta(text="Better.")))
    assert worker.ask("ladder").headers["x-santral-deployment"] == "two"
    worker.process._fallback.health._breakers.clear()
    better = worker.ask("ladder")
    assert (cache_of(better), better.choices[0].text) == ("miss", "Better.")


# What is served again.


@pytest.mark.parametrize("first", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("second", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("route", ["cached", "masked"])
def test_a_hit_is_wire_complete_and_says_what_it_saved(
    worker: Worker, route: str, first: bool, second: bool
) -> None:
    told: dict[str, Any] = {"stream_options": {"include_usage": True}}
    made = worker.ask(route, stream=first, **(told if first else {}))
    hit = worker.ask(route, stream=second, **(told if second else {}))
    assert (cache_of(made), cache_of(hit)) == ("miss", "hit")
    assert [c.text for c in hit.choices] == [c.text for c in made.choices]
    assert hit.usage == made.usage
    assert hit.usage is not None
    kept, served = worker.records
    assert served.cache_saved_nanousd == kept.cost_nanousd == COST
    assert served.cost_nanousd == 0
    assert served.attempts == []
    assert served.cache_entry == kept.cache_entry != ""


SPOKEN = {
    "messages": (
        "/v1/messages",
        "/v1/messages",
        {
            "model": "cached",
            "max_tokens": 50,
            "messages": [{"role": "user", "content": "Hello"}],
        },
        b'"output_tokens":20',
    ),
    "responses": (
        "/v1/responses",
        "/v1/responses",
        {"model": "cached", "input": "Hello", "store": False},
        b'"output_tokens":20',
    ),
    "gemini": (
        "/v1beta/models/cached:generateContent",
        "/v1beta/models/cached:streamGenerateContent",
        {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
        b'"candidatesTokenCount":20',
    ),
}


@pytest.mark.parametrize("made_as_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", SPOKEN)
def test_a_hit_is_wire_complete_in_every_dialect(
    worker: Worker, dialect: str, made_as_stream: bool
) -> None:
    whole_path, stream_path, body, used = SPOKEN[dialect]

    def ask(is_streaming: bool) -> Answer:
        marked = {"stream": is_streaming} if dialect != "gemini" else {}
        path = stream_path if is_streaming else whole_path
        return worker.post(json.dumps(body | marked).encode(), path=path)

    made = ask(made_as_stream)
    assert (made.status, cache_of(made)) == (200, "miss"), made.body
    for is_streaming in (False, True):
        hit = ask(is_streaming)
        assert cache_of(hit) == "hit"
        assert used in hit.body, "a replay without usage is not whole"
        assert b"chat.completion" not in hit.body, "raw chat bytes are for chat clients"
        pieces = [piece for piece in (b"Hello there.", b"Hell") if piece in hit.body]
        assert pieces
        if is_streaming == made_as_stream:
            assert len(hit.body.split(b"\n\n")) == len(made.body.split(b"\n\n"))


def test_a_request_narrows_the_cache_and_never_widens_it(worker: Worker) -> None:
    worker.ask("alike", "How do I reset my PIN?")
    assert cache_of(worker.ask("alike", "How can I reset my PIN?")) == "semantic"
    for narrower in (False, {"semantic": False}, {"threshold": 0.9999}):
        answer = worker.ask("alike", "How could I reset my PIN ?", santral={"cache": narrower})
        assert cache_of(answer) == ("off" if narrower is False else "miss")
        worker.process._caches.tiers.clear()
    worker.process._caches.clear()
    lower = {"cache": {"threshold": 0.1}}
    worker.ask("alike", "Where is my card?", santral=lower)
    assert cache_of(worker.ask("alike", "Who has my card?", santral=lower)) == "miss"
    assert cache_of(worker.ask("one", santral={"cache": True})) == "off", "its route has none"


def test_an_unknown_word_in_cache_is_named(worker: Worker) -> None:
    answer = worker.ask("alike", santral={"cache": {"semantics": True}})
    assert (answer.status, answer.error["code"]) == (400, "unknown_extra")
    assert "'semantic'" in answer.error["message"]


def test_a_dead_redis_is_no_callers_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prices.toml").write_text(PRICES)
    monkeypatch.setenv("CACHE_URL", "redis://:hunter2@127.0.0.1:1/0")
    worker = Worker(tmp_path, ROUTES + '[cache]\nurl = "env:CACHE_URL"\n')
    try:
        answers = [worker.ask("cached", f"Question {number}") for number in range(5)]
        assert [(answer.status, cache_of(answer)) for answer in answers] == [(200, "miss")] * 5
        assert cache_of(worker.ask("cached", "Question 0")) == "hit", "memory is in front"
        shown = worker.process.metrics.render()
        assert "santral_cache_store_left_out 1" in shown
        assert "santral_cache_store_errors_total 3" in shown
        assert "hunter2" not in shown
    finally:
        worker.close()


def test_money_saved_and_lookups_are_counted(worker: Worker) -> None:
    def value(line: str) -> float:
        shown = worker.process.metrics.render().splitlines()
        return next((float(s.split()[-1]) for s in shown if s.startswith(line)), 0.0)

    hit = 'santral_cache_lookups_total{tier="memory",result="hit"}'
    money = 'santral_cache_saved_usd_total{outcome="hit"}'
    before = value(hit), value(money)
    worker.ask("cached")
    worker.ask("cached")
    assert value(hit) == before[0] + 1
    assert abs(value(money) - before[1] - COST / 1e9) < 1e-12
    assert value('santral_cache_entries{tier="memory"}') == 1


# Answers by meaning.


def test_a_question_that_means_the_same_gets_the_answer_given_before(worker: Worker) -> None:
    worker.provider.will(saying(ChoiceDelta(text="In the app, under Card.")))
    worker.ask("alike", "How do I reset my PIN?")
    served = worker.ask("alike", "how can I reset my pin", stream=True)
    assert cache_of(served) == "semantic"
    assert served.choices[0].text == "In the app, under Card."
    record = worker.records[-1]
    assert record.cache == "semantic"
    assert record.cache_similarity > 0.6
    assert record.cache_saved_nanousd == COST
    assert worker.ask("alike", "How do I not reset my PIN?").headers["x-santral-cache"] == "miss"
    assert worker.ask("alike", "Why do I reset my PIN?").headers["x-santral-cache"] == "miss"


MESSAGES = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi"},
    {"role": "user", "content": "How do I reset my PIN?"},
]


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, "semantic"),
        ({"user": "someone"}, "semantic"),
        ({"model": "alike-too"}, "miss"),
        ({"temperature": 0.1}, "miss"),
        ({"max_tokens": 9}, "miss"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "miss"),
        ({"response_format": {"type": "json_object"}}, "miss"),
        ({0: {"role": "system", "content": "Be rude."}}, "miss"),
        ({1: {"role": "user", "content": "Good day"}}, "miss"),
        ({2: {"role": "assistant", "content": "Ho"}}, "miss"),
        ({3: {"role": "user", "content": [{"type": "text", "text": "How can I reset my PIN?"}]}}, "semantic"),
        ({3: {"role": "user", "name": "x", "content": "How can I reset my PIN?"}}, "miss"),
        (
            {
                3: {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "How can I reset my PIN?"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
                    ],
                }
            },
            "miss",
        ),
        ({3: {"role": "user", "content": "How can I reset my PIN? " + "x" * 700}}, "miss"),
    ],
)  # fmt: skip
def test_everything_but_the_last_question_has_to_be_equal(
    worker: Worker, change: dict[Any, Any], outcome: str
) -> None:
    body: dict[str, Any] = {"model": "alike", "messages": MESSAGES}
    worker.post(json.dumps(body).encode())
    asked = {3: {"role": "user", "content": "How can I reset my PIN?"}} | change
    messages = [asked.get(number, message) for number, message in enumerate(MESSAGES)]
    fields = {name: value for name, value in change.items() if isinstance(name, str)}
    answer = worker.post(json.dumps(body | {"messages": messages} | fields).encode())
    assert cache_of(answer) == outcome


def test_a_tools_result_and_heat_keep_the_semantic_cache_off(worker: Worker) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "42"},
    ]
    for text in ("How do I reset my PIN?", "How can I reset my PIN?"):
        asked = [*messages, {"role": "user", "content": text}]
        body = json.dumps({"model": "alike", "messages": asked}).encode()
        assert cache_of(worker.post(body)) == "miss"
        assert cache_of(worker.ask("cool", text)) == "miss", "no temperature is one of 1"
        assert cache_of(worker.ask("cool", text, temperature=0.9)) == "miss"
    worker.ask("cool", "How do I reset my PIN?", temperature=0.2)
    assert cache_of(worker.ask("cool", "How can I reset my PIN?", temperature=0.2)) == "semantic"


def test_a_killed_answer_is_not_served_and_comes_back_when_allowed(worker: Worker) -> None:
    caches = worker.process._caches
    worker.ask("alike", "How do I reset my PIN?")
    entry = worker.records[-1].cache_entry
    file = kill_file(worker.loaded.config.data.folder)
    kill(file, entry)
    caches.refresh(None)
    assert cache_of(worker.ask("alike", "How can I reset my PIN?")) == "miss"
    fresh = worker.ask("alike", "How do I reset my PIN?")
    assert cache_of(fresh) == "semantic", "of the answer that was made after the kill"
    assert worker.records[-1].cache_entry != entry
    unkill(file, entry)
    caches.refresh(None)
    assert cache_of(worker.ask("alike", "How do I reset my PIN?")) == "hit"


def test_shadow_serves_nothing_and_measures_what_it_would_have_served(worker: Worker) -> None:
    answers = ["Open 9 to 5.", "Open 9 to 5.", "Open 9 to 6."]
    for text, said in zip(
        ("What are the hours?", "What are the hours ?", "What are hours?"), answers, strict=True
    ):
        worker.provider.will(saying(ChoiceDelta(text=said)))
        answer = worker.ask("shadow", text)
        assert (cache_of(answer), answer.choices[0].text) == ("miss", said)
    measured = worker.process._caches.shadow.counts["acme", "shadow"]
    assert (measured.lookups, measured.candidates, measured.disagreed) == (3, 2, 1)
    assert worker.records[-1].cache_similarity > 0.6
    assert worker.records[-1].cache_saved_nanousd == 0


def test_vectors_may_come_from_a_deployment_whose_calls_are_paid_for(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TaskCall] = []

    async def perform(call: TaskCall) -> TaskAnswer:
        asked.append(call)
        if "fail" in call.fields["input"]:
            raise ProviderFailed("no")
        return TaskAnswer(body=b'{"data":[{"embedding":[3.0,4.0]}]}', usage=Usage(input_uncached=8))

    monkeypatch.setattr(worker.provider, "perform", perform)
    worker.ask("embedded", "How do I reset my PIN?")
    served = worker.ask("embedded", "How can I reset my PIN?")
    assert cache_of(served) == "semantic"
    assert served.usage is not None
    assert served.usage["total_tokens"] == 120, "the answer's, not the vector's"
    assert [call.operation for call in asked] == ["embed", "embed"]
    assert [a.purpose for a in worker.records[-1].attempts] == ["embed"]
    assert worker.records[-1].cost_nanousd == 8 * 250
    assert worker.ask("embedded", "Why did it fail?").status == 200


# One upstream call for equal requests at once.


class ShuffledLoop(asyncio.SelectorEventLoop):
    """Runs what is ready in any order: what holds here holds under every schedule."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng

    def _run_once(self) -> None:
        mine: Any = self  # the queue of a loop is asyncio's own affair, and has no types
        ready = list(mine._ready)
        self._rng.shuffle(ready)
        mine._ready = deque(ready)
        inherited: Any = super()
        inherited._run_once()


@dataclass
class Asker:
    """One client."""

    body: bytes
    key: str
    answer: Answer = field(default_factory=Answer)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Scene:
    """Clients who ask at once, and a provider that goes on when the scene says so."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.askers: dict[str, Asker] = {}

    def ask(
        self, name: str, route: str = "cached", key: str = KEY.plaintext, **fields: Any
    ) -> None:
        body = {"model": route, "messages": [{"role": "user", "content": "Hello"}], **fields}
        self.askers[name] = Asker(json.dumps(body).encode(), key)

    def play(
        self,
        steps: Sequence[Callable[[], Awaitable[None]]],
        *,
        apart: bool = False,
        rng: random.Random | None = None,
    ) -> None:
        """Start every asker, run the steps, then let everybody come to an end.

        ``apart`` starts the askers one after the other.
        """
        loop = ShuffledLoop(rng or random.Random(1))
        try:
            loop.run_until_complete(self._play(steps, apart))
        finally:
            loop.close()
        assert self.worker.open_holds == 0
        assert self.worker.provider.open == 0
        assert len(self.worker.process._attendance) == 0
        assert len(self.worker.process._caches.flights) == 0

    async def _play(self, steps: Sequence[Callable[[], Awaitable[None]]], apart: bool) -> None:
        async with asyncio.timeout(2), asyncio.TaskGroup() as watchers:
            self.watchers = watchers
            async with asyncio.TaskGroup() as clients:
                for asker in self.askers.values():
                    asker.task = clients.create_task(self._serve(asker))
                    if apart:
                        await settle()
                await settle()
                for step in steps:
                    await step()
                    await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}, "tasks were left behind"

    async def leave(self, name: str) -> None:
        """The client closes its connection, and the gateway notices at its next look."""
        self.worker.process._attendance.look(self.watchers)
        await settle()
        self.askers[name].left.set()
        await settle()

    async def _serve(self, asker: Asker) -> None:
        messages = [{"body": asker.body}, {"wait": asker.left, "type": "http.disconnect"}]
        await self.worker.serve(messages, asker.answer, asker.key)

    def was_answered(self, name: str) -> bool:
        """Whether a client got the whole answer; else it got an error, and not a half."""
        answer = self.askers[name].answer
        assert answer.is_over
        if answer.status != 200 or b'"error"' in answer.body:
            return False
        assert self.text(name) == HELLO.text
        return True

    def text(self, name: str) -> str:
        answer = self.askers[name].answer
        assert answer.is_over, name
        assert answer.status == 200, answer.body
        return "".join(choice.text for choice in answer.choices)


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


class Gate:
    """A step of a script that waits until it is opened."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def __call__(self) -> None:
        await self.event.wait()

    async def open(self) -> None:
        self.event.set()


def gated(gate: Gate, *choices: ChoiceDelta, at: int = 1) -> Callable[[ProviderCall], Any]:
    """A script that waits at the gate: after its first delta where it streams, else before all."""

    def script(call: ProviderCall) -> Sequence[Any]:
        if not call.is_streaming:
            return [gate, whole(*choices)]
        deltas = streamed(*choices)
        return [*deltas[:at], gate, *deltas[at:]]

    return script


HELLO = ChoiceDelta(text="Hello there, all of you.")


@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])
def test_equal_requests_at_once_make_one_call_and_only_one_pays(
    worker: Worker, is_streaming: bool
) -> None:
    gate, scene = Gate(), Scene(worker)
    worker.provider.will(gated(gate, HELLO))
    told: dict[str, Any] = {"stream_options": {"include_usage": True}} if is_streaming else {}
    for name in "abcd":
        scene.ask(name, stream=is_streaming, **told)
    scene.play([gate.open])
    assert len(worker.provider.asked) == 1
    assert [scene.text(name) for name in "abcd"] == [HELLO.text] * 4
    assert {json.dumps(scene.askers[name].answer.usage) for name in "abcd"} == {
        json.dumps(scene.askers["a"].answer.usage)
    }
    assert sorted(record.cache for record in worker.records) == ["collapsed"] * 3 + ["miss"]
    for record in worker.records:
        is_leader = record.cache == "miss"
        assert len(record.attempts) == is_leader
        assert record.cost_nanousd == (COST if is_leader else 0)
        assert record.cache_saved_nanousd == (0 if is_leader else COST)


def test_a_stream_follows_live(worker: Worker) -> None:
    """A listener hears the beginning at once, while the answer is still being made."""
    gate, scene = Gate(), Scene(worker)
    worker.provider.will(gated(gate, HELLO, at=2))
    heard: list[bytes] = []

    async def look() -> None:
        heard.append(scene.askers["b"].answer.body)

    scene.ask("a", stream=True)
    scene.ask("b", stream=True)
    scene.play([look, gate.open], apart=True)
    assert b'"Hell' in heard[0]
    assert not heard[0].endswith(b"[DONE]\n\n")
    assert scene.text("b") == HELLO.text


def test_a_stream_does_not_wait_for_a_whole_answer_but_the_other_way_round(worker: Worker) -> None:
    gate, scene = Gate(), Scene(worker)
    worker.provider.will(gated(gate, HELLO))
    scene.ask("whole")
    scene.ask("stream", stream=True)
    scene.ask("whole too")
    scene.play([gate.open], apart=True)
    assert len(worker.provider.asked) == 2
    assert scene.text("whole too") == HELLO.text


@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])
def test_the_leaders_client_may_leave_and_pays_all_the_same(
    worker: Worker, is_streaming: bool
) -> None:
    gate, scene = Gate(), Scene(worker)
    worker.provider.will(gated(gate, HELLO))
    for name in "ab":
        scene.ask(name, stream=is_streaming)
    scene.play([lambda: scene.leave("a"), gate.open], apart=True)
    assert len(worker.provider.asked) == 1
    assert scene.text("b") == HELLO.text
    by_cache = {record.cache: record for record in worker.records}
    assert by_cache["miss"].error == "client_left"
    assert by_cache["miss"].cost_nanousd == COST
    assert by_cache["collapsed"].status == 200
    assert cache_of(worker.ask("cached")) == "hit", "it was made to its end"


def test_when_everybody_has_left_the_call_is_closed(worker: Worker) -> None:
    gate, scene = Gate(), Scene(worker)
    worker.provider.will(gated(gate, HELLO))
    for name in "abc":
        scene.ask(name, stream=True)
    open_calls: list[int] = []

    async def count() -> None:
        open_calls.append(worker.provider.open)

    async def leave(name: str) -> None:
        await scene.leave(name)

    scene.play(
        [lambda: leave("a"), count, lambda: leave("b"), count, lambda: leave("c"), count],
        apart=True,
    )
    assert open_calls == [1, 1, 0]
    assert {record.error for record in worker.records} == {"client_left"}
    assert cache_of(worker.ask("cached")) == "miss"


@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])
def test_a_listener_takes_over_where_the_leader_failed_unheard(
    worker: Worker, is_streaming: bool
) -> None:
    gate, scene = Gate(), Scene(worker)
    worker.provider.will([gate, ProviderFailed("It broke.")], saying(HELLO))
    for name in "abcd":
        scene.ask(name, stream=is_streaming)
    scene.play([gate.open], apart=True)
    assert scene.askers["a"].answer.status == 502
    assert [scene.text(name) for name in "bcd"] == [HELLO.text] * 3
    assert len(worker.provider.asked) == 2
    assert sorted(r.cache for r in worker.records) == ["collapsed", "collapsed", "miss", "miss"]


def test_a_failing_upstream_is_not_asked_once_for_each_listener(worker: Worker) -> None:
    gate, scene = Gate(), Scene(worker)
    worker.provider.will([gate, ProviderFailed("It broke.")])
    for name in "abcdef":
        scene.ask(name)
    scene.play([gate.open], apart=True)
    assert len(worker.provider.asked) == 2
    assert {asker.answer.status for asker in scene.askers.values()} == {502}


def test_what_the_caller_has_to_change_is_everybodys_at_once(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, scene = Gate(), Scene(worker)
    refused = ContextWindowExceeded("Too long.")
    monkeypatch.setattr(refused, "retryable", False)
    worker.provider.will([gate, refused])
    for name in "abc":
        scene.ask(name)
    scene.play([gate.open], apart=True)
    assert len(worker.provider.asked) == 1
    assert {asker.answer.status for asker in scene.askers.values()} == {400}


def test_a_stream_that_breaks_in_the_middle_breaks_for_all_who_heard_it(worker: Worker) -> None:
    gate, scene = Gate(), Scene(worker)
    broken = [*streamed(HELLO)[:2], gate, ProviderFailed("It broke.")]
    worker.provider.will(broken, saying(HELLO))
    scene.ask("a", stream=True)
    scene.ask("b", stream=True)
    scene.ask("whole")
    scene.play([gate.open], apart=True)
    for name in "ab":
        assert scene.askers[name].answer.error["code"] == "provider_failed"
    assert scene.text("whole") == HELLO.text, "who has been told nothing yet asks anew"


def test_no_request_joins_where_the_cache_is_off_for_it(worker: Worker) -> None:
    gate, scene = Gate(), Scene(worker)
    worker.provider.will(gated(gate, HELLO))
    scene.ask("a")
    scene.ask("off", santral={"cache": False})
    scene.ask("alone", "alone")
    scene.ask("alone too", "alone")
    scene.play([gate.open], apart=True)
    assert len(worker.provider.asked) == 4


@settings(max_examples=150)
@given(
    st.integers(0, 2**32),
    st.lists(st.booleans(), min_size=2, max_size=5),
    st.lists(st.sampled_from(["leave 0", "leave 1", "leave 2", "gate 0", "gate 1"]), max_size=5),
    st.sampled_from(["fine", "fails first", "fails later", "fails always"]),
)
def test_under_any_schedule_who_stays_is_answered_and_nothing_is_left_behind(
    running: Worker, seed: int, streaming: list[bool], events: list[str], fate: str
) -> None:
    running.reset()
    scene, gates = Scene(running), [Gate(), Gate()]
    good = streamed(HELLO)

    def script(call: ProviderCall) -> Sequence[Any]:
        number = len(running.provider.asked)
        fails = fate == "fails always" or (number == 1 and fate.startswith("fails"))
        said = good if call.is_streaming else [whole(HELLO)]
        if not fails:
            return [gates[0], *said[:2], gates[1], *said[2:]]
        before = said[:2] if fate == "fails later" and call.is_streaming else []
        return [gates[0], *before, gates[1], ProviderFailed("It broke.")]

    running.provider.will(script)
    for number, is_streaming in enumerate(streaming):
        scene.ask(str(number), stream=is_streaming)
    gone: set[str] = set()

    def step(event: str) -> Callable[[], Awaitable[None]]:
        what, number = event.split()
        if what == "gate":
            return gates[int(number)].open
        if int(number) < len(streaming) - 1:  # the last one stays
            gone.add(number)
            return lambda: scene.leave(number)
        return settle

    steps = [step(event) for event in events]
    scene.play([*steps, gates[0].open, gates[1].open], rng=random.Random(seed))
    assert len(running.records) == len(streaming), "every request leaves one trace"
    calls = len(running.provider.asked)
    assert sum(len(record.attempts) for record in running.records) == calls, "each is paid once"
    for name in scene.askers.keys() - gone:
        assert scene.was_answered(name) or fate != "fine"
    if fate == "fine" and not gone:
        assert calls <= 2, "one for those who stream, one for those who do not"
