"""Stored answers come back whole, or not at all."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st
from tests.cache.answers import answer, rich_answer

from santral.cache.stored import COMPRESS_BYTES, decode_answer, encode_answer

KEY = b"k" * 32


def test_an_answer_with_everything_in_it_comes_back_as_it_was() -> None:
    assert decode_answer(KEY, encode_answer(KEY, rich_answer())) == rich_answer()


def test_a_large_answer_is_stored_compressed() -> None:
    large = answer("ha " * 4000)
    value = encode_answer(KEY, large)
    assert len(value) < 1000
    assert decode_answer(KEY, value) == large
    assert len(encode_answer(KEY, answer())) < COMPRESS_BYTES


@given(st.data())
def test_a_value_that_was_changed_anywhere_is_no_answer(data: st.DataObject) -> None:
    value = bytearray(encode_answer(KEY, data.draw(st.sampled_from([answer(), rich_answer()]))))
    at = data.draw(st.integers(0, len(value) - 1))
    value[at] ^= data.draw(st.integers(1, 255))
    assert decode_answer(KEY, bytes(value)) is None


@given(st.binary(max_size=200))
def test_bytes_of_others_are_no_answer(value: bytes) -> None:
    assert decode_answer(KEY, value) is None


@given(st.integers(0, 200))
def test_a_value_that_was_cut_is_no_answer(length: int) -> None:
    value = encode_answer(KEY, answer())
    assert (decode_answer(KEY, value[:length]) is None) == (length < len(value))


def test_an_answer_is_only_found_under_its_own_key() -> None:
    assert decode_answer(b"x" * 32, encode_answer(KEY, answer())) is None


def test_a_value_of_another_version_is_no_answer() -> None:
    value = bytearray(encode_answer(KEY, answer()))
    value[2] += 1
    assert decode_answer(KEY, bytes(value)) is None


def test_a_bomb_is_not_unpacked() -> None:
    from santral.cache import stored

    body = zlib.compress(b" " * (stored._MOST_BYTES + 10), 1)
    flags = bytes((stored.VERSION, 1))
    value = b"SC" + flags + stored._check(KEY, flags, body) + body
    assert decode_answer(KEY, value) is None
