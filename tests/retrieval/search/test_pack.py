"""Packing: chunks become passages, whole, in order, within the budget, each letter with its place."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.retrieval.search.shelves import OneShelf, chunk, document

from santral.retrieval.access import as_administrator
from santral.retrieval.document import PageBreak
from santral.retrieval.search.layout import GAP, lay
from santral.retrieval.search.pack import cut
from santral.retrieval.search.question import Question
from santral.retrieval.search.retriever import Retriever
from santral.wire.delta import Source
from santral.wire.usage import estimate_tokens

EVERYTHING = as_administrator("acme", "docs")
TEXTS = (
    "Leave begins with a request.", "The manager answers within a week.",
    "Leave can be carried over once.", "Unused days are paid out.",
    "A second chapter speaks of travel.",
)  # fmt: skip


async def passages(**options: object) -> Sequence[Source]:
    shelf = OneShelf([document("rules", *TEXTS, parents=(0, 0, 0, 0, 1))], embedding="off")
    searcher = Retriever(shelf, now=lambda: 0.0)
    given = searcher.options(EVERYTHING, options)
    return (await searcher.search(EVERYTHING, Question("leave request carried"), given)).sources


@pytest.mark.anyio
async def test_chunks_of_a_parent_become_one_passage_with_what_stands_between() -> None:
    found = await passages()
    assert [one.text for one in found] == ["\n\n".join(TEXTS[:3])]
    assert [piece.start for piece in found[0].pieces] == [0, 30, 66]


@pytest.mark.anyio
async def test_never_gives_chunks_alone_and_always_the_whole_parent() -> None:
    alone = await passages(parents="never")
    assert {one.text for one in alone} == {TEXTS[0], TEXTS[2]}
    assert [one.text for one in await passages(parents="always")] == ["\n\n".join(TEXTS[:4])]


@pytest.mark.anyio
async def test_neighbours_go_with_a_passage() -> None:
    assert [one.text for one in await passages(neighbours=1)] == ["\n\n".join(TEXTS[:4])]


@pytest.mark.anyio
async def test_a_short_document_is_given_whole_and_a_long_one_is_not() -> None:
    assert [one.text for one in await passages(whole_document_tokens=500)] == ["\n\n".join(TEXTS)]
    assert [one.text for one in await passages(whole_document_tokens=20)] == [
        "\n\n".join(TEXTS[:3])
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("most", [3, 8, 12, 20, 40])
async def test_passages_never_exceed_the_budget(most: int) -> None:
    found = await passages(max_tokens=most, parents="never")
    assert found
    assert sum(estimate_tokens(one.text) for one in found) <= most + 1


@pytest.mark.anyio
async def test_the_best_passages_stand_at_the_edges() -> None:
    entries = [document(f"d{n}", "leave " * (6 - n) + f"word{n} " * n) for n in range(5)]
    searcher = Retriever(OneShelf(entries, embedding="off"), now=lambda: 0.0)
    orders = ("best-first", "edges")
    options = [searcher.options(EVERYTHING, {"order": order}) for order in orders]
    best, edges = [
        (await searcher.search(EVERYTHING, Question("leave"), one)).sources for one in options
    ]
    names = [one.document_id for one in best]
    assert [one.document_id for one in edges] == [names[n] for n in (0, 2, 4, 3, 1)]
    assert [one.number for one in edges] == [1, 2, 3, 4, 5]


def test_windows_that_overlap_are_joined_once() -> None:
    text = "abcdefghij"
    one = replace(chunk("d", 0, text[:6]), start=0, end=6)
    two = replace(chunk("d", 1, text[4:]), start=4, end=10)
    assert lay([one, two]).text == text


def test_a_gap_and_a_new_section_are_no_text_of_the_document() -> None:
    one = replace(chunk("d", 0, "first", section="A"), start=0, end=5)
    two = replace(chunk("d", 3, "last", section="A > B"), start=90, end=94)
    laid = lay([one, two])
    assert laid.text == f"first{GAP}B\nlast"
    assert [laid.text[p.at : p.end] for p in laid.pieces] == ["first", "last"]


def test_every_piece_knows_its_page() -> None:
    pages = (PageBreak(0, 3), PageBreak(4, 4), PageBreak(8, 5))
    one = replace(chunk("d", 0, "aaa bbb ccc"), start=100, end=111, pages=pages)
    assert [(p.page, p.start) for p in lay([one]).pieces] == [(3, 100), (4, 104), (5, 108)]
    assert [(p.page, p.at, p.end) for p in lay([one]).first(6).pieces] == [(3, 0, 4), (4, 4, 6)]


@given(
    st.text(min_size=1, max_size=120),
    st.lists(st.tuples(st.integers(0, 119), st.integers(1, 40)), min_size=1, max_size=8),
)
def test_pieces_are_the_document_letter_by_letter(text: str, spans: list[tuple[int, int]]) -> None:
    starts = sorted({start for start, _ in spans if start < len(text)})
    chunks = [
        replace(chunk("d", n, text[start : start + size]), start=start,
                end=min(start + size, len(text)))
        for n, (start, (_, size)) in enumerate(zip(starts, spans, strict=False))
    ]  # fmt: skip
    laid = lay(chunks)
    for piece in laid.pieces:
        length = piece.end - piece.at
        assert laid.text[piece.at : piece.end] == text[piece.start : piece.start + length]


@given(st.text(max_size=300), st.integers(1, 60))
def test_a_cut_is_a_beginning_within_the_budget(text: str, most: int) -> None:
    kept = cut(text, most)
    assert text.startswith(kept)
    assert estimate_tokens(kept) <= most + 1
