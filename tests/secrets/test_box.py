"""The cipher: known answers, and nothing opens that was touched."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import SealBroken
from santral.secrets.box import Box, place_of

KEY = secrets.token_bytes(32)


def box(key: bytes = KEY) -> Box:
    return Box(key, secrets.token_bytes)


# Source: https://c2sp.org/XAES-256-GCM, test vectors: one for each value of the shifted bit.
@pytest.mark.parametrize(
    ("key", "place", "sealed"),
    [
        (b"\1" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (
            b"\3" * 32,
            b"c2sp.org/XAES-256-GCM",
            "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
        ),
    ],
)
def test_known_answers(key: bytes, place: bytes, sealed: str) -> None:
    nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX"
    made = Box(key, lambda size: nonce[:size]).seal(b"XAES-256-GCM", place)
    assert made == nonce + bytes.fromhex(sealed)
    assert Box(key, secrets.token_bytes).open(made, place) == b"XAES-256-GCM"


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_was_sealed_opens(data: bytes, place: bytes) -> None:
    assert box().open(box().seal(data, place), place) == data


def test_every_flipped_bit_is_found() -> None:
    sealed = box().seal(b"sk-secret", b"here")
    for position in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(SealBroken):
            box().open(bytes(changed), b"here")


def test_every_cut_and_every_addition_is_found() -> None:
    sealed = box().seal(b"sk-secret", b"here")
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            box().open(sealed[:length], b"here")
    with pytest.raises(SealBroken):
        box().open(sealed + b"\0", b"here")


def test_another_place_and_another_key_do_not_open() -> None:
    sealed = box().seal(b"sk-secret", b"here")
    with pytest.raises(SealBroken):
        box().open(sealed, b"there")
    with pytest.raises(SealBroken):
        box(secrets.token_bytes(32)).open(sealed, b"here")


def test_equal_texts_are_sealed_differently() -> None:
    assert len({box().seal(b"same", b"here") for _ in range(1000)}) == 1000


@given(st.lists(st.text()), st.lists(st.text()))
def test_no_two_lists_of_parts_name_one_place(a: list[str], b: list[str]) -> None:
    assert (place_of(*a) == place_of(*b)) == (a == b)


def test_nothing_prints_a_key() -> None:
    assert repr(Box(b"k" * 32, secrets.token_bytes)) == "Box(…)"
