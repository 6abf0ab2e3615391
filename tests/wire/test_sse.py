"""Events decode alike however their bytes are split, and as the specification says."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import ProviderGarbled
from santral.wire import sse
from santral.wire.sse import DONE, Event, SseDecoder, encode_event

ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
TEXT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",))).map(str.encode)
LINES = st.one_of(
    TEXT.map(lambda value: b"data: " + value),
    TEXT.map(lambda value: b"data:" + value),
    TEXT.map(lambda value: b"event: " + value),
    TEXT.map(lambda value: b": " + value),
    TEXT.map(lambda value: b"id: " + value),
    TEXT,
    st.just(b""),
    st.just(b"data"),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(st.tuples(LINES, ENDS), max_size=20))
    start = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return start + b"".join(line + end for line, end in lines)


def decode(*parts: bytes) -> list[Event]:
    decoder = SseDecoder()
    return [event for part in parts for event in decoder.feed(part)]


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


def reference(data: bytes) -> list[Event]:
    """The specification's algorithm, line by line, over the whole text."""
    text = data.decode().removeprefix("\ufeff")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]
    events: list[Event] = []
    values: list[str] = []
    name = ""
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if values:
                events.append(Event("\n".join(values).encode(), name.encode()))
            values, name = [], ""
        elif field == "data":
            values.append(value)
        elif field == "event":
            name = value
    return events


@given(streams())
def test_every_stream_decodes_as_the_specification_says(data: bytes) -> None:
    assert decode(data) == reference(data)


@given(streams(), st.lists(st.integers(0, 10_000), max_size=12))
def test_events_are_alike_however_the_bytes_are_split(data: bytes, cuts: list[int]) -> None:
    assert decode(*split(data, cuts)) == decode(data)


@given(streams())
def test_events_are_alike_byte_by_byte(data: bytes) -> None:
    assert decode(*(data[at : at + 1] for at in range(len(data)))) == decode(data)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_line_end_of_every_kind_closes_an_event(end: bytes) -> None:
    assert decode(b"data: a" + end + end) == [Event(b"a")]


def test_a_carriage_return_and_its_line_feed_may_come_apart() -> None:
    assert decode(b"data: a\r", b"\n", b"\r", b"\ndata: b\r\n\r\n") == [Event(b"a"), Event(b"b")]


def test_comments_and_unknown_fields_are_passed_over() -> None:
    assert decode(b": ping\n\nretry: 5\nid: 7\ndata: a\n\n") == [Event(b"a")]


def test_data_over_several_lines_is_joined_by_line_feeds() -> None:
    assert decode(b"data: {\ndata\ndata: }\n\n") == [Event(b"{\n\n}")]


def test_a_byte_order_mark_counts_only_at_the_start() -> None:
    mark = b"\xef\xbb\xbf"
    assert decode(mark[:1], mark[1:] + b"data: a\n\n" + mark + b"data: b\n\n") == [Event(b"a")]


def test_an_event_without_its_blank_line_is_pending() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.pending
    assert decoder.feed(b"\n") == [Event(b"a")]
    assert not decoder.pending


@pytest.mark.parametrize("line", [b"data: " + b"a" * 60, b"data: a\n" * 40, b"data\n" * 120])
def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    decoder = SseDecoder()
    with pytest.raises(ProviderGarbled, match="larger than 100 bytes"):
        decoder.feed(line + line)


@given(st.binary().filter(lambda data: not {10, 13} & set(data)))
def test_what_is_encoded_decodes_to_itself(data: bytes) -> None:
    assert decode(encode_event(data), encode_event(data, b"delta"), DONE) == [
        Event(data),
        Event(data, b"delta"),
        Event(b"[DONE]"),
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_json_that_a_vendor_indented_is_one_data_line(end: bytes) -> None:
    data = b"{" + end + b'  "text": "a\\nb"' + end + b"}"
    for name in (b"", b"delta"):
        (event,) = decode(encode_event(data, name))
        assert json.loads(event.data) == {"text": "a\nb"}
        assert (event.name, event.data.count(b"\n")) == (name, 0)
