"""What a caller sees when deployments fail: retries, detours, hedges, a last resort, early ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest
from tests.gateway.conftest import PRICES
from tests.gateway.worker import (
    USAGE,
    Answer,
    Step,
    Worker,
    hello,
    part,
    saying,
    streamed,
    usage,
    whole,
)

from santral.errors import (
    ContentPolicyRefused,
    ContextWindowExceeded,
    ModelNotFound,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderRefusedRequest,
    ProviderTimeout,
    ProviderUnreachable,
)
from santral.gateway.context import HEDGE_LOST
from santral.providers.provider import ProviderCall
from santral.wire.delta import ChoiceDelta, Delta, ReasoningDetail
from santral.wire.usage import Usage

HEDGE_S = 0.02
SORRY = "We will be back soon."
CONFIGURATION = f"""
[data]
folder = "data"
[prices]
file = "prices.toml"
[providers.stub]
kind = "openai-compatible"
base_url = "http://127.0.0.1:1/v1"
[policies.numbers]
output = [{{ check = "pii", action = "mask" }}]
[deployments.one]
provider = "stub"
model = "m-one"
backoff_s = 0.001
[deployments.two]
provider = "stub"
model = "m-two"
retries = 0
[deployments.long]
provider = "stub"
model = "m-long"
retries = 0
[deployments.no-stop]
provider = "stub"
model = "m-no-stop"
emulate_stop = true

[routes.plain]
ladder = [{{ deployments = {{ one = 1 }} }}]
[routes.once]
ladder = [{{ deployments = {{ one = 1 }} }}]
retries = 0
[routes.ladder]
ladder = [{{ deployments = {{ one = 1 }} }}, {{ deployments = {{ two = 1 }} }}]
[routes.cached]
ladder = [{{ deployments = {{ one = 1 }} }}, {{ deployments = {{ two = 1 }} }}]
cache = {{ enabled = true }}
[routes.detours]
ladder = [{{ deployments = {{ one = 1 }} }}, {{ deployments = {{ two = 1 }}, name = "small" }}]
retries = 0
on_context_window = ["long"]
on_content_policy = []
on_timeout = ["small"]
[routes.brief]
ladder = [{{ deployments = {{ one = 1 }} }}, {{ deployments = {{ two = 1 }} }}]
deadline_s = 0.5
[routes.hedged]
ladder = [{{ deployments = {{ one = 1 }} }}, {{ deployments = {{ two = 1 }} }}]
hedge = {{ after = {HEDGE_S}, max_extra_share = 1.0 }}
[routes.sorry]
ladder = [{{ deployments = {{ one = 1 }} }}]
retries = 0
cache = {{ enabled = true }}
[routes.sorry.last_resort]
message = "{SORRY}"
[routes.polite]
ladder = [{{ deployments = {{ one = 1 }} }}]
retries = 0
[routes.polite.last_resort]
message = {{ en = "Sorry.", tr = "Özür dileriz." }}
[routes.sorry-json]
ladder = [{{ deployments = {{ one = 1 }} }}]
retries = 0
last_resort = {{ message = '{{"age": 0}}' }}
[routes.local]
ladder = [{{ deployments = {{ one = 1 }} }}]
retries = 0
last_resort = {{ deployment = "extractive" }}
[routes.stops]
ladder = [{{ deployments = {{ no-stop = 1 }} }}]
[routes.strict]
ladder = [{{ deployments = {{ one = 1 }} }}]
strict = true
[routes.json]
ladder = [{{ deployments = {{ one = 1 }} }}]
early_end = true
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("failing")
    (folder / "prices.toml").write_text(PRICES)
    made = Worker(folder, CONFIGURATION)
    yield made
    made.close()


@pytest.fixture
def worker(running: Worker) -> Worker:
    running.reset()
    return running


both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def made(worker: Worker) -> list[tuple[str, str, str]]:
    """The attempts of the one request: deployment, purpose, error."""
    return [(a.deployment, a.purpose, a.error) for a in worker.record.attempts]


def text_of(answer: Answer) -> str:
    return answer.choices[0].text


