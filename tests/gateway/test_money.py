"""Limits and cost: reserved before, settled after, nothing held or billed that should not be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.gateway.worker import USAGE, Step, Worker, part, saying, usage, whole

from santral.errors import ProviderFailed, ProviderGarbled
from santral.providers.batch.deferred import Slot
from santral.providers.conversation.conversation import output_limit, read_conversation
from santral.providers.openai.request import RequestWriter
from santral.providers.registry import VENDORS
from santral.quota.limits import Limits
from santral.traces.record import AttemptRecord
from santral.wire.delta import ChoiceDelta
from santral.wire.usage import Usage

DAY = Limits(tokens_per_day=100_000)
#: Nano-dollars per token, as in the price file: input, cache read, output, reasoning.
PRICES = {"m-one": (1500, 150, 6000, 7000), "m-two": (250, 250, 1000, 1000)}
MAIL = "Write to a@example.com now"


def cost(attempt: AttemptRecord) -> int | None:
    """Price times usage, worked out anew."""
    used = attempt.usage or Usage()
    if not used.total_tokens:
        return 0
    prices = PRICES.get(attempt.model)
    if prices is None:
        return None
    classes = (used.input_uncached, used.cache_read, used.output_text, used.reasoning)
    return sum(price * tokens for price, tokens in zip(prices, classes, strict=True))


def begun(count: int = 3) -> list[Step]:
    return [part(ChoiceDelta(text=f"word{n} "), role=n == 0) for n in range(count)]


FAILURES: dict[str, tuple[dict[str, Any], list[Step]]] = {
    "input refused": ({"route": "in-refuse", "content": MAIL}, []),
    "output refused": ({"route": "out-refuse"}, [whole(ChoiceDelta(text=MAIL))]),
    "provider failed": ({"route": "plain"}, [ProviderFailed("no")]),
    "failed in the middle": ({"route": "plain", "stream": True}, [*begun(), ProviderGarbled("x")]),
    "ours": ({"route": "plain"}, [ZeroDivisionError()]),
    "unknown prompt": ({"route": "plain", "santral": {"prompt": {"name": "nobody"}}}, []),
    "bad schema": ({"route": "plain", "santral": {"output_schema": {"type": "nothing"}}}, []),
}


@pytest.mark.parametrize("name", FAILURES)
def test_every_way_to_fail_gives_back_what_was_reserved(worker: Worker, name: str) -> None:
    fields, steps = FAILURES[name]
    worker.limit(DAY)
    worker.provider.will(steps)
    answer = worker.ask(**fields)
    assert answer.status != 200 or answer.error
    used = sum(a.usage.total_tokens for a in worker.record.attempts if a.usage)
    assert worker.used() == (used, 0)


def test_what_was_used_is_settled_and_told(worker: Worker) -> None:
    worker.limit(DAY)
    first = worker.ask()
    assert worker.used() == (USAGE.total_tokens, 0)
    reserved = 100_000 - int(first.headers["x-ratelimit-remaining-tokens"])
    assert reserved >= USAGE.total_tokens
    assert worker.provider.asked[0].call.max_output_tokens == 4096, "else a limit could be passed"


def test_several_choices_reserve_several_answers(worker: Worker) -> None:
    worker.limit(Limits(tokens_per_day=450))
    assert worker.ask(max_tokens=100, n=4).status == 200, "400 and the question"
    worker.limit(Limits(tokens_per_day=400))
    refused = worker.ask(max_tokens=100, n=4)
    assert (refused.status, refused.error["code"]) == (429, "tokens_per_day_exceeded")
    assert refused.headers["x-should-retry"] == "false"
    assert len(worker.provider.asked) == 1
    assert worker.used() == (0, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": -1},
        {"max_completion_tokens": -1},
        {"max_completion_tokens": 10, "max_tokens": 90_000},
        {"max_tokens": 10, "n_predict": 90_000},
        {"max_tokens": 10, "n_predict": -1},
        {"max_tokens": 10, "max_new_tokens": 90_000},
        {"max_tokens": 10, "num_predict": 1e9},
    ],
    ids=str,
)
def test_no_spelling_of_a_bound_passes_a_limit(worker: Worker, fields: dict[str, Any]) -> None:
    worker.limit(DAY)
    assert worker.ask(**fields).status == 200
    call = worker.provider.asked[0].call
    assert call.max_output_tokens == 4096
    for kind in ("openai", "vllm", "ollama-openai", "openai-compatible"):
        sent = json.loads(RequestWriter(VENDORS[kind]).write(call))
        bounds = [sent[name] for name in sent if name.startswith(("max_", "n_p", "num_"))]
        assert bounds, kind
        assert all(0 <= bound <= 4096 for bound in bounds), (kind, sent)
    assert output_limit(read_conversation(call.fields), call.max_output_tokens) in (10, 4096)


def test_a_provider_that_counts_nonsense_neither_pays_back_nor_stops_the_ledger(
    worker: Worker,
) -> None:
    worker.limit(DAY)
    lie = Usage(input_uncached=-500, output_text=10**30, reasoning=7)
    worker.provider.will([whole(ChoiceDelta(text="Hi"), used=lie)])
    assert worker.ask().status == 200
    attempt = worker.record.attempts[0]
    assert attempt.usage is not None
    assert attempt.usage.is_estimated
    assert (attempt.usage.input_uncached, attempt.usage.reasoning) == (0, 7)
    assert attempt.cost_nanousd == cost(attempt)
    assert 0 < (attempt.cost_nanousd or 0) < 2**63


def test_a_call_that_a_batch_collects_uses_nothing_yet(worker: Worker) -> None:
    worker.limit(DAY)
    slot = Slot()
    worker.provider.will([slot.collect("https://api.example.com", b"{}")])
    worker.ask()
    assert worker.used() == (0, 0)
    assert worker.records == []


def test_answers_that_are_made_and_thrown_away_are_reserved_too(worker: Worker) -> None:
    worker.limit(Limits(tokens_per_day=1500))
    assert worker.ask(max_tokens=100, best_of=20).status == 429
    body = {"model": "plain", "prompt": ["a", "b"], "max_tokens": 100, "best_of": 10, "n": -1}
    answer = worker.post(json.dumps(body).encode(), path="/v1/completions")
    assert (answer.status, worker.provider.asked) == (429, [])


def test_more_than_the_route_allows_is_capped_and_said(worker: Worker) -> None:
    capped = worker.ask("capped", max_tokens=80)
    assert capped.headers["x-santral-loss"] == "max_tokens=50"
    assert worker.ask("capped", max_tokens=50).headers.get("x-santral-loss") is None
    assert worker.ask("capped").headers.get("x-santral-loss") is None, "nothing was asked for"
    assert [a.call.max_output_tokens for a in worker.provider.asked] == [50, None, 50]


def test_a_strict_route_refuses_instead(worker: Worker) -> None:
    worker.limit(DAY)
    answer = worker.ask("strict", max_tokens=80)
    assert (answer.status, answer.error["param"]) == (400, "max_tokens")
    assert worker.provider.asked == []
    assert worker.used() == (0, 0)
    assert worker.ask("strict", max_tokens=50).status == 200


def test_a_rate_refuses_and_counts_only_what_it_let_in(worker: Worker) -> None:
    worker.limit(Limits(requests_per_second=0.001, burst=2))
    statuses = [worker.ask().status for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    assert worker.records[-1].error == "requests_per_second_exceeded"
    assert [span.error for span in worker.records[-1].spans if span.name == "quota"] == [
        "requests_per_second_exceeded"
    ]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("route", "first"),
    [
        ("ladder", [ProviderFailed("no")]),
        ("ladder", [*begun(), ProviderFailed("cut")]),
        ("ladder", [usage(), *begun(), ProviderFailed("cut")]),
        ("masked-ladder", [part(ChoiceDelta(text="held"), role=True), ProviderFailed("cut")]),
        ("schema", [whole(ChoiceDelta(text="no JSON"))]),
        ("plain", [*begun(), part(ChoiceDelta(finish_reason="stop"))]),
        ("plain", [whole(ChoiceDelta(text="Hi"), used=Usage(cache_read=9, reasoning=3))]),
        ("unpriced", [ProviderFailed("no")]),
    ],
)
def test_a_requests_cost_is_the_sum_of_price_times_usage(
    worker: Worker, route: str, first: list[Step], stream: bool
) -> None:
    worker.limit(DAY)
    last = saying(ChoiceDelta(text='{"age": 1}'))
    worker.provider.will(first, last)
    for model in ("m-two", "m-free"):
        worker.provider.will(last, model=model)
    answer = worker.ask(route, stream=stream)
    record = worker.record
    assert [a.cost_nanousd for a in record.attempts] == [cost(a) for a in record.attempts]
    costs = [cost(attempt) for attempt in record.attempts]
    total = None if None in costs else sum(c for c in costs if c is not None)
    assert record.cost_nanousd == total
    assert (total is None) == (route == "unpriced"), "unknown is never zero"
    used = [a.usage for a in record.attempts if a.usage is not None]
    assert worker.used()[0] == sum(u.total_tokens for u in used)
    if not stream:
        told = answer.headers.get("x-santral-cost-usd")
        assert told == (None if total is None else f"{total / 1e9:.9f}")


def test_an_answer_without_usage_is_estimated_and_marked(worker: Worker) -> None:
    worker.provider.will([*begun(30), part(ChoiceDelta(finish_reason="stop"))])
    worker.ask(stream=True)
    used = worker.record.usage
    assert used is not None
    assert used.is_estimated
    assert used.output_text > 30
    assert used.input_uncached > 10


def test_the_price_that_is_unknown_is_counted_apart(worker: Worker) -> None:
    counter = worker.process.metrics["santral_cost_unknown_total"].child("unpriced")
    before = counter.value
    worker.provider.will([ProviderFailed("no")])
    worker.ask("unpriced")
    assert worker.record.cost_nanousd is None
    assert counter.value == before + 1
