"""Chunks in any split give the same deltas, and what imitators get wrong comes out right."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stream_checker import check_chat_stream, text_of

from santral.errors import ProviderError, ProviderFailed, ProviderGarbled, ProviderUnreachable
from santral.providers.openai import answer as openai_answer
from santral.providers.openai.answer import read_whole
from santral.providers.openai.chunk import ChunkReader
from santral.wire.delta import Delta, ToolCallDelta
from santral.wire.render import chunk, fold, usage_chunk
from santral.wire.sse import DONE, encode_event
from santral.wire.usage import Usage

HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}


def event(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    if delta is not None:
        choice["delta"] = delta
    return encode_event(json.dumps(HEAD | {"choices": [choice]} | more).encode())


ROLE = event({"role": "assistant", "content": ""})
END = event({}, "stop")
LAST = encode_event(json.dumps(HEAD | {"choices": [], "usage": USAGE}).encode())


def read(*parts: bytes) -> list[Delta]:
    reader = ChunkReader()
    deltas: list[Delta] = []
    for part in parts:
        deltas += reader.feed(part)
        if reader.is_over:
            break
    else:
        deltas += reader.end_bytes()
    return deltas + reader.end(lambda: 99)


def rendered(deltas: list[Delta]) -> bytes:
    lines: list[bytes] = []
    seen: set[int] = set()
    for delta in deltas:
        if not delta.choices and delta.usage is not None:
            lines.append(delta.raw or usage_chunk(delta, delta.usage))
            continue
        is_new = any(choice.index not in seen for choice in delta.choices)
        seen |= {choice.index for choice in delta.choices}
        lines.append(delta.raw or chunk(delta, role=is_new))
    return b"".join(map(encode_event, lines)) + DONE


def streamed_text(*parts: bytes) -> str:
    """The text of a stream after it passed the checker."""
    return text_of(check_chat_stream(rendered(read(*parts))))


TEXTS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=8), max_size=6)


@given(TEXTS, st.lists(st.integers(0, 5000), max_size=10), st.booleans(), st.booleans())
def test_deltas_are_alike_however_the_bytes_are_split(
    texts: list[str], cuts: list[int], has_usage: bool, has_done: bool
) -> None:
    data = ROLE + b"".join(event({"content": text}) for text in texts) + END
    data += (LAST if has_usage else b"") + (DONE if has_done else b"")
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    deltas = read(*(data[a:b] for a, b in pairwise(edges)))
    assert deltas == read(data)
    assert fold(deltas).choices[0].text == "".join(texts)
    expected = Usage(input_uncached=12, output_text=7) if has_usage else None
    assert deltas[-1].usage is not None
    assert (deltas[-1].usage == expected) == has_usage
    assert text_of(check_chat_stream(rendered(deltas))) == "".join(texts)


@given(st.integers(0, 2000))
def test_a_stream_cut_anywhere_before_its_end_is_unreachable(at: int) -> None:
    data = ROLE + event({"content": "Hello"}) + END
    at %= len(data) - len("\n\n") - len(b"}]}")
    with pytest.raises(ProviderUnreachable):
        read(data[:at])


def test_a_right_chunk_is_passed_on_byte_for_byte() -> None:
    odd = b'{"id":"c1", "object":"chat.completion.chunk","created":1,"model":"m","x":1e400,'
    odd += b'"choices":[{"index":0,"delta":{"role":"assistant","content":"a"},"logprobs":{}}]}'
    assert read(encode_event(odd), END)[0].raw == odd


def test_a_missing_last_blank_line_is_forgiven() -> None:
    assert streamed_text(ROLE, event({"content": "Hi"}), END.rstrip(b"\n")) == "Hi"
    assert streamed_text(ROLE, event({"content": "Hi"}), END, DONE.rstrip(b"\n")) == "Hi"


def test_done_without_a_finish_reason_is_a_stop() -> None:
    assert streamed_text(ROLE, event({"content": "Hi"}), DONE) == "Hi"


def test_done_without_anything_is_a_cut() -> None:
    with pytest.raises(ProviderUnreachable):
        read(DONE)


def test_an_answer_that_ended_survives_what_comes_after() -> None:
    for noise in (b"data: {oops\n\n", event(None, error={"message": "late"}), b"data: trunc"):
        assert streamed_text(ROLE, event({"content": "Hi"}), END, noise) == "Hi"


def test_one_of_two_choices_that_ended_is_not_the_end() -> None:
    second = HEAD | {"choices": [{"index": 1, "delta": {"role": "assistant"}}]}
    with pytest.raises(ProviderUnreachable):
        read(ROLE, encode_event(json.dumps(second).encode()), END)


@pytest.mark.parametrize(
    "parts",
    [
        [event({"content": "Hi"}), END],  # no role at all
        [ROLE, event({"role": "assistant", "content": "Hi"}), END],  # a role in every chunk
        [ROLE, event({"content": "Hi"}, id="other"), END],
        [ROLE, event({"content": "Hi"}, id=None, created=None, model=None), END],
        [ROLE, event({"content": "Hi"}, object=""), END],
        [ROLE, event({"content": "Hi"}, created=1.7), END],
        [ROLE, event({"content": "Hi"}, usage=None), END],
        [ROLE, event({"content": "Hi"}, usage=USAGE), END],
        [ROLE, event({"content": "Hi"}), event(None, "stop", usage=USAGE)],
        [ROLE, event({"content": "Hi"}), event({"content": None}, ""), END],
        [ROLE, event({"content": "Hi"}), END, END],
        [ROLE, event({"content": "Hi"}), END, event({"content": "more"})],
        [ROLE, event({"content": [{"type": "text", "text": "Hi"}]}), END],
        [
            event(None, choices=[], prompt_filter_results=[1], id=""),
            ROLE,
            event({"content": "Hi"}),
            END,
        ],
        [ROLE, b"data: \n\n", b": ping\n\n", event({"content": "Hi"}), END],
        [event(None, choices=[{"delta": {"content": "Hi"}}]), END],  # no index
        [event({"content": "Hi"}, id=""), END],
    ],
)
def test_what_imitators_get_wrong_comes_out_right(parts: list[bytes]) -> None:
    assert streamed_text(*parts) == "Hi"


def test_json_over_several_lines_is_passed_on_in_one() -> None:
    pretty = json.dumps(json.loads(event({"content": "Hi"})[6:]), indent=1).encode()
    lines = b"".join(b"data: " + line + b"\n" for line in pretty.split(b"\n")) + b"\n"
    assert streamed_text(ROLE, lines, END) == "Hi"


def test_azures_filter_results_ride_on_the_first_chunk() -> None:
    first = event(None, choices=[], prompt_filter_results=[1], id="", object="")
    deltas = read(first, ROLE, event({"content": "Hi"}), END)
    assert json.loads(deltas[0].raw)["prompt_filter_results"] == [1]
    assert json.loads(deltas[0].raw)["id"] == "c1"


def test_usage_so_far_is_on_the_deltas_and_never_in_their_bytes() -> None:
    parts = [ROLE, event({"content": "Hi"}, usage=USAGE | {"completion_tokens": 1}, x=1), END, LAST]
    deltas = read(*parts)
    assert deltas[1].usage == Usage(input_uncached=12, output_text=1)
    assert json.loads(deltas[1].raw)["x"] == 1
    assert deltas[-1].usage == Usage(input_uncached=12, output_text=7), "the last one counts"


def test_unknown_fields_of_the_usage_chunk_ride_through() -> None:
    last = encode_event(json.dumps(HEAD | {"choices": [], "usage": USAGE, "x_groq": {}}).encode())
    assert json.loads(read(ROLE, END, last)[-1].raw)["x_groq"] == {}


def tool(delta: dict[str, Any]) -> bytes:
    return event({"tool_calls": [delta]})


@pytest.mark.parametrize(
    "parts",
    [
        # llama.cpp repeats name and id
        [
            tool({"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x"'}}),
            tool({"index": 0, "id": "a", "function": {"name": "f", "arguments": ": 1}"}}),
        ],
        # no index
        [
            tool({"id": "a", "function": {"name": "f", "arguments": '{"x"'}}),
            tool({"function": {"arguments": ": 1}"}}),
        ],
        # arguments as an object
        [tool({"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}})],
    ],
)
def test_tool_calls_open_once_and_keep_their_arguments(parts: list[bytes]) -> None:
    deltas = read(ROLE, *parts, event({}, "tool_calls"))
    check_chat_stream(rendered(deltas))
    call = fold(deltas).choices[0].tool_calls[0]
    assert (call.id, call.name, json.loads(call.arguments)) == ("a", "f", {"x": 1})


def test_calls_without_index_are_told_apart_by_their_id() -> None:
    parts = [tool({"id": name, "function": {"name": "f", "arguments": "{}"}}) for name in "ab"]
    deltas = read(ROLE, *parts, event({}, "tool_calls"))
    check_chat_stream(rendered(deltas))
    assert [call.id for call in fold(deltas).choices[0].tool_calls] == ["a", "b"]


def test_a_call_without_id_gets_one() -> None:
    deltas = read(ROLE, tool({"index": 0, "function": {"name": "f", "arguments": "{}"}}), END)
    check_chat_stream(rendered(deltas))
    assert fold(deltas).choices[0].tool_calls == (ToolCallDelta(0, "call_0_0", "f", "{}"),)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_read_under_both_names(field: str) -> None:
    deltas = read(ROLE, event({field: "hm"}), END)
    assert deltas[1].choices[0].reasoning == "hm"
    assert deltas[1].has_content


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (event(None, error={"message": "x", "type": "server_error"}), ProviderFailed),
        (event(None, error="x"), ProviderFailed),
        (b'event: error\ndata: {"message":"x"}\n\n', ProviderFailed),
        (b"data: <html>\n\n", ProviderGarbled),
        (b"data: [1]\n\n", ProviderGarbled),
        (b'data: {"choices":[{"index":"zero"}]}\n\n', ProviderGarbled),
        (b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n', ProviderGarbled),
    ],
)
def test_an_error_is_raised_after_the_deltas_before_it(
    data: bytes, kind: type[ProviderError]
) -> None:
    reader = ChunkReader()
    assert len(reader.feed(ROLE + event({"content": "Hi"}) + data + END)) == 2
    assert reader.is_over
    with pytest.raises(kind):
        reader.end(lambda: 0)


WHOLE: dict[str, Any] = {
    "id": "c1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}],
}


@pytest.mark.parametrize(
    ("usage", "classes"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5}, (10, 0, 0, 5, 0)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            (3, 4, 3, 3, 2),
        ),
        (  # xAI: reasoning beside the completion
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 22,
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            (10, 0, 0, 5, 7),
        ),
        (  # DeepSeek
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 6},
            (4, 6, 0, 5, 0),
        ),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": None,
                "prompt_tokens_details": {"cached_tokens": None},
            },
            (3, 0, 0, 0, 0),
        ),
        # no part is more than its whole
        ({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 9}}, (0, 3, 0, 0, 0)),
    ],
)
def test_usage_is_split_into_classes_that_do_not_overlap(
    usage: dict[str, Any], classes: tuple[int, ...]
) -> None:
    read_usage = read_whole(json.dumps(WHOLE | {"usage": usage}).encode()).usage
    assert read_usage == Usage(
        input_uncached=classes[0],
        cache_read=classes[1],
        cache_write=classes[2],
        output_text=classes[3],
        reasoning=classes[4],
    )


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}])
def test_no_usage_is_none(usage: Any) -> None:
    assert read_whole(json.dumps(WHOLE | {"usage": usage}).encode()).usage is None


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"choices":[]}', b"[]", b"\xff", b'{"choices":[{}]']
)
def test_a_whole_answer_without_an_answer_is_garbled(body: bytes) -> None:
    with pytest.raises(ProviderGarbled):
        read_whole(body)


#: What a choice of a whole answer may hold beside a text and an end.
_MORE_OF_A_MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "refusal": st.sampled_from([None, "", "No."]),
        "reasoning_content": st.sampled_from([None, "", "Hm."]),
        "reasoning": st.sampled_from([None, "", "Hm.", {"any": 1}]),
        "reasoning_details": st.sampled_from(
            [None, [], [{"type": "reasoning.text", "text": "Hm.", "signature": "s"}]]
        ),
        "tool_calls": st.sampled_from(
            [None, [], [{"id": "c", "type": "function", "function": {"name": "f"}}]]
        ),
        "function_call": st.sampled_from([None, {"name": "f", "arguments": "{}"}]),
        "annotations": st.sampled_from([None, [], [{"type": "url_citation"}]]),
        "audio": st.sampled_from([None, {"transcript": "said"}]),
    },
)
_ENDS_OF_A_CHOICE = st.sampled_from(
    [None, "", "stop", "length", "tool_calls", "function_call", "content_filter", "eos"]
)


@given(
    content=st.sampled_from(["text", "", None, [{"type": "text", "text": "in parts"}]]),
    more=_MORE_OF_A_MESSAGE,
    finish=_ENDS_OF_A_CHOICE,
    logprobs=st.sampled_from([None, {"content": []}]),
    index=st.sampled_from([0, None, 1]),
    sources=st.sampled_from([{}, {"citations": ["https://example.org"]}]),
)
def test_the_short_way_through_a_whole_answer_says_what_the_long_one_says(
    content: Any, more: Any, finish: Any, logprobs: Any, index: Any, sources: Any
) -> None:
    choice = {"message": {"role": "assistant", "content": content} | more}
    choice |= {"finish_reason": finish, "logprobs": logprobs, "index": index}
    body = json.dumps(WHOLE | sources | {"choices": [choice]}).encode()
    short = read_whole(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openai_answer, "_plain_choices", lambda *_: None)
        assert read_whole(body) == short