@both_ways
def test_a_server_error_is_retried_and_both_attempts_are_kept(worker: Worker, stream: bool) -> None:
    worker.provider.will([ProviderFailed("no", upstream_status=500)], hello)
    answer = worker.ask("plain", stream=stream)
    assert (answer.status, text_of(answer)) == (200, "Hello there.")
    assert made(worker) == [("one", "", "provider_failed"), ("one", "retry", "")]
    assert [a.number for a in worker.record.attempts] == [1, 2]
    assert worker.record.attempts[0].upstream_status == 500


@both_ways
def test_a_fallback_keeps_its_origin_and_the_requested_model(worker: Worker, stream: bool) -> None:
    worker.provider.will([ProviderUnreachable("no")])
    answer = worker.ask("ladder", stream=stream)
    assert answer.headers["x-santral-deployment"] == "two"
    assert made(worker) == [
        ("one", "", "provider_unreachable"),
        ("one", "retry", "provider_unreachable"),
        ("two", "fallback", ""),
    ]
    assert (worker.record.requested_model, worker.record.deployment) == ("ladder", "two")


@both_ways
def test_the_last_rung_of_several_is_marked_as_degraded_and_never_cached(
    worker: Worker, stream: bool
) -> None:
    worker.provider.will([ModelNotFound("no")], hello)
    degraded = worker.ask("cached", stream=stream)
    assert degraded.headers["x-santral-degraded"] == "true"
    assert worker.record.is_degraded
    again = worker.ask("cached", stream=stream)
    assert "x-santral-degraded" not in again.headers
    assert again.headers["x-santral-cache"] == "miss"
    assert worker.ask("cached", stream=stream).headers["x-santral-cache"] == "hit"


@pytest.mark.parametrize(
    ("error", "asked", "status"),
    [
        (ContextWindowExceeded("long"), ["one", "long"], 200),
        (ProviderTimeout("slow", phase="first_delta"), ["one", "two"], 200),
        (ProviderBusy("busy"), ["one", "two"], 200),
        (ContentPolicyRefused("no"), ["one"], 400),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ProviderError) else None,
)
def test_a_route_says_where_each_class_of_error_leads(
    worker: Worker, error: ProviderError, asked: list[str], status: int
) -> None:
    worker.provider.will([error])
    answer = worker.ask("detours")
    assert answer.status == status
    assert [attempt.deployment for attempt in worker.record.attempts] == asked


def test_a_deadline_shortens_the_clocks_of_every_attempt(worker: Worker) -> None:
    async def slow() -> None:
        await asyncio.sleep(0.03)

    worker.provider.will([slow, ProviderFailed("no")])
    assert worker.ask("brief").status == 200
    left = [asked.call.timeouts.total_s for asked in worker.provider.asked]
    assert len(left) == 3
    assert left[0] <= 0.5
    assert left[1] <= left[0] - 0.03
    assert left[2] <= left[1] - 0.03


#: Openings without content, as the dialects out make them.
PINGS: dict[str, list[Delta]] = {
    "role": [part(ChoiceDelta(), role=True)],
    "usage at the start": [Delta(usage=Usage(input_uncached=9))],
    "a head without choices": [Delta(id="msg_1", model="m")],
    "empty deltas": [Delta(choices=(ChoiceDelta(),)) for _ in range(5)],
    "details of reasoning alone": [
        Delta(choices=(ChoiceDelta(details=(ReasoningDetail(type="encrypted", data="x"),)),))
    ],
}


@both_ways
@pytest.mark.parametrize("opening", PINGS)
def test_a_failure_after_an_opening_without_content_is_replaced_unseen(
    worker: Worker, opening: str, stream: bool
) -> None:
    worker.provider.will([*PINGS[opening], ModelNotFound("x")])
    answer = worker.ask("ladder", stream=stream)
    assert answer.headers["x-santral-deployment"] == "two"
    assert text_of(answer) == "Hello there."


