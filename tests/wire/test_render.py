"""Deltas become OpenAI's JSON; edits keep every field that we do not know."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from santral.wire.delta import ChoiceDelta, Delta, ToolCallDelta
from santral.wire.render import chunk, completion, fold, with_choices, without_usage
from santral.wire.usage import Usage


def test_folding_a_stream_gives_the_whole_answer() -> None:
    deltas = [
        Delta(choices=(ChoiceDelta(text="Hel"),), id="1", model="m", created=5),
        Delta(choices=(ChoiceDelta(tool_calls=(ToolCallDelta(0, "id", "f", '{"a"'),)),)),
        Delta(choices=(ChoiceDelta(text="lo"), ChoiceDelta(index=1, text="Hi"))),
        Delta(choices=(ChoiceDelta(tool_calls=(ToolCallDelta(0, arguments=": 1}"),)),)),
        Delta(choices=(ChoiceDelta(finish_reason="stop"),), usage=Usage(output_text=3)),
    ]
    whole = fold(deltas)
    assert [c.text for c in whole.choices] == ["Hello", "Hi"]
    assert whole.choices[0].tool_calls == (ToolCallDelta(0, "id", "f", '{"a": 1}'),)
    body = json.loads(completion(whole))
    assert body["choices"][0]["message"]["content"] == "Hello"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["completion_tokens"] == 3


@given(st.text(), st.lists(st.integers(0, 200), max_size=6))
def test_folding_is_the_same_however_the_text_was_cut(text: str, cuts: list[int]) -> None:
    edges = sorted({0, len(text), *(c for c in cuts if c <= len(text))})
    parts = [text[a:b] for a, b in pairwise(edges)] or [text]
    whole = fold([Delta(choices=(ChoiceDelta(text=part),)) for part in parts])
    assert whole.choices[0].text == text


def test_an_edited_chunk_keeps_unknown_fields() -> None:
    raw = b'{"id":"1","x":1e400,"choices":[{"index":0,"y":2,"delta":{"content":"a@b.c","z":3}}]}'
    edited = with_choices(Delta(raw=raw), (ChoiceDelta(text="[EMAIL_1]"),))
    assert b'"z":3' in edited.raw
    assert b'"y":2' in edited.raw
    assert b"[EMAIL_1]" in edited.raw
    assert b"a@b.c" not in edited.raw


def test_usage_is_taken_out_and_the_rest_kept_byte_for_byte() -> None:
    assert without_usage(b'{"a":1.10,"usage":null}') == b'{"a":1.10}'
    assert without_usage(b'{"usage":{"x":1},"a":1.10}') == b'{"a":1.10}'
    assert without_usage(b'{"a":1.10}') == b'{"a":1.10}'


def test_the_first_composed_chunk_announces_the_assistant() -> None:
    first = json.loads(chunk(Delta(choices=(ChoiceDelta(text="x"),)), role=True))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "x"}
