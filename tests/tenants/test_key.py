"""The text of a key: recognisable, checked, and nowhere but in the hands of its holder."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from santral.tenants.key import KEY_LENGTH, MARK, digest, is_intact, new_key


@given(st.integers(0, 2**32))
def test_a_new_key_is_intact_and_known_by_prefix_and_digest(seed: int) -> None:
    key = new_key(Random(seed).randbytes)
    assert is_intact(key.plaintext)
    assert len(key.plaintext) == KEY_LENGTH == 58
    assert key.plaintext.startswith(key.prefix)
    assert len(key.prefix) == len(MARK) + 6
    assert key.digest == digest(key.plaintext).hex()


@given(st.integers(0, 2**32), st.data())
def test_one_wrong_character_is_found_without_a_look_up(seed: int, data: st.DataObject) -> None:
    text = new_key(Random(seed).randbytes).plaintext
    at = data.draw(st.integers(0, len(text) - 1))
    wrong = data.draw(st.sampled_from("abcXYZ019_-é").filter(lambda c: c != text[at]))
    assert not is_intact(text[:at] + wrong + text[at + 1 :])


@given(st.text())
def test_no_text_breaks_the_check_or_the_digest(text: str) -> None:
    assert not is_intact(text)
    assert len(digest(text)) == 32


def test_a_new_key_cannot_be_printed_by_accident() -> None:
    key = new_key(Random(1).randbytes)
    assert key.plaintext not in repr(key)
    assert key.plaintext not in f"{[key]}"
