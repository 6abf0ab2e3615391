"""Bodies out of gzip: bounded in memory and in time."""

from __future__ import annotations

import gzip
import time

import pytest

from santral.errors import BadRequest, TooLarge
from santral.gateway.body import _unpacked


def test_a_body_of_several_members_is_one_body() -> None:
    assert _unpacked(gzip.compress(b"one ") + gzip.compress(b"two"), 100) == b"one two"


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(b"", mtime=0) * 300_000, gzip.compress(b"x", mtime=0)[:-1]],
    ids=["empty", "cut"],
)
def test_empty_members_without_end_keep_no_thread(packed: bytes) -> None:
    began = time.perf_counter()
    with pytest.raises(BadRequest):
        _unpacked(packed, 8_000_000)
    assert time.perf_counter() - began < 1


def test_a_bomb_is_too_large() -> None:
    with pytest.raises(TooLarge):
        _unpacked(gzip.compress(b"\0" * 10_000_000), 1000)