@pytest.mark.parametrize(
    "content",
    [ChoiceDelta(text="H"), ChoiceDelta(reasoning="H"), ChoiceDelta(refusal="H")],
    ids=["text", "reasoning", "refusal"],
)
def test_nothing_is_tried_again_after_content(worker: Worker, content: ChoiceDelta) -> None:
    worker.provider.will([part(content, role=True), ProviderFailed("x")])
    answer = worker.ask("ladder", stream=True)
    assert answer.error["code"] == "provider_failed"
    assert made(worker) == [("one", "", "provider_failed")]


async def silence() -> None:
    await asyncio.sleep(30)


def after(seconds: float, *steps: Step) -> list[Step]:
    async def wait() -> None:
        await asyncio.sleep(seconds)

    return [wait, *steps]


@both_ways
def test_a_hedge_answers_in_place_of_who_is_silent_and_both_are_billed(
    worker: Worker, stream: bool
) -> None:
    worker.provider.will([part(ChoiceDelta(), role=True), silence])
    answer = worker.ask("hedged", stream=stream, stream_options={"include_usage": True})
    assert text_of(answer) == "Hello there."
    assert answer.headers["x-santral-deployment"] == "two"
    assert made(worker) == [("one", "", HEDGE_LOST), ("two", "hedge", "")]
    lost, won = worker.record.attempts
    assert lost.usage is not None
    assert lost.usage.is_estimated
    assert lost.usage.input_tokens > 0
    assert lost.usage.output_tokens == 0
    assert lost.cost_nanousd is not None
    assert lost.cost_nanousd == lost.usage.input_tokens * 1500
    assert won.cost_nanousd == 100 * 250 + 20 * 1000
    assert worker.record.cost_nanousd == lost.cost_nanousd + won.cost_nanousd
    assert answer.usage is not None
    assert answer.usage["prompt_tokens"] == USAGE.input_tokens, "the answer's own, not the race's"


@both_ways
def test_a_hedge_that_is_not_quicker_is_closed_and_leaves_no_trace_in_the_answer(
    worker: Worker, stream: bool
) -> None:
    worker.provider.will(
        after(2 * HEDGE_S, *(streamed if stream else _whole)(ChoiceDelta(text="First.")))
    )
    worker.provider.will([silence], model="m-two")
    answer = worker.ask("hedged", stream=stream)
    assert text_of(answer) == "First."
    assert answer.headers["x-santral-deployment"] == "one"
    assert made(worker) == [("two", "hedge", HEDGE_LOST), ("one", "", "")]
    assert not worker.record.is_degraded


def _whole(choice: ChoiceDelta) -> list[Step]:
    return [whole(choice)]


def test_a_quick_answer_is_never_hedged(worker: Worker) -> None:
    slow_rest = [part(ChoiceDelta(text="H"), role=True), *after(3 * HEDGE_S), *streamed()]
    worker.provider.will([*slow_rest, part(ChoiceDelta(finish_reason="stop")), usage()])
    worker.ask("hedged", stream=True)
    assert made(worker) == [("one", "", "")]


def test_the_losses_of_the_winner_alone_are_told(worker: Worker) -> None:
    def lossy(name: str, *steps: Step) -> Callable[[ProviderCall], Sequence[Step]]:
        def script(call: ProviderCall) -> Sequence[Step]:
            call.losses.drop(name)
            return [*steps, *hello(call)]

        return script

    worker.provider.will(lossy("seed", silence))
    worker.provider.will(lossy("top_k"), model="m-two")
    assert worker.ask("hedged").headers["x-santral-loss"] == "top_k"


def test_a_client_that_leaves_during_a_hedge_closes_both(worker: Worker) -> None:
    worker.provider.will([silence])
    worker.provider.will([silence], model="m-two")

    async def main() -> None:
        body = {"model": "hedged", "messages": [{"role": "user", "content": "Hello"}]}
        messages: list[dict[str, Any]] = [{"body": json.dumps(body).encode()}]
        request = asyncio.create_task(worker.serve(messages, Answer()))
        while worker.provider.open < 2:
            await asyncio.sleep(0.002)
        request.cancel()  # as the attendance does when the client's connection closes
        await asyncio.wait([request], timeout=1)
        assert worker.provider.open == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert {(d, p, e) for d, p, e in made(worker)} == {
        ("one", "", "client_left"),
        ("two", "hedge", "client_left"),
    }
    assert worker.open_holds == 0


