"""An answer ends where it should: before a stop sequence, after its JSON, and not a token later."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.worker import cut, part, whole

from santral.gateway.stages.early_end import EarlyEnd, stop_sequences
from santral.wire.delta import ChoiceDelta, Delta, ToolCallDelta
from santral.wire.render import fold
from santral.wire.usage import Usage

WORDS = st.text('abAB \n#{}"\\[]é', max_size=40)


def through(end: EarlyEnd, deltas: list[Delta]) -> list[Delta]:
    """Pour deltas as an attempt does."""
    sent: list[Delta] = []
    for delta in deltas:
        sent += end.take(delta)
        if end.is_over:
            break
    return sent


def stream(text: str, sizes: list[int] | None = None, *, index: int = 0) -> list[Delta]:
    pieces: list[str] = []
    for size in sizes or []:
        pieces.append(text[:size])
        text = text[size:]
    pieces += cut(text, 3)
    parts = [part(ChoiceDelta(index, piece), role=n == 0) for n, piece in enumerate(pieces)]
    return [*parts, part(ChoiceDelta(index, finish_reason="length"))]


def said(deltas: list[Delta]) -> ChoiceDelta:
    return fold(deltas).choices[0]


@given(
    WORDS,
    st.lists(st.text("abAB \n#", min_size=1, max_size=5), min_size=1, max_size=4),
    st.lists(st.integers(1, 7), max_size=20),
)
def test_an_answer_is_cut_before_the_first_stop_sequence_however_it_is_split(
    text: str, stops: list[str], sizes: list[int]
) -> None:
    answer = said(through(EarlyEnd(stops, is_json=False), stream(text, sizes)))
    places = [(text.index(stop), stop) for stop in stops if stop in text]
    expected, found = min(places) if places else (len(text), "")
    # Split over deltas, one that ends earlier is seen earlier: a longer one may begin before it.
    assert not any(stop in answer.text for stop in stops)
    assert text.startswith(answer.text)
    if places:
        assert len(answer.text) >= expected
        assert (answer.finish_reason, answer.stop_sequence in stops) == ("stop", True)
    else:
        assert (answer.text, answer.finish_reason) == (text, "length")
    if len(set(stops)) == 1:
        assert (answer.text, answer.stop_sequence) == (text[:expected], found)


def test_nothing_of_a_stop_sequence_leaves_before_it_is_known_not_to_be_one() -> None:
    end = EarlyEnd(["STOP"], is_json=False)
    sent = [end.take(part(ChoiceDelta(text=piece))) for piece in ("one S", "TO", " two ST", "OP x")]
    texts = ["".join(d.choices[0].text for d in deltas) for deltas in sent]
    assert texts == ["one ", "", "STO two ", ""]
    assert end.is_over


def test_what_was_held_back_leaves_with_the_end() -> None:
    answer = said(through(EarlyEnd(["###"], is_json=False), stream("all of it ##")))
    assert (answer.text, answer.finish_reason) == ("all of it ##", "length")


def test_untouched_deltas_keep_the_providers_bytes() -> None:
    deltas = stream("Hello there")
    assert through(EarlyEnd(["###"], is_json=False), deltas) == deltas


def test_the_bytes_say_what_the_deltas_say() -> None:
    for delta in through(EarlyEnd(["re wo"], is_json=False), stream("Hello there world")):
        if delta.raw:
            raw = json.loads(delta.raw)["choices"][0]["delta"].get("content") or ""
            assert raw == delta.choices[0].text
            assert "wo" not in raw


def test_every_choice_is_cut_by_itself() -> None:
    end = EarlyEnd(["X"], is_json=False, choices=2)
    first = through(end, stream("one X two"))
    assert not end.is_over, "the second choice is still being made"
    second = through(end, stream("three X four", index=1))
    assert [c.text for c in fold([*first, *second]).choices] == ["one ", "three "]
    assert end.is_over


def test_a_whole_answer_is_cut_too_and_keeps_its_usage() -> None:
    (made,) = EarlyEnd(["###"], is_json=False).take(whole(ChoiceDelta(text="one ### two")))
    assert made.choices[0].text == "one "
    assert (made.choices[0].finish_reason, made.choices[0].stop_sequence) == ("stop", "###")
    assert made.usage is not None
    assert not made.raw, "those bytes say more"
    untouched = whole(ChoiceDelta(text="one"))
    assert EarlyEnd(["###"], is_json=False).take(untouched) == [untouched]


def test_reasoning_tools_and_usage_pass() -> None:
    end = EarlyEnd(["X"], is_json=True)
    tool = part(ChoiceDelta(tool_calls=(ToolCallDelta(name="X", arguments='{"X": 1}'),)))
    thought = part(ChoiceDelta(reasoning="X and then"))
    usage = Delta(usage=Usage(output_text=1))
    assert [end.take(delta) for delta in (tool, thought, usage)] == [[tool], [thought], [usage]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict | list))


@given(JSON, st.text(" \n\tabc}]", min_size=1, max_size=8), st.lists(st.integers(1, 9), max_size=9))
def test_what_follows_complete_json_is_cut_however_it_is_split(
    value: object, trailing: str, sizes: list[int]
) -> None:
    text = json.dumps(value)
    end = EarlyEnd([], is_json=True)
    answer = said(through(end, stream(f" {text}{trailing}", sizes)))
    assert answer.text == f" {text}"
    assert end.is_over
    assert answer.finish_reason == "stop"


def test_a_provider_that_ends_by_itself_after_its_json_is_let_end() -> None:
    """So its exact usage comes, and its connection is kept."""
    end = EarlyEnd([], is_json=True)
    deltas = stream('{"a": 1}')
    assert through(end, deltas) == deltas
    assert not end.is_over


@pytest.mark.parametrize("text", ['```json\n{"a": 1}\n``` as asked', "17 and more", "{ open"])
def test_what_is_no_json_object_is_never_cut(text: str) -> None:
    end = EarlyEnd([], is_json=True)
    assert said(through(end, stream(text))).text == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, ()), ("X", ("X",)), (["a", "b"], ("a", "b")), ([], ()), (["a", 3], ("a",))],
)
def test_stop_sequences_come_as_a_text_or_a_list(value: object, expected: tuple[str, ...]) -> None:
    assert stop_sequences(value) == expected
