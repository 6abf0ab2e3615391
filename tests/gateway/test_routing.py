"""Routing as a caller and an operator see it: who answered, why, and what was only mirrored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.worker import USAGE, Answer, Worker, hello, part, whole

from santral.config.load import load
from santral.errors import ProviderFailed
from santral.quota.ledger.entry import SHADOW, ledger_rows
from santral.quota.limits import Limits
from santral.routing.compare import compare, pairs_of
from santral.routing.latency import PeakEwma
from santral.routing.shadow import SHADOW_OF
from santral.traces.record import TraceRecord
from santral.wire.delta import ChoiceDelta

CONFIGURATION = """
[data]
folder = "data"
[telemetry]
max_payload_bytes = 2000
[residency]
acme = ["eu", "us"]
[providers.stub]
kind = "openai-compatible"
base_url = "http://127.0.0.1:1/v1"
[deployments.one]
provider = "stub"
model = "m-one"
region = "eu-west-1"
capabilities = { tools = false, logprobs = false }
[deployments.two]
provider = "stub"
model = "m-two"
region = "us-east-1"
capabilities = { logprobs = false }
[deployments.far]
provider = "stub"
model = "m-far"
region = "ap-1"
[policies.mask]
input = [{ check = "pii", action = "mask" }]
output = [{ check = "pii", action = "mask" }]

