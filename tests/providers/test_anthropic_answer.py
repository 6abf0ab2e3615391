"""Every recording says the same however its bytes are split, and its blocks become deltas in order."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.replay import RECORDINGS

from santral.errors import (
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderGarbled,
    ProviderUnreachable,
)
from santral.providers.anthropic.answer import AnswerReader
from santral.wire.delta import Delta, NativeBlock, ReasoningDetail, ToolCallDelta
from santral.wire.messages import CLAUDE_FORMAT
from santral.wire.render import fold
from santral.wire.usage import Usage

FOLDER = RECORDINGS / "anthropic"
STREAMS = sorted(file.name for file in FOLDER.glob("*.sse"))
CUT = {"overloaded.sse": ProviderFailed, "limited.sse": ProviderBusy}


def reader(**quirks: object) -> AnswerReader:
    return AnswerReader(1_700_000_000, **quirks)  # type: ignore[arg-type]


def read(pieces: list[bytes], **quirks: object) -> tuple[list[Delta], ProviderError | None]:
    """The deltas, and what was raised at the end."""
    one = reader(**quirks)
    deltas: list[Delta] = []
    for piece in pieces:
        if one.is_over:
            break
        deltas += one.feed(piece)
    if not one.is_over:
        deltas += one.end_bytes()
    try:
        return deltas + one.end(lambda: 11), None
    except ProviderError as error:
        return deltas, error


def recorded(name: str, **quirks: object) -> Delta:
    deltas, error = read([(FOLDER / name).read_bytes()], **quirks)
    assert error is None
    return fold(deltas)


@pytest.mark.parametrize("name", STREAMS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_stream_reads_alike_however_its_bytes_are_split(name: str, data: st.DataObject) -> None:
    body = (FOLDER / name).read_bytes()
    edges = data.draw(st.sets(st.integers(1, len(body) - 1), max_size=12))
    pieces = [body[a:b] for a, b in pairwise([0, *sorted(edges), len(body)])]
    whole, whole_error = read([body])
    split, split_error = read(pieces)
    assert split == whole
    assert type(split_error) is type(whole_error)
    assert type(whole_error) is CUT.get(name, type(None))


@pytest.mark.parametrize("name", [name for name in STREAMS if name not in CUT])
def test_every_delta_of_a_stream_is_a_piece_of_one_block(name: str) -> None:
    deltas, _ = read([(FOLDER / name).read_bytes()])
    *pieces, finish, usage = deltas
    for delta in pieces:
        (choice,) = delta.choices
        kinds = (choice.text, choice.reasoning, choice.details, choice.tool_calls, choice.native,
                 choice.annotations)  # fmt: skip
        assert sum(map(bool, kinds)) == 1
        assert choice.finish_reason is None
        assert delta.raw == b""
        assert (delta.id, delta.model, delta.created) == (usage.id, usage.model, usage.created)
    assert finish.choices[0].finish_reason
    assert usage.usage is not None


def test_thinking_text_and_parallel_calls() -> None:
    answer = recorded("thinking_tools.sse")
    (choice,) = answer.choices
    assert choice.reasoning == "İki şehir soruldu."
    assert choice.details == (
        ReasoningDetail(
            signature="EsECCokBCBAYAipAc2FudHJhbC1yZWNvcmRpbmcvb25l+AAAA==",
            id="chars-18",
            format=CLAUDE_FORMAT,
        ),
    )
    assert choice.text == "Bakıyorum."
    assert choice.tool_calls == (
        ToolCallDelta(0, "toolu_01A", "get_weather", '{"location": "San Francisco, CA"}'),
        ToolCallDelta(1, "toolu_01B", "get_weather", '{"location": "İzmir"}'),
    )
    assert (choice.finish_reason, choice.native_finish) == ("tool_calls", "tool_use")
    assert answer.usage == Usage(input_uncached=472, output_text=59, reasoning=30)
    assert answer.service_tier == "standard"


def test_interleaved_blocks_keep_their_order() -> None:
    deltas, _ = read([(FOLDER / "interleaved.sse").read_bytes()])
    kinds = [
        next(name for name in ("reasoning", "text", "details", "finish_reason") if getattr(c, name))
        for delta in deltas
        for c in delta.choices
    ]
    assert kinds == ["reasoning", "details", "details", "text", "details", "text", "finish_reason"]
    details = fold(deltas).choices[0].details
    assert [detail.type for detail in details] == ["text", "encrypted", "text"]
    assert [detail.id for detail in details] == ["chars-6", "", "chars-0"]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    (choice,) = recorded("tool_no_args.sse").choices
    assert choice.tool_calls == (ToolCallDelta(0, "toolu_01QE", "updateIssueList", "{}"),)


def test_server_tools_are_native_and_citations_annotations() -> None:
    (choice,) = recorded("server_tools.sse").choices
    call, result = (json.loads(block.json) for block in choice.native)
    assert call == {
        "type": "server_tool_use",
        "id": "srvtoolu_014",
        "name": "web_search",
        "input": {"query": "weather NYC today"},
    }
    assert result["content"][0]["encrypted_content"] == "Ev0DCioIAxgCIiQ3NmU4ZmI4OC1k"
    web, document = (json.loads(bytes(raw)) for raw in choice.annotations)
    cited = choice.text[web["url_citation"]["start_index"] : web["url_citation"]["end_index"]]
    assert cited == "It is sunny and 24 °C."
    assert web["url_citation"]["url"] == "https://example.com/weather"
    assert web["anthropic"]["encrypted_index"] == "Eo8BCioIAhgBIiQyYjQ0"
    assert document["type"] == "native"
    assert document["block"]["document_title"] == "My Document"


def test_a_block_nobody_knows_is_whole_and_unknown_events_are_passed_over() -> None:
    (choice,) = recorded("unknown.sse").choices
    (block,) = choice.native
    assert json.loads(block.json) == {
        "type": "compaction",
        "content": "Summary of it.",
        "encrypted_content": "AA",
    }
    assert choice.text == "Hi"


def test_a_call_by_a_tool_of_the_provider_is_native() -> None:
    (choice,) = recorded("programmatic.sse").choices
    assert choice.tool_calls == ()
    assert json.loads(choice.native[0].json)["caller"]["tool_id"] == "srvtoolu_01"
    assert choice.finish_reason == "tool_calls"


def test_a_refusal_says_why() -> None:
    answer = recorded("refusal.sse")
    (choice,) = answer.choices
    assert (choice.finish_reason, choice.native_finish) == ("content_filter", "refusal")
    assert choice.refusal == "This request was blocked under the usage policy."
    assert json.loads(choice.native[0].json)["category"] == "cyber"


def test_a_stop_sequence_is_named() -> None:
    (choice,) = recorded("stop_sequence.sse").choices
    assert (choice.finish_reason, choice.native_finish, choice.stop_sequence) == (
        "stop",
        "stop_sequence",
        "three",
    )


def test_later_usage_replaces_and_never_adds() -> None:
    assert recorded("cached.sse").usage == Usage(
        input_uncached=25, cache_read=18000, cache_write=600, cache_write_1h=1000, output_text=3
    )


def test_the_answer_tool_is_text_and_custom_tools_are_plain_text() -> None:
    (choice,) = recorded("answer_tool.sse", answer_tool="person").choices
    assert (choice.text, choice.tool_calls, choice.finish_reason) == ('{"age": 42}', (), "stop")
    (choice,) = recorded("custom_tool.sse", custom_tools=frozenset({"note"})).choices
    call = ToolCallDelta(0, "toolu_01C", "note", 'plain "text"', kind="custom")
    assert choice.tool_calls == (call,)


def test_an_overload_inside_the_stream_may_be_tried_again() -> None:
    deltas, error = read([(FOLDER / "overloaded.sse").read_bytes()])
    assert [c.text for d in deltas for c in d.choices] == ["Half an"]
    assert isinstance(error, ProviderFailed)
    assert error.retryable
    assert "Overloaded" in error.message


@pytest.mark.parametrize("name", [name for name in STREAMS if name not in CUT])
def test_a_stream_without_its_end_is_cut(name: str) -> None:
    body = (FOLDER / name).read_bytes()
    start = body[: body.index(b"event: message_delta")]
    assert isinstance(read([start])[1], ProviderUnreachable)
    without_stop = body[: body.index(b"event: message_stop")]
    assert read([without_stop])[1] is None, "what was said is whole"


@pytest.mark.parametrize(
    "event",
    [
        b"data: <html>\n\n",
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta"}}\n\n',
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":5}}\n\n',
        b'data: {"type":"message_start","message":{"usage":{"input_tokens":"many"}}}\n\n',
        b'data: {"type":"message_delta","delta":7}\n\n',
    ],
)
def test_bytes_that_are_not_the_protocol_are_garbled(event: bytes) -> None:
    assert isinstance(read([event])[1], ProviderGarbled)


def test_usage_is_estimated_where_none_came() -> None:
    body = (
        b'data: {"type":"message_start","message":{"id":"m","content":[]}}\n\n'
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hi"}}\n\n'
        b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n'
    )
    deltas, _ = read([body])
    assert deltas[-1].usage == Usage(input_uncached=11, output_text=1, is_estimated=True)


def test_blocks_that_are_in_the_start_already_are_taken() -> None:
    message = {
        "id": "m",
        "content": [{"type": "text", "text": "Hi"}, {"type": "mystery", "a": 1.10}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    event = b'data: {"type":"message_start","message":' + json.dumps(message).encode() + b"}\n\n"
    deltas, error = read([event + b'data: {"type":"message_stop"}\n\n'])
    assert error is None
    (choice,) = fold(deltas).choices
    assert choice.text == "Hi"
    assert choice.native == (NativeBlock("messages", b'{"type": "mystery", "a": 1.1}'),)


def test_pings_keep_an_answer_alive_only_while_it_thinks() -> None:
    one = reader()
    one.feed(b'data: {"type":"message_start","message":{"content":[]}}\n\n')
    one.feed(b'event: ping\ndata: {"type":"ping"}\n\n')
    assert not one.is_alive
    one.feed(b'data: {"type":"content_block_start","content_block":{"type":"thinking"}}\n\n')
    one.feed(b'event: ping\ndata: {"type":"ping"}\n\n')
    assert one.is_alive


def test_a_whole_message_is_read_in_the_order_of_its_blocks() -> None:
    one = reader()
    deltas = one.read_whole((FOLDER / "message.json").read_bytes())
    deltas += one.end(lambda: 0)
    kinds = [
        next(n for n in ("reasoning", "details", "text", "tool_calls", "finish_reason") if getattr(c, n))
        for d in deltas
        for c in d.choices
    ]  # fmt: skip
    assert kinds == ["reasoning", "details", "text", *["tool_calls"] * 4, "finish_reason"]
    (choice,) = fold(deltas).choices
    assert [json.loads(call.arguments) for call in choice.tool_calls] == [
        {"location": "San Francisco, CA"},
        {},
    ]
    assert deltas[-1].usage == Usage(input_uncached=51, cache_read=7, output_text=61, reasoning=39)


@pytest.mark.parametrize("body", [b"[]", b"<html>", b'{"type":"list"}', b'{"content":5}'])
def test_a_body_that_is_no_message_is_garbled(body: bytes) -> None:
    with pytest.raises(ProviderGarbled):
        reader().read_whole(body)
