"""Plain views: what they undo, and the way back to the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.guardrails.decode import squashed, views
from santral.guardrails.normalise import plain


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("plain", "plain"),
        ("İSTANBUL Işık ığüşöç", "ISTANBUL Isik igusoc"),
        ("ig\u200bno\u00adre", "ignore"),
        ("\u202eignore\u2066", "ignore"),
        ("i\u0301g\u0335nore", "ignore"),
        ("ｉｇｎｏｒｅ １２", "ignore 12"),
        ("𝐢𝐠𝐧𝐨𝐫𝐞", "ignore"),
        ("іgnоrе", "ignore"),
        ("ιgnοre", "ignore"),
        ("\U000e0069\U000e0067", "ig"),
        ("ﬁ ½", "fi 1/2"),
        ("٤١", "41"),
        ("“a” – b…", '"a" - b.'),
        ("日本", "??"),
        ("❤\ufe0f", "?"),
        ("a\u00a0b\u2028c", "a b\nc"),
    ],
)
def test_a_text_reads_as_ascii(text: str, read: str) -> None:
    assert plain(text).data == read.encode()


@given(st.text(), st.text())
def test_the_view_of_a_whole_is_the_views_of_its_parts(first: str, second: str) -> None:
    assert plain(first + second).data == plain(first).data + plain(second).data


@given(st.text())
def test_every_byte_knows_its_character(text: str) -> None:
    view = plain(text)
    expected = [i for i, char in enumerate(text) for _ in plain(char).data]
    assert [view.index(i) for i in range(len(view.data))] == expected
    assert view.index(len(view.data)) == len(text)


@given(st.binary(max_size=200).map(lambda b: bytes(x & 0x7F for x in b)))
def test_no_view_crashes_on_any_bytes(data: bytes) -> None:
    hits = frozenset(
        f"view.{n}" for n in ("spaced", "leet", "base64", "hex", "percent", "rot13", "reversed")
    )
    assert all(made.isascii() for _, made in views(data, hits))
    assert squashed(data).isalnum() or not squashed(data)
