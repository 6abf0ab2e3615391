"""Losses as callers are told of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from santral.wire.loss import MOST_LOSSES, Losses


@given(st.text())
def test_a_callers_own_name_of_a_field_breaks_no_header(name: str) -> None:
    losses = Losses()
    losses.drop(name)
    losses.change(name, name)
    for told in losses.names():
        assert told.isascii()
        assert not set(told) & {"\r", "\n", ",", "\x7f"}
        assert all(letter.isprintable() for letter in told)


def test_a_line_feed_starts_no_header_and_a_thousand_losses_fit() -> None:
    losses = Losses()
    losses.drop("a\r\nset-cookie: x=1")
    assert losses.names() == ["a??set-cookie: x=1"]
    for number in range(1000):
        losses.drop(f"messages.{number}.content.0" + "x" * number)
    assert len(losses.names()) == MOST_LOSSES + 1
    assert losses.names()[-1] == "..."
    assert len(", ".join(losses.names())) < 8192
