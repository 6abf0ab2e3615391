"""The event stream reads alike however it is split, as botocore reads it, and is never believed unchecked."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st
from tests.providers.frames import event, exception, frame
from tests.replay import RECORDINGS

from santral.errors import ProviderGarbled
from santral.providers.bedrock.frames import Frame, FrameReader

STREAMS = sorted(file.name for file in (RECORDINGS / "bedrock").glob("*.bin"))
ONE = event("messageStart", role="assistant")


def read(data: bytes, cuts: list[int] | None = None) -> list[Frame]:
    reader = FrameReader()
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts or ()), len(data)]
    frames = [made for a, b in pairwise(places) for made in reader.feed(data[a:b])]
    assert not reader.pending
    return frames


@pytest.mark.parametrize("name", STREAMS)
@given(cuts=st.lists(st.integers(0, 5_000), max_size=12))
def test_a_stream_reads_alike_however_its_bytes_are_split(name: str, cuts: list[int]) -> None:
    data = (RECORDINGS / "bedrock" / name).read_bytes()
    assert read(data, cuts) == read(data)


@pytest.mark.parametrize("name", STREAMS)
def test_botocore_reads_the_same(name: str) -> None:
    data = (RECORDINGS / "bedrock" / name).read_bytes()
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    assert [(made.headers, made.payload) for made in read(data)] == [
        (message.headers, message.payload) for message in buffer
    ]


@given(
    st.lists(
        st.tuples(
            st.dictionaries(
                st.text("abc:-", min_size=1, max_size=20), st.text(max_size=40), max_size=4
            ),
            st.binary(max_size=200),
        ),
        max_size=4,
    ),
    st.lists(st.integers(0, 2_000), max_size=8),
)
def test_any_frames_come_back_whole(
    made: list[tuple[dict[str, str], bytes]], cuts: list[int]
) -> None:
    data = b"".join(frame(headers, payload) for headers, payload in made)
    assert read(data, cuts) == [Frame(headers, payload) for headers, payload in made]


@given(st.integers(0, len(ONE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_never_believed(at: int, change: int) -> None:
    broken = bytearray(ONE)
    broken[at] ^= change
    reader = FrameReader()
    with pytest.raises(ProviderGarbled):
        reader.feed(bytes(broken) + ONE)


def test_headers_of_every_type_are_stepped_over() -> None:
    values = [b"\x00", b"\x01", b"\x02\x05", b"\x03\x00\x05", b"\x04" + b"\x00" * 4]
    values += [
        b"\x05" + b"\x00" * 8,
        b"\x06\x00\x02ab",
        b"\x08" + b"\x00" * 8,
        b"\x09" + b"\x00" * 16,
    ]
    packed = b"".join(b"\x01x" + value for value in values) + b"\x01y\x07\x00\x02hi"
    (made,) = read(built(packed, b"{}"))
    assert made == Frame({"y": "hi"}, b"{}")


def built(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize(
    "headers", [b"\x05x", b"\x01x\x63", b"\x01x\x07\xff\xffab", b"\x01\xff\x00"]
)
def test_headers_that_lie_about_themselves_are_garbled(headers: bytes) -> None:
    with pytest.raises(ProviderGarbled):
        FrameReader().feed(built(headers, b""))


@pytest.mark.parametrize(
    ("total", "headers"), [(15, 0), (0, 0), (2**31, 0), (40, 30), (2**20, 2**19)]
)
def test_lengths_that_cannot_be_are_refused_before_anybody_waits(total: int, headers: int) -> None:
    prelude = struct.pack(">II", total, headers)
    with pytest.raises(ProviderGarbled, match="wrong length"):
        FrameReader().feed(prelude + struct.pack(">I", zlib.crc32(prelude)))


def test_what_is_no_event_stream_is_garbled() -> None:
    with pytest.raises(ProviderGarbled, match="corrupted"):
        FrameReader().feed(b"<html><body>maintenance</body></html>")


def test_half_a_frame_is_pending() -> None:
    reader = FrameReader()
    assert reader.feed(exception("throttlingException", message="x")[:-1]) == []
    assert reader.pending