[routes.able]
ladder = [{ deployments = { one = 1 } }, { deployments = { two = 1 } }]
[routes.no-tools]
ladder = [{ deployments = { one = 1 } }]
[routes.strict]
ladder = [{ deployments = { one = 1 } }]
strict = true
[routes.eu]
ladder = [{ deployments = { two = 1, far = 1, one = 1 } }]
allowed_regions = ["eu"]
[routes.tiers]
ladder = [
  { name = "small", deployments = { one = 1 } },
  { name = "large", deployments = { two = 1 } },
]
complexity = { tiers = ["small", "large"] }
[routes.trial]
ladder = [{ deployments = { one = 1 }, canary = { two = 100 } }]
[routes.mirrored]
ladder = [{ deployments = { one = 1 } }]
policy = "mask"
shadow = { deployments = ["two", "far"], share = 1.0, max_waiting = 1, concurrency = 1 }
[routes.beside]
ladder = [{ deployments = { one = 1 } }]
shadow = { deployments = ["two"], share = 1.0, when = "beside" }
[routes.opted-out]
ladder = [{ deployments = { one = 1 } }]
shadow = { deployments = ["two"], share = 1.0, not_tenants = ["acme"] }
[routes.fast]
ladder = [{ deployments = { one = 1, two = 1 } }]
strategy = "lowest_latency"
"""
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    made = Worker(tmp_path_factory.mktemp("routing"), CONFIGURATION)
    yield made
    made.close()


@pytest.fixture
def worker(running: Worker) -> Worker:
    running.reset()
    return running


def asked(worker: Worker) -> list[str]:
    return [ask.model for ask in worker.provider.asked]


def test_a_request_with_tools_goes_to_who_has_them_and_the_trace_says_why(worker: Worker) -> None:
    answer = worker.ask("able", tools=TOOLS)
    assert (answer.status, answer.headers["x-santral-deployment"]) == (200, "two")
    assert asked(worker) == ["m-two"]
    decision = worker.record.decision
    assert decision["needs"] == "tools"
    assert decision["skipped"] == "one cannot do tools"


def test_nobody_who_can_is_a_400_that_names_what_is_missing_and_asks_nobody(worker: Worker) -> None:
    answer = worker.ask("no-tools", tools=TOOLS)
    assert answer.status == 400
    assert answer.error["code"] == "no_capable_deployment"
    assert "one cannot do tools" in answer.error["message"]
    assert asked(worker) == []
    assert worker.record.error == "no_capable_deployment"


def test_what_nobody_has_and_nobody_needs_is_dropped_and_said(worker: Worker) -> None:
    answer = worker.ask("able", logprobs=True)
    assert answer.status == 200
    assert answer.headers["x-santral-loss"] == "logprobs"
    assert "logprobs" not in worker.provider.asked[0].fields
    assert worker.record.losses == ["logprobs"]


def test_a_strict_route_refuses_instead_of_dropping(worker: Worker) -> None:
    answer = worker.ask("strict", logprobs=True)
    assert (answer.status, answer.error["code"]) == (400, "parameter_not_supported")
    assert asked(worker) == []


def test_regions_of_the_route_and_of_the_tenant_hold_for_every_attempt(worker: Worker) -> None:
    for model in ("m-one", "m-two", "m-far"):
        worker.provider.will([ProviderFailed("no")], model=model)
    assert worker.ask("eu").status == 502
    assert set(asked(worker)) == {"m-one"}
    refused = worker.ask("far")
    assert (refused.status, refused.error["code"]) == (400, "no_capable_deployment")
    assert "far runs in ap-1, allowed: eu, us" in refused.error["message"]


@pytest.mark.parametrize(
    ("text", "more", "tier", "model"),
    [
        ("Thanks!", {}, "small", "m-one"),
        ("Implement a B-tree in Rust with tests and prove its complexity.", {}, "large", "m-two"),
        ("Thanks!", {"reasoning_effort": "high"}, "large", "m-two"),
    ],
)
def test_how_hard_it_is_picks_the_rung_and_the_trace_has_the_features(
    worker: Worker, text: str, more: dict[str, Any], tier: str, model: str
) -> None:
    answer = worker.ask("tiers", text, **more)
    assert asked(worker) == [model]
    decision = worker.record.decision
    assert decision["tier"] == tier
    assert 0 <= float(decision["score"]) <= 1
    assert decision["feature.length"] > 0  # type: ignore[operator]
    assert ("rules" in decision) == bool(more)
    assert not worker.record.is_degraded, "the harder tier is a first choice, not a last resort"
    assert answer.status == 200


def test_an_answer_of_a_canary_is_marked(worker: Worker) -> None:
    assert worker.ask("trial").headers["x-santral-deployment"] == "two"
    assert worker.record.decision["canary"] == "two"


def test_latency_is_learnt_from_answers_and_steers(worker: Worker) -> None:
    loads = {name: d.load for name, d in worker.process.current.snapshot.deployments.items()}
    for known in loads.values():
        known.whole = PeakEwma()  # as after a start
    for _ in range(2):
        worker.ask("fast")  # each of the two is tried once
    assert sorted(asked(worker)) == ["m-one", "m-two"]
    loads["one"].whole.observe(worker.process._fallback.clock(), 30.0)
    worker.provider.asked.clear()
    worker.ask("fast")
    assert asked(worker) == ["m-two"]
    assert [load.in_flight for load in loads.values()] == [0] * len(loads)


def mirror(worker: Worker, *requests: dict[str, Any]) -> list[Answer]:
    """Send requests one after the other while copies are asked; return when all are done."""
    answers = [Answer() for _ in requests]

    async def main() -> None:
        queue = worker.process._shadows
        runner = asyncio.create_task(queue.run())
        for request, answer in zip(requests, answers, strict=True):
            await worker.serve([{"body": json.dumps(request).encode()}], answer)
        while len(queue):
            await asyncio.sleep(0)
        runner.cancel()
        with suppress(asyncio.CancelledError):
            await runner

    asyncio.run(asyncio.wait_for(main(), 5))
    return answers


def request(route: str, text: str = "Hello", **fields: Any) -> dict[str, Any]:
    return {"model": route, "messages": [{"role": "user", "content": text}], **fields}


def shadows(worker: Worker) -> list[TraceRecord]:
    return [record for record in worker.records if SHADOW_OF in record.tags]


@pytest.mark.parametrize("stream", [False, True])
def test_a_copy_of_the_guarded_request_is_asked_and_costs_the_tenant_nothing(
    worker: Worker, *, stream: bool
) -> None:
    worker.limit(Limits(tokens_per_day=100_000))
    worker.provider.will([whole(ChoiceDelta(text="Call +90 532 123 45 67"))], model="m-two")
    [answer] = mirror(worker, request("mirrored", "I am ayse@example.com", stream=stream))
    assert answer.status == 200
    assert asked(worker) == ["m-one", "m-two"], "far is out of the tenant's regions"
    assert "ayse@example.com" not in worker.provider.asked[1].text
    real = next(record for record in worker.records if SHADOW_OF not in record.tags)
    [copy] = shadows(worker)
    assert copy.tags[SHADOW_OF] == real.trace_id != copy.trace_id
    assert real.decision["shadow"] == "two"
    assert (copy.route, copy.cost_nanousd, copy.usage) == ("mirrored#shadow", 0, None)
    assert [attempt.purpose for attempt in copy.attempts] == ["shadow"]
    assert copy.attempts[0].usage == USAGE
    assert [attempt.deployment for attempt in real.attempts] == ["one"]
    assert copy.payload is not None
    assert "532" not in copy.payload.response, "output checks hold for copies too"
    assert worker.used() == (120, 0), "the real answer's tokens alone"
    assert [row.kind for row in ledger_rows(copy)] == [SHADOW]


def test_a_copy_is_what_was_asked_first_also_when_the_answer_had_to_be_corrected(
    worker: Worker,
) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    good = whole(ChoiceDelta(text='{"age": 3}'))
    worker.provider.will([whole(ChoiceDelta(text="three"))], [good])
    worker.provider.will([good], model="m-two")
    [answer] = mirror(worker, request("mirrored", santral={"output_schema": schema}))
    assert answer.status == 200
    counts = [(ask.model, len(ask.fields["messages"])) for ask in worker.provider.asked]
    assert counts == [("m-one", 1), ("m-one", 3), ("m-two", 1)]


def test_a_copy_that_fails_is_recorded_and_hurts_nobody(worker: Worker) -> None:
    worker.provider.will([ProviderFailed("no")], model="m-two")
    [answer] = mirror(worker, request("mirrored"))
    assert answer.status == 200
    assert [(copy.error, copy.status) for copy in shadows(worker)] == [("provider_failed", 502)]
    assert worker.process._fallback.health.state("two") == "closed"


def test_copies_beside_the_answer_do_not_wait_for_it(worker: Worker) -> None:
    order: list[str] = []

    async def wait() -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        order.append("real")

    async def copied() -> None:
        order.append("copy")

    worker.provider.will([wait, part(ChoiceDelta(text="a", finish_reason="stop"))])
    worker.provider.will([copied, whole(ChoiceDelta(text="b"))], model="m-two")
    mirror(worker, request("beside", stream=True))
    assert order == ["copy", "real"]


@pytest.mark.parametrize(
    "sent",
    [request("opted-out"), request("beside", santral={"shadow": False}), request("able")],
)
def test_tenants_and_requests_may_stay_out(worker: Worker, sent: dict[str, Any]) -> None:
    mirror(worker, sent)
    assert not shadows(worker)
    assert asked(worker) == ["m-one"]


def test_an_answer_that_failed_is_not_mirrored_after_it(worker: Worker) -> None:
    worker.provider.will([ProviderFailed("no")])
    [answer] = mirror(worker, request("mirrored"))
    assert answer.status == 502
    assert not shadows(worker)


def test_copies_are_paired_with_what_they_copied(worker: Worker) -> None:
    worker.provider.will(hello, model="m-two")
    mirror(worker, request("mirrored"), request("beside"))
    by_id = {record.trace_id: record for record in worker.records}
    pairs = pairs_of(shadows(worker), by_id.get)  # type: ignore[arg-type]
    [found] = compare(pairs)
    assert (found.deployment, found.pairs, found.failed, found.likeness) == ("two", 2, 0, 1.0)


def test_a_reload_keeps_what_was_learnt_of_unchanged_deployments_and_drops_the_rest(
    tmp_path: Path,
) -> None:
    worker = Worker(tmp_path, CONFIGURATION)
    try:
        worker.ask("fast")
        worker.ask("fast")
        before = {n: d.load for n, d in worker.process.current.snapshot.deployments.items()}
        learnt = before["one"].latency_s(0.0, is_streaming=False)
        assert learnt is not None
        text = CONFIGURATION.replace('model = "m-two"', 'model = "m-new"').replace(
            'strategy = "lowest_latency"', 'strategy = "least_busy"'
        )
        (tmp_path / "santral.toml").write_text(text)
        loaded = load(tmp_path / "santral.toml", {})
        worker.process._use(loaded, worker.process._compile(loaded))
        after = {n: d.load for n, d in worker.process.current.snapshot.deployments.items()}
        assert after["one"] is before["one"]
        assert after["two"] is not before["two"]
        assert after["two"].latency_s(0.0, is_streaming=False) is None
    finally:
        worker.close()
