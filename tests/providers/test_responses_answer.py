"""Every recording of the Responses protocol read as deltas, however its bytes are split."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.replay import RECORDINGS

from santral.errors import (
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderGarbled,
    ProviderRefusedKey,
    ProviderUnreachable,
)
from santral.providers.responses.answer import ResponsesReader
from santral.wire.delta import ChoiceDelta, Delta, NativeBlock, ReasoningDetail, ToolCallDelta
from santral.wire.render import fold
from santral.wire.sse import Event, SseDecoder
from santral.wire.usage import Usage

FOLDER = RECORDINGS / "openai-responses"
STREAMS = sorted(file.name for file in FOLDER.glob("*.sse"))
SEALED = ReasoningDetail(
    "encrypted",
    data="gAAAAABpPDIVOKrsHNZ0GwsoEKA_IGfuJ5f8Ma_6-EojH4yZFL50qlfUzM7FREdQlpkqlnIHLRx2Yj+/==",
    id="rs_67ccd2bf2a3c8190be3ab04d5782d5f90bb6a6b452d3795b",
    format="openai-responses-v1",
)


def read(chunks: Sequence[bytes]) -> list[Delta]:
    decoder, reader = SseDecoder(), ResponsesReader()
    deltas = [d for data in chunks for event in decoder.feed(data) for d in reader.feed(event)]
    reader.end()
    return deltas


def stream_of(name: str) -> list[Delta]:
    return read([(FOLDER / name).read_bytes()])


def whole_of(name: str) -> list[Delta]:
    return ResponsesReader().read_whole((FOLDER / name).read_bytes())


def said(deltas: Sequence[Delta]) -> ChoiceDelta:
    return fold(deltas).choices[0]


def usage_of(deltas: Sequence[Delta]) -> Usage | None:
    return fold(deltas).usage


def outcome(chunks: Sequence[bytes]) -> object:
    try:
        return read(chunks)
    except ProviderError as error:
        return type(error), error.message


@given(name=st.sampled_from(STREAMS), cuts=st.lists(st.integers(0, 9000), max_size=12))
def test_a_stream_says_the_same_however_its_bytes_are_split(name: str, cuts: list[int]) -> None:
    data = (FOLDER / name).read_bytes()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[a:b] for a, b in pairwise(edges)]
    assert outcome(chunks) == outcome([data])


@pytest.mark.parametrize("deltas", [stream_of("text.sse"), whole_of("text.json")])
def test_a_text_comes_with_its_usage_and_head(deltas: list[Delta]) -> None:
    assert said(deltas) == ChoiceDelta(text="Merhaba, dünya 👋.", finish_reason="stop")
    assert deltas[-1].usage == Usage(input_uncached=36, output_text=87)
    assert {(d.model, d.created, d.is_whole, d.raw) for d in deltas} == {
        ("gpt-5.1-2025-11-13", 1741476542, False, b"")
    }
    assert deltas[-1].service_tier == "default"


def test_reasoning_a_call_and_cached_tokens_come_apart() -> None:
    deltas = stream_of("reasoning_tool.sse")
    answer = said(deltas)
    assert answer.reasoning == "**Looking** up\n\n**Calling** the tool"
    assert answer.details == (SEALED,)
    call = ToolCallDelta(
        id="call_unLAR8MvFNptuiZK6K6HCy5k", name="get_weather", arguments='{"location":"İstanbul"}'
    )
    assert answer.tool_calls == (call,)
    assert answer.finish_reason == "tool_calls"
    assert deltas[-1].usage == Usage(
        input_uncached=131, cache_read=128, cache_write=32, output_text=48, reasoning=64
    )


def test_a_delta_is_a_piece_of_one_block() -> None:
    for name in ("reasoning_tool.sse", "web_search.sse", "parallel_tools.sse"):
        for delta in stream_of(name):
            for c in delta.choices:
                parts = [c.text, c.reasoning, c.refusal, c.tool_calls, c.details, c.native]
                assert sum(bool(part) for part in parts) <= 1, c


def test_a_whole_answer_with_reasoning_says_what_its_stream_would() -> None:
    answer = said(whole_of("reasoning_tool.json"))
    assert answer.reasoning == "**Looking** up"
    assert answer.details == (msgspec.structs.replace(SEALED, id="rs_w"),)
    assert answer.tool_calls[0].arguments == '{"location":"İstanbul"}'


def test_parallel_calls_have_indexes_of_their_own() -> None:
    calls = said(stream_of("parallel_tools.sse")).tool_calls
    assert [(c.index, c.id, c.name, c.arguments) for c in calls] == [
        (0, "call_a", "get_weather", '{"location":"Ankara"}'),
        (1, "call_b", "get_time", "{}"),
    ]


def test_a_custom_tool_takes_plain_text() -> None:
    (call,) = said(stream_of("custom_tool.sse")).tool_calls
    assert (call.kind, call.name, call.arguments) == ("custom", "write_sql", "SELECT * FROM users")


@pytest.mark.parametrize("deltas", [stream_of("web_search.sse"), whole_of("web_search.json")])
def test_a_hosted_tool_is_a_native_block_before_the_text_that_cites(deltas: list[Delta]) -> None:
    answer = said(deltas)
    (block,) = answer.native
    assert isinstance(block, NativeBlock)
    assert block.dialect == "responses"
    assert msgspec.json.decode(block.json)["action"] == {
        "type": "search",
        "query": "positive news",
    }
    assert answer.text == "Good news"
    (annotation,) = answer.annotations
    assert msgspec.json.decode(annotation) == {
        "type": "url_citation",
        "url_citation": {
            "start_index": 0,
            "end_index": 9,
            "url": "https://example.com/news",
            "title": "News",
        },
    }
    natives = [bool(d.choices and d.choices[0].native) for d in deltas]
    assert natives.index(True) < [bool(d.choices and d.choices[0].text) for d in deltas].index(True)


def test_a_refusal_is_one() -> None:
    assert said(stream_of("refusal.sse")) == ChoiceDelta(
        refusal="I'm sorry, I can't.", finish_reason="stop"
    )


def test_log_probabilities_are_in_the_form_of_chat() -> None:
    found = msgspec.json.decode(said(stream_of("logprobs.sse")).logprobs)
    assert [entry["token"] for entry in found["content"]] == ["Hi", " there"]


@pytest.mark.parametrize(
    ("deltas", "finish", "own"),
    [
        (stream_of("incomplete.sse"), "length", "max_output_tokens"),
        (whole_of("incomplete.json"), "length", "max_output_tokens"),
        (stream_of("content_filter.sse"), "content_filter", "content_filter"),
    ],
)
def test_an_incomplete_answer_says_why(deltas: list[Delta], finish: str, own: str) -> None:
    assert (said(deltas).finish_reason, said(deltas).native_finish) == (finish, own)
    assert usage_of(deltas) is not None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error.sse", ProviderRefusedKey),
        ("failed.sse", ProviderBusy),
        ("error_middle.sse", ProviderFailed),
        ("cut.sse", ProviderUnreachable),
    ],
)
def test_a_failure_inside_a_stream_is_an_error(name: str, kind: type[ProviderError]) -> None:
    with pytest.raises(kind):
        stream_of(name)


def test_a_failed_whole_answer_is_an_error() -> None:
    with pytest.raises(ProviderFailed, match="The model failed to answer"):
        whole_of("failed.json")


def test_items_are_told_apart_by_position_where_ids_change() -> None:
    answer = said(stream_of("rotating_ids.sse"))
    assert (answer.reasoning, answer.text) == ("**Counting**", "There are 3")


def test_what_comes_only_when_it_is_whole_is_read_all_the_same() -> None:
    deltas = stream_of("done_only.sse")
    answer = said(deltas)
    assert answer.text == "Looking."
    assert answer.tool_calls == (
        ToolCallDelta(id="call_1", name="read", arguments='{"path":"a.txt"}'),
    )
    assert usage_of(deltas) is None


def test_events_nobody_knows_are_passed_over() -> None:
    assert said(stream_of("unknown.sse")).text == "Fine"


def test_an_answer_that_is_only_in_the_last_event_is_read() -> None:
    whole = msgspec.json.decode((FOLDER / "text.json").read_bytes())
    data = msgspec.json.encode({"type": "response.completed", "response": whole})
    assert said(ResponsesReader().feed(Event(data))).text == "Merhaba, dünya 👋."


def test_the_name_of_an_event_stands_in_for_a_missing_type() -> None:
    reader = ResponsesReader()
    (delta,) = reader.feed(Event(b'{"delta":"Hi"}', b"response.output_text.delta"))
    assert delta.choices[0].text == "Hi"


@pytest.mark.parametrize("data", [b"<html>", b"{", b'{"output":"none today"}', b"[]", b"{}"])
def test_what_is_no_response_is_garbled(data: bytes) -> None:
    with pytest.raises(ProviderGarbled):
        ResponsesReader().read_whole(data)


@pytest.mark.parametrize("data", [b"<html>", b'{"type":1}', b"\xff"])
def test_what_is_no_event_is_garbled(data: bytes) -> None:
    with pytest.raises(ProviderGarbled):
        ResponsesReader().feed(Event(data))
