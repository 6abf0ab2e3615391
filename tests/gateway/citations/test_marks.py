"""Marks are found in a text however it is cut, and code is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.gateway.citations.marks import Mark, MarkReader


def read(*pieces: str) -> list[str | Mark]:
    reader = MarkReader()
    found = [token for piece in pieces for token in reader.push(piece)]
    return found + reader.finish()


def joined(tokens: list[str | Mark]) -> list[str | Mark]:
    """Return tokens with texts that follow each other in one."""
    made: list[str | Mark] = []
    for token in tokens:
        if isinstance(token, str) and made and isinstance(made[-1], str):
            made[-1] += token
        else:
            made.append(token)
    return made


def numbers(text: str) -> list[tuple[int, ...]]:
    return [token.numbers for token in read(text) if isinstance(token, Mark)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It rains [1].", [(1,)]),
        ("It rains [2, 3].", [(2, 3)]),
        ("It rains [1-3].", [(1, 2, 3)]),
        ("It rains [1–3, 5].", [(1, 2, 3, 5)]),
        ("It rains 【1】.", [(1,)]),
        ("It rains 【4†rain.pdf】.", [(4,)]),
        ("It rains[1][2].", [(1,), (2,)]),
        ("In [2024] it rained.", []),
        ("See [the page](https://x).", []),
        ("`x[1]` and ```\na[2]\n\nb[3]``` [4]", [(4,)]),
        ("A lone ` ends with its line\n[1]", [(1,)]),
        ("[]", []),
        ("[1", []),
        ("[1, 1]", [(1,)]),
        ("[3-1]", [(3,)]),
    ],
)
def test_marks_are_read(text: str, found: list[tuple[int, ...]]) -> None:
    assert numbers(text) == found


def test_a_mark_right_behind_a_word_says_so() -> None:
    assert [token.is_glued for token in read("x[1] y [2]") if isinstance(token, Mark)] == [
        True,
        False,
    ]


PIECES = st.lists(
    st.sampled_from([
        "It", " ", "[", "1", "]", ", ", "2", "-", "【", "】", "†a", "`", "```", "\n", "x", "ğ", ".",
        "    ", "[1]", "12",
    ]),
    max_size=30,
)  # fmt: skip


@given(PIECES, st.data())
def test_a_text_reads_alike_however_it_is_cut(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    cut = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = joined(read(text))
    assert joined(read(*cut)) == whole
    assert "".join(t if isinstance(t, str) else t.space + t.text for t in whole) == text


def test_what_is_held_back_is_bounded() -> None:
    reader = MarkReader()
    said = "".join(str(token) for token in reader.push("[" + "1" * 10_000))
    assert len(said) > 9_000
