"""Places: every chunk of every splitting stands where it says, on the pages it says."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import BadRequest
from santral.retrieval.collection import Recipe
from santral.retrieval.document import Block, Chunk, Document, PageBreak
from santral.retrieval.splitting.registry import SPLITTINGS, split
from santral.retrieval.splitting.text import lay, rebuilt

KINDS: st.SearchStrategy[Any] = st.sampled_from(["heading", "paragraph", "code", "table", "item"])
LETTERS = st.characters(codec="utf-8", exclude_categories=["Cs"])
TEXTS = st.one_of(
    st.text(LETTERS, max_size=300),
    st.lists(st.sampled_from(["Bir cümle.", "a | b", "word", "\n", "  ", "\n\n\n\n\n\n", "Ğ" * 90]))
    .map(" ".join),
)  # fmt: skip
CHUNKINGS = st.sampled_from(sorted(SPLITTINGS))


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A document whose pages, if it has any, follow each other."""
    page = draw(st.sampled_from([None, 1]))
    blocks: list[Block] = []
    for _ in range(draw(st.integers(0, 20))):
        turns = page is not None and draw(st.booleans())
        page = page + draw(st.integers(1, 3)) if page is not None and turns else page
        blocks.append(
            Block(
                draw(KINDS),
                draw(TEXTS),
                draw(st.integers(1, 4)),
                page,
                draw(st.booleans()) and turns,
            )
        )
    return Document("Title", "text", "en", tuple(blocks))


def recipe(chunking: str, tokens: int = 40, overlap_tokens: int = 10) -> Recipe:
    return Recipe(
        chunking=chunking,
        child_tokens=tokens,
        parent_tokens=tokens * 4,
        overlap_tokens=overlap_tokens,
    )


@given(documents(), CHUNKINGS, st.integers(20, 90), st.integers(0, 20))
def test_chunks_laid_at_their_places_are_the_text(
    document: Document, chunking: str, tokens: int, overlap: int
) -> None:
    text = lay(document.blocks).text
    chunks = split(document, recipe(chunking, tokens, overlap_tokens=overlap))
    assert rebuilt(chunks) == text
    for chunk in chunks:
        assert chunk.text[chunk.repeated :] == text[chunk.start : chunk.end] != ""
        assert chunk.repeated >= 0
        assert len(chunk.separator) <= 4
    assert [chunk.position for chunk in chunks] == list(range(len(chunks)))


@given(documents(), CHUNKINGS)
def test_every_letter_of_a_chunk_is_on_the_page_it_names(document: Document, chunking: str) -> None:
    laid = lay(document.blocks)
    pages: list[int | None] = [None] * len(laid.text)
    for number, each in enumerate(laid.breaks):
        end = laid.breaks[number + 1].at if number + 1 < len(laid.breaks) else len(laid.text)
        pages[each.at : end] = [each.page] * (end - each.at)
    for chunk in split(document, recipe(chunking)):
        assert chunk.page == pages[chunk.start]
        for place in range(chunk.start, chunk.end):
            assert page_at(chunk, place - chunk.start + chunk.repeated) == pages[place]


def page_at(chunk: Chunk, place: int) -> int | None:
    found = [each.page for each in chunk.pages if each.at <= place]
    return found[-1] if found else None


def pages_of(*texts: str) -> Document:
    blocks = tuple(Block("paragraph", text, page=page) for page, text in enumerate(texts, 1))
    return Document("Title", "pdf", "en", blocks)


def test_a_chunk_over_two_pages_says_where_the_second_begins() -> None:
    (chunk,) = split(pages_of("First page.", "Second page."), recipe("recursive"))
    assert chunk.text == "First page.\n\nSecond page."
    assert chunk.pages == (PageBreak(0, 1), PageBreak(13, 2))


def test_a_sentence_that_a_page_break_cuts_is_one_sentence() -> None:
    blocks = (
        Block("paragraph", "It began here. It goes", page=1),
        Block("paragraph", "on over the page. The end.", page=2, continues=True),
    )
    chunks = split(Document("T", "pdf", "en", blocks), recipe("window", 9, overlap_tokens=0))
    assert [chunk.text for chunk in chunks] == [
        "It began here.",
        "It goes on over the page.",
        "The end.",
    ]
    assert [chunk.pages for chunk in chunks] == [
        (PageBreak(0, 1),),
        (PageBreak(0, 1), PageBreak(8, 2)),
        (PageBreak(0, 2),),
    ]


def test_a_long_table_repeats_its_header_and_its_place_is_that_of_its_rows() -> None:
    rows = [f"| row {number} | {number * 7} |" for number in range(40)]
    table = "\n".join(["| name | value |", "| --- | --- |", *rows])
    document = Document("T", "markdown", "en", (Block("table", table),))
    chunks = split(document, recipe("recursive", 60))
    assert len(chunks) > 2
    assert chunks[0].repeated == 0
    for chunk in chunks[1:]:
        assert chunk.text.startswith("| name | value |\n| --- | --- |\n| row ")
        assert chunk.repeated == len("| name | value |\n| --- | --- |\n")
        assert chunk.text[chunk.repeated :] == table[chunk.start : chunk.end]
    assert rebuilt(chunks) == table


def test_windows_share_sentences() -> None:
    text = " ".join(f"Sentence number {number} stands here." for number in range(20))
    document = Document("T", "text", "en", (Block("paragraph", text),))
    chunks = split(document, recipe("window", 60, overlap_tokens=20))
    assert len(chunks) > 3
    for before, after in itertools.pairwise(chunks):
        shared = before.end - after.start
        assert 0 < shared <= 20 * 3.2
        assert before.text.endswith(text[after.start : before.end])
        assert text[after.start : before.end].startswith("Sentence")


def test_the_subject_is_where_a_semantic_chunk_ends() -> None:
    cats = "The cat sleeps on the mat. A cat drinks milk. Cats chase a mouse. The cat purrs softly."
    tax = "Tax is due in April. The tax office sends a letter. Late tax costs interest. Pay tax online."
    document = Document("T", "text", "en", (Block("paragraph", f"{cats} {tax}"),))
    chunks = split(document, recipe("semantic", 100))
    assert [chunk.text for chunk in chunks] == [cats, tax]


def test_whole_is_one_chunk_of_everything() -> None:
    document = pages_of("First. " * 200, "Second. " * 200)
    (chunk,) = split(document, recipe("whole"))
    assert chunk.text == lay(document.blocks).text
    assert [each.page for each in chunk.pages] == [1, 2]


def test_an_unknown_way_of_splitting_names_the_known_ones() -> None:
    with pytest.raises(BadRequest, match=r"recursive, window, semantic, whole.*Did you mean"):
        split(pages_of("x"), recipe("recursiv"))