@both_ways
def test_the_last_resort_is_a_text_that_is_marked_and_costs_nothing(
    worker: Worker, stream: bool
) -> None:
    worker.provider.will([ProviderFailed("no")])
    answer = worker.ask("sorry", stream=stream, n=2)
    assert answer.status == 200
    assert [(c.text, c.finish_reason) for c in answer.choices] == [(SORRY, "stop")] * 2
    assert answer.headers["x-santral-degraded"] == "true"
    record = worker.record
    assert (record.status, record.is_degraded, record.finish_reason) == (200, True, "stop")
    assert made(worker) == [("one", "", "provider_failed"), ("last_resort", "last_resort", "")]
    assert record.cost_nanousd == 0
    worker.provider.will(hello)
    better = worker.ask("sorry", stream=stream, n=2)
    assert text_of(better) == "Hello there.", "it was not cached"


@both_ways
def test_who_shares_a_degraded_answer_is_told_so_too(worker: Worker, stream: bool) -> None:
    async def pause() -> None:
        await asyncio.sleep(0.02)

    worker.provider.will([pause, ProviderFailed("no")])
    fields = {"model": "sorry", "messages": [{"role": "user", "content": "Hello"}]}
    body = json.dumps(fields | {"stream": stream}).encode()

    async def main() -> list[Answer]:
        answers = [Answer(), Answer()]
        asked = [worker.serve([{"body": body}], answer) for answer in answers]
        await asyncio.gather(*asked)
        return answers

    for answer in asyncio.run(main()):
        assert answer.headers["x-santral-degraded"] == "true"
        assert text_of(answer) == SORRY
    assert len(worker.provider.asked) == 1
    assert sorted((r.cache, r.is_degraded) for r in worker.records) == [
        ("collapsed", True),
        ("miss", True),
    ]


def test_the_text_is_in_the_language_of_the_question(worker: Worker) -> None:
    worker.provider.will([ProviderFailed("no")])
    turkish = worker.ask("polite", "Merhaba, bugün hava nasıl olacak acaba?")
    assert text_of(turkish) == "Özür dileriz."
    assert text_of(worker.ask("polite", "What will the weather be like today?")) == "Sorry."


@pytest.mark.parametrize(
    "error",
    [ProviderRefusedRequest("bad"), ContextWindowExceeded("long"), ContentPolicyRefused("no")],
    ids=lambda error: type(error).__name__,
)
def test_what_the_caller_has_to_change_is_said_to_the_caller(
    worker: Worker, error: ProviderError
) -> None:
    worker.provider.will([error])
    answer = worker.ask("sorry")
    assert (answer.status, answer.error["code"]) == (400, error.code)


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def test_a_program_that_reads_the_answer_gets_the_error_and_no_text(worker: Worker) -> None:
    worker.provider.will([ProviderFailed("no")])
    assert worker.ask("sorry", tools=[TOOL]).error["code"] == "provider_failed"
    wish = {"type": "json_object"}
    assert worker.ask("sorry", response_format=wish).error["code"] == "provider_failed"
    assert worker.ask("sorry", tools=[]).status == 200


def test_a_text_that_matches_the_schema_is_an_answer_to_it(worker: Worker) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    asked = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    worker.provider.will([ProviderFailed("no")])
    assert text_of(worker.ask("sorry-json", response_format=asked)) == '{"age": 0}'
    other = msgspec.to_builtins(asked)
    other["json_schema"]["schema"] = schema | {"required": ["name"]}
    assert worker.ask("sorry-json", response_format=other).status == 502


@both_ways
def test_the_last_resort_may_be_the_embedded_answerer(worker: Worker, stream: bool) -> None:
    worker.provider.will([ProviderFailed("no")])
    answer = worker.ask("local", stream=stream)
    assert answer.status == 200
    assert answer.headers["x-santral-deployment"] == "extractive"
    assert answer.headers["x-santral-degraded"] == "true"
    assert made(worker) == [("one", "", "provider_failed"), ("extractive", "last_resort", "")]
    assert worker.record.is_degraded


