"""Limits on the request path: money, models, users, tags and routes; waiting, warning, falling back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.gateway.dialects_in import DIALECTS, HELLO, ask
from tests.gateway.test_attendance import Clock, Scene, begun, settle
from tests.gateway.test_money import cost
from tests.gateway.worker import NARROW_KEY, Answer, Step, Worker, part, saying, usage, whole
from tests.quota.rules import limit

from santral.errors import ProviderFailed, ProviderGarbled
from santral.quota.rule import NANO_PER_USD, Rule
from santral.wire.delta import ChoiceDelta, Source
from santral.wire.usage import Usage

#: Nano-dollars of the answer that the stub gives unless told else: 100 tokens in, 20 out.
ONE, TWO = 100 * 1500 + 20 * 6000, 100 * 250 + 20 * 1000
BODY = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}


def budget(nanousd: int, **more: Any) -> Rule:
    return limit("usd", "month", nanousd, id="budget", **more)


def talking(count: int = 3) -> list[Step]:
    return [part(ChoiceDelta(text=f"word{n} "), role=n == 0) for n in range(count)]


def worst(worker: Worker, route: str = "plain", **fields: Any) -> int:
    """What a request reserves, found by asking under a budget that never ends."""
    much = 10**15
    worker.limit_by(budget(much))
    reserved: list[int] = []

    def script(call: Any) -> list[Step]:
        reserved.append(worker.used_under(budget(much)))
        return [whole(ChoiceDelta(text="Hi"))]

    worker.provider.will(script)
    worker.ask(route, max_tokens=100, **fields)
    worker.provider.scripts.clear()
    worker.provider.asked.clear()
    return reserved[0]


def test_a_budget_admits_what_surely_fits_and_not_a_nano_dollar_more(worker: Worker) -> None:
    need = worst(worker)
    worker.limit_by(budget(need - 1))
    refused = worker.ask(max_tokens=100)
    assert (refused.status, refused.error["code"]) == (429, "budget_exceeded")
    assert "this request alone needs up to $" in refused.error["message"]
    assert worker.provider.asked == []
    worker.limit_by(budget(need))
    answer = worker.ask(max_tokens=100)
    assert answer.status == 200
    assert worker.used_under(budget(need)) == ONE


def test_the_dearest_deployment_that_may_answer_is_reserved(worker: Worker) -> None:
    tokens = (worst(worker, "ladder") - 100 * 6000) / 1500
    assert tokens == int(tokens) > 10, "one is dearer than two"
    worker.limit_by(budget(10**12))
    worker.provider.will([ProviderFailed("no")])
    assert worker.ask("ladder", max_tokens=100).status == 200
    assert worker.used_under(budget(0)) == TWO


def test_a_budget_needs_a_price_for_everyone_who_may_answer(worker: Worker) -> None:
    worker.limit_by(budget(10**15))
    refused = worker.ask("unpriced")
    assert (refused.status, refused.error["code"]) == (403, "price_unknown")
    assert "m-free" in refused.error["message"]
    assert "price file" in refused.error["message"]
    assert worker.provider.asked == []
    worker.limit()
    assert worker.ask("unpriced").status == 200, "without a budget nobody needs a price"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("route", "first"),
    [
        ("plain", [whole(ChoiceDelta(text="Hi"), used=Usage(cache_read=9, reasoning=3))]),
        ("ladder", [ProviderFailed("no")]),
        ("ladder", [usage(), *talking(), ProviderFailed("cut")]),
        ("masked-ladder", [part(ChoiceDelta(text="held"), role=True), ProviderFailed("cut")]),
        ("schema", [whole(ChoiceDelta(text="no JSON"))]),
        ("plain", [*talking(), ProviderGarbled("x")]),
    ],
)
def test_a_budget_is_settled_to_the_nano_dollar(
    worker: Worker, route: str, first: list[Step], stream: bool
) -> None:
    worker.limit_by(budget(10**12))
    last = saying(ChoiceDelta(text='{"age": 1}'))
    worker.provider.will(first, last)
    worker.provider.will(last, model="m-two")
    worker.ask(route, stream=stream)
    attempts = worker.record.attempts
    assert worker.used_under(budget(0)) == sum(cost(attempt) or 0 for attempt in attempts) > 0


def test_an_answer_from_the_cache_costs_nothing(worker: Worker) -> None:
    worker.limit_by(budget(10**12))
    worker.ask("cached")
    assert worker.ask("cached").headers["x-santral-cache"] == "hit"
    assert worker.used_under(budget(0)) == ONE
    assert len(worker.provider.asked) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_client_that_leaves_pays_what_was_made_and_frees_its_place(
    worker: Worker, stream: bool
) -> None:
    at_once = limit("concurrent", "", 1)
    worker.limit_by(budget(10**12), at_once)
    clock = Clock()

    async def main() -> None:
        scene = Scene(worker, clock)
        worker.provider.will(begun(scene))

        async def leave(request: asyncio.Task[None]) -> None:
            assert worker.used_under(at_once) == 1
            refused = Answer()
            body = json.dumps({"model": "plain", **BODY}).encode()
            await worker.serve([{"body": body}], refused)
            assert (refused.status, refused.error["code"]) == (429, "concurrent_requests_exceeded")
            assert refused.headers["retry-after"] == "1"
            scene.left.set()
            clock.now += 60
            scene.look()
            await settle()
            clock.now += 60
            scene.look()
            await settle()
            assert request.done()

        await scene.play(json.dumps({"model": "plain", "stream": stream, **BODY}).encode(), leave)

    asyncio.run(main())
    assert worker.used_under(at_once) == 0
    made = next(r for r in worker.records if r.attempts)
    assert made.error == "client_left"
    assert worker.used_under(budget(0)) == sum(cost(a) or 0 for a in made.attempts) > 0


def test_a_model_that_is_used_up_is_passed_over(worker: Worker) -> None:
    model = limit("requests", "day", 2, binds="model:m-one")
    worker.limit_by(model)
    deployments = [worker.ask("ladder").headers["x-santral-deployment"] for _ in range(3)]
    assert deployments == ["one", "one", "two"]
    assert worker.used_under(model) == 2


def test_the_limit_of_a_model_is_told_when_nobody_else_is_left(worker: Worker) -> None:
    worker.limit_by(limit("tokens", "day", 10, binds="model:one"))
    refused = worker.ask("plain", max_tokens=100)
    assert (refused.status, refused.error["code"]) == (429, "tokens_per_day_exceeded")
    assert "The model 'one' may use 10 tokens" in refused.error["message"]
    assert worker.provider.asked == []
    assert worker.record.attempts == []


def test_a_models_budget_is_settled_by_what_its_own_attempts_cost(worker: Worker) -> None:
    one = limit("usd", "day", 10**12, binds="model:m-one")
    two = limit("usd", "day", 10**12, binds="model:two")
    worker.limit_by(one, two)
    worker.provider.will([usage(), *talking(), ProviderFailed("cut")])
    worker.ask("ladder", max_tokens=100)
    attempts = worker.record.attempts
    assert [a.deployment for a in attempts] == ["one", "two"]
    assert [worker.used_under(one), worker.used_under(two)] == [ONE, TWO]


def test_a_budget_that_is_used_up_falls_to_a_cheaper_deployment(worker: Worker) -> None:
    need = worst(worker)
    rule = budget(need + 1, fall_to="two")
    worker.limit_by(rule)
    answers = [worker.ask(max_tokens=100) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [a.headers["x-santral-deployment"] for a in answers] == ["one", "two", "two"]
    assert worker.used_under(rule) == ONE, "what the other one costs is not taken of it"


def test_a_fall_to_a_deployment_that_is_not_there_is_an_error_that_says_so(worker: Worker) -> None:
    worker.limit_by(limit("requests", "day", 1, fall_to="nobody"))
    assert worker.ask().status == 200
    answer = worker.ask()
    assert answer.status == 503
    assert answer.error["code"]
    assert worker.open_holds == 0


@pytest.mark.parametrize(
    ("binds", "one", "other"),
    [
        ("user:*", {"user": "ann"}, {"user": "ben"}),
        ("user:ann", {"user": "ann"}, {"user": "ben"}),
        ("tag:team=*", {"santral": {"tags": {"team": "a"}}}, {"santral": {"tags": {"team": "b"}}}),
        ("tag:team=a", {"santral": {"tags": {"team": "a"}}}, {"santral": {"tags": {"team": "b"}}}),
        ("route:*", {"route": "plain"}, {"route": "ladder"}),
        ("route:plain", {"route": "plain"}, {"route": "ladder"}),
        ("key:k1", {}, {"key": "other"}),
    ],
)
def test_limits_bind_whom_they_name(
    worker: Worker, binds: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    if "key" in other:
        other = {"key": NARROW_KEY.plaintext}
    worker.limit_by(limit("requests", "day", 1, binds=binds))
    assert worker.ask(**one).status == 200
    assert worker.ask(**one).error["code"] == "requests_per_day_exceeded"
    assert worker.ask(**other).status == 200


def test_callers_are_warned_and_told_what_is_left(worker: Worker) -> None:
    need = worst(worker)
    worker.limit_by(budget(2 * need, warn_at=(0.3, 0.8)))
    headers = worker.ask(max_tokens=100, stream=True).headers
    assert headers["x-santral-limit-warning"].startswith("tenant acme: 5"), "half of it is held"
    worker.limit_by(budget(2 * need, warn_at=(0.1, 0.8)))
    headers = worker.ask(max_tokens=100).headers
    assert headers["x-santral-limit-warning"] == f"tenant acme: {ONE / 2 / need:.0%} of usd/month"
    left = float(headers["x-santral-budget-remaining-usd"])
    assert round(left * NANO_PER_USD) == 2 * need - ONE, "a whole answer tells what is settled"
    worker.limit_by(budget(100 * need, warn_at=(0.8,)))
    assert "x-santral-limit-warning" not in worker.ask(max_tokens=100).headers


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_tells_what_is_left(worker: Worker, dialect: str, stream: bool) -> None:
    worker.limit_by(
        limit("requests", "day", 10),
        limit("tokens", "day", 100_000),
        budget(10**12, warn_at=(1e-7,)),
    )
    headers = ask(worker, dialect, "plain", stream=stream, fields=HELLO[dialect]).headers
    assert headers["x-santral-budget-remaining-usd"].startswith("999.")
    assert headers["x-santral-limit-warning"].startswith("tenant acme: ")
    names = "anthropic-ratelimit-requests-" if dialect == "messages" else "x-ratelimit-"
    remaining = f"{names}remaining" if dialect == "messages" else f"{names}remaining-requests"
    assert headers[remaining] == "9"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_refuses_a_spent_budget_with_its_code(worker: Worker, dialect: str) -> None:
    worker.limit_by(budget(1))
    answer = ask(worker, dialect, "plain", stream=False, fields=HELLO[dialect])
    assert answer.status == 429
    assert answer.headers["x-should-retry"] == "false"
    assert int(answer.headers["retry-after"]) > 0
    assert b"may use $0.000000001 per UTC month" in answer.body
    if dialect != "gemini":
        assert b"budget_exceeded" in answer.body


def test_a_request_waits_for_room_where_its_limit_lets_it(worker: Worker) -> None:
    worker.limit_by(limit("concurrent", "", 1, wait_s=5.0))
    order: list[str] = []

    async def main() -> list[Answer]:
        may_end = asyncio.Event()

        def answering(call: Any) -> list[Step]:
            order.append(json.loads(bytes(call.fields["user"])))
            return [may_end.wait, whole(ChoiceDelta(text="Hi"))]

        worker.provider.will(answering)
        answers = [Answer() for _ in range(4)]

        async def one(number: int, name: str, **more: Any) -> None:
            body = {"model": "plain", "user": name, **BODY, **more}
            await worker.serve([{"body": json.dumps(body).encode()}], answers[number])

        async with asyncio.TaskGroup() as group:
            group.create_task(one(0, "first"))
            await settle()
            group.create_task(one(1, "batch", santral={"priority": "batch"}))
            await settle()
            group.create_task(one(2, "person"))
            group.create_task(one(3, "late", santral={"priority": "interactive"}))
            await settle()
            assert order == ["first"]
            may_end.set()
        return answers

    answers = asyncio.run(main())
    assert [answer.status for answer in answers] == [200] * 4
    assert order == ["first", "person", "late", "batch"]
    assert worker.open_holds == 0


def test_who_waits_and_leaves_is_not_in_the_line_any_more(worker: Worker) -> None:
    worker.limit_by(limit("concurrent", "", 1, wait_s=60.0))
    line = worker.process.app._desk.stages.quota._line
    clock = Clock()

    async def main() -> None:
        first = Scene(worker, clock)
        worker.provider.will(begun(first))
        body = json.dumps({"model": "plain", **BODY}).encode()

        async def then(request: asyncio.Task[None]) -> None:
            waiting = asyncio.ensure_future(worker.serve([{"body": body}], Answer()))
            await settle()
            assert line.waiting == 1
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert (line.waiting, line._lines) == (0, {})
            first.going_on.set()
            await settle()
            assert request.done()

        await first.play(body, then)

    asyncio.run(main())
    assert worker.open_holds == 0


def test_an_attempt_after_one_that_used_something_must_fit_too(worker: Worker) -> None:
    """The first answer breaks its schema: a second one is only asked for where there is room."""
    last = saying(ChoiceDelta(text='{"age": 1}'))
    need = worst(worker, "schema")
    worker.limit_by(budget(need + 1))
    worker.provider.will([whole(ChoiceDelta(text="no JSON"))], last)
    refused = worker.ask("schema", max_tokens=100)
    assert (refused.status, refused.error["code"]) == (429, "budget_exceeded")
    assert len(worker.provider.asked) == 1
    assert worker.used_under(budget(0)) == ONE

    worker.limit_by(budget(need + ONE + 100_000))
    worker.provider.will([whole(ChoiceDelta(text="no JSON"))], last)
    assert worker.ask("schema", max_tokens=100).status == 200
    assert worker.used_under(budget(0)) == 2 * ONE


def test_no_chain_of_attempts_passes_a_limit(worker: Worker) -> None:
    """Each attempt uses as much as was reserved for one answer; the third one has no room."""
    tokens = limit("tokens", "day", 0)
    needed: list[int] = []

    def script(call: Any) -> list[Step]:
        needed.append(worker.used_under(tokens))
        used = usage(Usage(input_uncached=20, output_text=100))
        return [used, *talking(), ProviderFailed("cut")]

    worker.provider.will(script)
    worker.provider.will(script, model="m-two")
    worker.limit_by(limit("tokens", "day", 10_000))
    worker.ask("ladder", max_tokens=100)
    assert needed[1] == needed[0] + 120
    worker.provider.asked.clear()
    worker.limit_by(limit("tokens", "day", needed[1] - 1))
    refused = worker.ask("ladder", max_tokens=100)
    assert (refused.status, refused.error["code"]) == (429, "tokens_per_day_exceeded")
    assert len(worker.provider.asked) == 1
    assert worker.used_under(tokens) == 120


def test_a_prompt_and_passages_are_reserved_too(worker: Worker) -> None:
    tokens = limit("tokens", "day", 10_000)
    reserved: list[int] = []

    def script(call: Any) -> list[Step]:
        reserved.append(worker.used_under(tokens))
        return [whole(ChoiceDelta(text="Hi"))]

    worker.provider.will(script)
    long = Source(number=1, chunk_id="c", document="guide", text="word " * 2000)
    for found in ((), (long,)):
        worker.find(*found)
        worker.limit_by(tokens)
        assert worker.ask("found-plain", max_tokens=100).status == 200
    assert reserved[1] - reserved[0] > 2000
    worker.limit_by(limit("tokens", "day", reserved[1] - 1))
    refused = worker.ask("found-plain", max_tokens=100)
    assert (refused.status, refused.error["code"]) == (429, "tokens_per_day_exceeded")
    assert len(worker.provider.asked) == 2


def test_attempts_that_used_nothing_need_no_more_room(worker: Worker) -> None:
    need = worst(worker, "ladder")
    worker.limit_by(budget(need))
    worker.provider.will([ProviderFailed("no")])
    assert worker.ask("ladder", max_tokens=100).headers["x-santral-deployment"] == "two"


def test_what_a_dry_run_would_refuse_is_answered(worker: Worker) -> None:
    rule = budget(1, is_dry_run=True)
    worker.limit_by(rule)
    answer = worker.ask()
    assert answer.status == 200
    assert "x-santral-budget-remaining-usd" not in answer.headers
    assert worker.used_under(rule) == ONE


def test_an_answer_whose_price_is_unknown_has_cost_what_was_reserved(worker: Worker) -> None:
    need = worst(worker)
    falls = limit("usd", "day", need - 1, fall_to="free")
    worker.limit_by(falls, budget(10**12))
    assert worker.ask(max_tokens=100).headers["x-santral-deployment"] == "free"
    assert worker.records[-1].attempts[0].cost_nanousd is None
    assert worker.used_under(budget(0)) == need
