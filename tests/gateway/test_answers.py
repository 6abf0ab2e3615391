"""Bodies, streams and their heads: roles, ends, usage, identity, cache and corrections."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.gateway.worker import (
    HEAD,
    USAGE,
    Worker,
    part,
    parts,
    saying,
    streamed,
    usage,
    whole,
)
from tests.stream_checker import text_of

from santral.errors import ProviderFailed
from santral.wire.delta import ChoiceDelta, Delta, ToolCallDelta
from santral.wire.usage import Usage

ASKS_USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}


def test_the_role_is_announced_once_per_choice_also_of_composed_deltas(worker: Worker) -> None:
    worker.provider.will(
        [
            parts([ChoiceDelta(text="a")], is_raw=False),
            parts([ChoiceDelta(text="b"), ChoiceDelta(1, "c")], is_raw=False),
            parts([ChoiceDelta(text="d"), ChoiceDelta(1, "e")], is_raw=False),
            parts([ChoiceDelta(n, finish_reason="stop") for n in (0, 1)], is_raw=False),
        ]
    )
    answer = worker.ask(stream=True)
    roles = [
        entry["index"]
        for event in answer.events
        for entry in event["choices"]
        if "role" in entry["delta"]
    ]
    assert roles == [0, 1]
    assert [choice.text for choice in answer.choices] == ["abd", "ce"]


def test_what_is_held_back_leaves_before_the_end(worker: Worker) -> None:
    worker.provider.will(
        [
            part(ChoiceDelta(text="Write to a@example"), role=True),
            part(ChoiceDelta(text=".com")),
            part(ChoiceDelta(finish_reason="stop")),
        ]
    )
    events = worker.ask("out-mask", stream=True).events
    ends = [event["choices"][0]["finish_reason"] for event in events]
    assert ends[-1] == "stop"
    assert ends.count("stop") == 1
    assert text_of(events) == "Write to [EMAIL_1]"


@pytest.mark.parametrize("route", ["plain", "out-mask", "schema"])
def test_usage_comes_last_and_only_to_who_asks(worker: Worker, route: str) -> None:
    worker.provider.will(saying(ChoiceDelta(text='{"age": 3}')))
    assert worker.ask(route, stream=True).usage is None
    answer = worker.ask(route, stream=True, **ASKS_USAGE)
    assert answer.events[-1]["choices"] == []
    assert answer.events[-1]["usage"]["total_tokens"] == USAGE.total_tokens
    assert answer.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("route", ["plain", "out-mask", "cached-masked"])
@pytest.mark.parametrize("is_raw", [False, True])
def test_an_empty_answer_is_an_answer(worker: Worker, route: str, is_raw: bool) -> None:
    worker.provider.will([part(ChoiceDelta(finish_reason="stop"), role=True, is_raw=is_raw)])
    assert worker.ask(route, stream=True).choices == [ChoiceDelta(finish_reason="stop")]
    worker.provider.will([whole(ChoiceDelta(finish_reason="stop"), is_raw=is_raw)])
    assert worker.ask(route, "whole").choices == [ChoiceDelta(finish_reason="stop")]


def test_a_provider_that_says_nothing_at_all_is_still_a_stream(worker: Worker) -> None:
    worker.provider.will([])
    answer = worker.ask(stream=True, **ASKS_USAGE)
    assert answer.choices == [ChoiceDelta(finish_reason="stop")]
    assert worker.ask().status == 200


def test_a_composed_stream_has_one_identity(worker: Worker) -> None:
    nameless = [
        Delta(choices=(ChoiceDelta(text="Hel"),)),
        Delta(choices=(ChoiceDelta(text="lo"),), id="late", model="late", created=5),
        Delta(choices=(ChoiceDelta(finish_reason="stop"),)),
    ]
    worker.provider.will(nameless)
    events = worker.ask(stream=True, **ASKS_USAGE).events
    assert events[0]["id"] == f"chatcmpl-{worker.record.request_id}"
    assert events[0]["model"] == "plain"
    assert events[0]["created"] == worker.record.started_at_us // 1_000_000
    body = worker.ask().json
    assert body["id"] == "late", "the first name that the answer gives"


def test_what_masking_flushes_has_the_streams_identity(worker: Worker) -> None:
    worker.provider.will(streamed(ChoiceDelta(text="Write to a@example.com")))
    events = worker.ask("out-mask", stream=True).events
    assert {(e["id"], e["model"], e["created"]) for e in events} == {tuple(HEAD.values())}


def test_a_cached_answer_names_its_stop_sequence_where_its_stream_ends(worker: Worker) -> None:
    answer = whole(ChoiceDelta(text="One, ", stop_sequence="two"), is_raw=False)
    worker.provider.will([msgspec.structs.replace(answer, service_tier="flex")])
    worker.ask("cached")
    said, end = (event["choices"][0] for event in worker.ask("cached", stream=True).events)
    assert "stop_sequence" not in said
    assert (end["finish_reason"], end["stop_sequence"]) == ("stop", "two")
    tiers = [event["service_tier"] for event in worker.ask("cached", stream=True).events]
    assert tiers == ["flex", "flex"]


@pytest.mark.parametrize("first", [False, True], ids=["whole-first", "stream-first"])
@pytest.mark.parametrize("is_raw", [False, True], ids=["composed", "raw"])
@pytest.mark.parametrize("route", ["cached", "cached-masked"])
def test_a_cached_answer_is_served_either_way_with_its_usage(
    worker: Worker, route: str, is_raw: bool, first: bool
) -> None:
    calls = (ToolCallDelta(0, "c", "f", '{"to": "a@example.com"}'),)
    said = ChoiceDelta(0, "Text.", "", "Thought.", calls, "tool_calls")
    answer = streamed(said, is_raw=is_raw) if first else [whole(said, is_raw=is_raw)]
    worker.provider.will(answer)
    given = worker.ask(route, stream=first, **ASKS_USAGE)
    hits = [worker.ask(route, stream=stream, **ASKS_USAGE) for stream in (not first, first)]
    assert len(worker.provider.asked) == 1
    for hit in hits:
        assert hit.headers["x-santral-cache"] == "hit"
        assert hit.choices == given.choices
        assert hit.usage is not None
        assert hit.usage["total_tokens"] == USAGE.total_tokens
    assert [record.cache for record in worker.records] == ["miss", "hit", "hit"]
    assert all(record.usage is None for record in worker.records[1:]), "a hit costs nothing"
    whole_hit = next(hit for hit in hits if "x-santral-cost-usd" in hit.headers)
    assert whole_hit.headers["x-santral-cost-usd"] == "0.000000000"


def test_the_cache_can_be_declined_and_keeps_no_failure(worker: Worker) -> None:
    worker.provider.will([ProviderFailed("no")], saying(ChoiceDelta(text="Yes.")))
    assert worker.ask("cached").status == 502
    assert worker.ask("cached").choices[0].text == "Yes."
    assert worker.ask("cached", santral={"cache": False}).headers["x-santral-cache"] == "off"
    assert len(worker.provider.asked) == 3


def test_an_answer_checked_against_another_schema_is_not_served(worker: Worker) -> None:
    """A response_format of the caller hides the schema from the upstream request, not from us."""
    asks: dict[str, Any] = {"response_format": {"type": "json_object"}}
    schema = {"type": "object", "required": ["city"]}
    worker.provider.will(saying(ChoiceDelta(text='{"age": 1}')))
    assert worker.ask("cached", **asks).status == 200
    answer = worker.ask("cached", **asks, santral={"output_schema": schema})
    assert answer.error["code"] == "output_refused"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_correction_bills_both_attempts_and_starts_the_answer_anew(
    worker: Worker, stream: bool
) -> None:
    good = ChoiceDelta(text='{"age": 3}')
    worker.provider.will(saying(ChoiceDelta(text="Three.")), saying(good))
    answer = worker.ask("schema", stream=stream)
    assert [choice.text for choice in answer.choices] == [good.text]
    record = worker.record
    assert len(record.attempts) == 2
    assert record.usage == USAGE.plus(USAGE)
    assert record.cost_nanousd == 2 * 270_000
    told = worker.provider.asked[1].fields["messages"]
    assert [m["role"] for m in told] == ["user", "assistant", "user"]
    assert told[1]["content"] == "Three."
    assert "cannot be used" in told[2]["content"]
    assert record.payload is not None
    assert record.payload.response == good.text


def test_a_second_bad_answer_is_refused(worker: Worker) -> None:
    worker.provider.will(saying(ChoiceDelta(text="Three.")))
    answer = worker.ask("schema")
    assert (answer.status, answer.error["code"]) == (502, "output_refused")
    assert answer.headers["x-should-retry"] == "false"
    assert len(worker.record.attempts) == 2
    assert answer.headers["x-santral-cost-usd"] == "0.000540000", "both were paid for"


def test_the_schema_is_told_to_the_provider_unless_the_caller_told_another(worker: Worker) -> None:
    worker.provider.will(saying(ChoiceDelta(text='{"age": 3}')))
    worker.ask("schema")
    told = worker.provider.asked[0].fields["response_format"]
    assert told["json_schema"]["schema"]["required"] == ["age"]
    own = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    worker.ask("schema", response_format=own)
    assert worker.provider.asked[1].fields["response_format"] == own


def test_a_deployment_whose_answer_is_refused_is_healthy(worker: Worker) -> None:
    """A guardrail's refusal says nothing against the deployment: its probe is given back."""
    health = worker.process.app._desk.stages.generate._attempts._health
    for _ in range(3):
        health.failed("one", ProviderFailed("no"))
    breaker = health._breakers["one"]
    breaker.open_until = 0.0  # the time has come to probe
    assert health.admits("one"), "the probe"
    breaker.probe_until = 0.0
    worker.provider.will(saying(ChoiceDelta(text="Write to a@example.com now")))
    assert worker.ask("out-refuse", stream=True).error["code"] == "output_refused"
    assert health.admits("one")


def test_a_fault_of_ours_is_an_answer_with_the_request_id(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    for stream in (False, True):
        steps = [part(ChoiceDelta(text="Hello"), role=True), ZeroDivisionError("secret detail")]
        worker.provider.will(steps)
        answer = worker.ask(stream=stream)
        assert answer.error["code"] == "internal_error"
        assert worker.records[-1].request_id in answer.error["message"]
        assert b"secret detail" not in answer.body
        assert (worker.records[-1].status, worker.records[-1].error) == (500, "internal_error")
    assert "request_failed" in caplog.text


def test_usage_classes_are_told_as_openai_tells_them(worker: Worker) -> None:
    used = Usage(input_uncached=5, cache_read=7, output_text=2, reasoning=3)
    worker.provider.will([whole(ChoiceDelta(text="Hi"), used=used, is_raw=False)])
    told = worker.ask().usage
    assert told is not None
    assert (told["prompt_tokens"], told["completion_tokens"], told["total_tokens"]) == (12, 5, 17)
    assert json.dumps(told["prompt_tokens_details"]) == '{"cached_tokens": 7}'
    worker.provider.will([part(ChoiceDelta(text="Hi", finish_reason="stop")), usage(used)])