def test_a_stream_that_broke_after_content_gets_no_last_resort(worker: Worker) -> None:
    worker.provider.will([part(ChoiceDelta(text="H"), role=True), ProviderFailed("x")])
    assert worker.ask("sorry", stream=True).error["code"] == "provider_failed"


@both_ways
def test_stop_is_emulated_for_a_model_that_does_not_know_it(worker: Worker, stream: bool) -> None:
    worker.provider.will(
        [*streamed(ChoiceDelta(text="one two ##"))[:-2], *streamed(ChoiceDelta(text="# three"))],
        model="m-no-stop",
    )
    answer = worker.ask("stops", stream=stream, stop=["###"])
    (choice,) = answer.choices
    assert (choice.text, choice.finish_reason) == ("one two ", "stop")
    (asked,) = worker.provider.asked
    assert "stop" not in asked.fields
    (attempt,) = worker.record.attempts
    assert attempt.usage is not None
    assert attempt.usage.is_estimated, "the provider was closed before it could say"
    assert attempt.usage.output_tokens > 0
    assert (attempt.error, attempt.finish_reason) == ("", "stop")
    assert "x-santral-loss" not in answer.headers


@both_ways
@pytest.mark.parametrize("route", ["plain", "strict"])
def test_a_stop_that_a_dialect_would_drop_is_emulated_and_no_loss(
    worker: Worker, route: str, stream: bool
) -> None:
    def without_stop(call: ProviderCall) -> Sequence[Step]:
        call.losses.drop("stop")
        return saying(ChoiceDelta(text="one END two"))(call)

    worker.provider.will(without_stop)
    answer = worker.ask(route, stream=stream, stop="END")
    assert text_of(answer) == "one "
    assert "x-santral-loss" not in answer.headers


def test_a_provider_that_knows_stop_is_left_to_it(worker: Worker) -> None:
    worker.provider.will(saying(ChoiceDelta(text="one END two")))
    assert text_of(worker.ask("plain", stop="END")) == "one END two"
    assert worker.provider.asked[0].fields["stop"] == "END"


@both_ways
def test_json_that_is_complete_ends_the_provider(worker: Worker, stream: bool) -> None:
    endless = [*streamed(ChoiceDelta(text='{"a": "}"}'))[:-2]]
    more = [part(ChoiceDelta(text="\n" * 8)) for _ in range(50)]
    worker.provider.will([*endless, *more, silence])
    answer = worker.ask("json", stream=stream, response_format={"type": "json_object"})
    (choice,) = answer.choices
    assert (choice.text, choice.finish_reason) == ('{"a": "}"}', "stop")
    (attempt,) = worker.record.attempts
    assert attempt.usage is not None
    assert attempt.usage.is_estimated
    assert worker.record.usage == attempt.usage


@both_ways
def test_a_provider_that_ends_with_its_json_reports_its_own_usage(
    worker: Worker, stream: bool
) -> None:
    worker.provider.will(saying(ChoiceDelta(text='{"a": 1}')))
    worker.ask("json", stream=stream, response_format={"type": "json_object"})
    assert worker.record.usage == USAGE
    assert worker.provider.asked[0].call.is_streaming, "so that it could be ended early"


def test_without_a_wish_for_json_nothing_is_ended_early(worker: Worker) -> None:
    worker.provider.will(saying(ChoiceDelta(text='{"a": 1} is my answer')))
    assert text_of(worker.ask("json")) == '{"a": 1} is my answer'


def test_breakers_and_refused_retries_are_shown_as_metrics(worker: Worker) -> None:
    worker.provider.will([ProviderFailed("no")])
    for _ in range(2):
        worker.ask("plain")
    text = worker.process.metrics.render()
    assert 'santral_breaker_state{deployment="one"} 2' in text
    assert 'santral_breaker_state{deployment="two"} 0' in text
    assert 'santral_retries_refused_total{deployment="one"} 0' in text
