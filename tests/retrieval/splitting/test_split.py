"""Chunks of a document: nothing lost, headings kept, code and tables whole."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from santral.retrieval.collection import Recipe
from santral.retrieval.document import Block, Chunk, Document
from santral.retrieval.reading.markdown import markdown_blocks
from santral.retrieval.reading.plain import text_blocks
from santral.retrieval.splitting.registry import split
from santral.wire.usage import estimate_tokens

KINDS = st.sampled_from(["heading", "paragraph", "code", "table", "item"])
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=120)
BLOCKS = st.lists(
    st.builds(Block, kind=KINDS, text=WORDS.filter(str.strip), level=st.integers(1, 4)), max_size=25
)


def letters(text: str) -> str:
    return "".join(text.split())


def split_blocks(blocks: Sequence[Block], child: int, parent: int) -> list[Chunk]:
    document = Document("Title", "markdown", "en", tuple(blocks))
    return split(document, Recipe(child_tokens=child, parent_tokens=parent))


def chunks_of(markdown: str, child: int = 60, parent: int = 200) -> list[Chunk]:
    return split_blocks(markdown_blocks(markdown), child, parent)


@given(BLOCKS, st.integers(20, 120))
def test_splitting_loses_no_sentence_and_keeps_their_order(blocks: list[Block], limit: int) -> None:
    chunks = split_blocks(blocks, limit, limit * 4)
    body = [letters(block.text) for block in blocks if block.kind != "heading"]
    found = letters("".join(chunk.text for chunk in chunks))
    sections = letters("".join(chunk.section for chunk in chunks))
    place = 0
    for text in body:
        place = found.index(text, place) + len(text)
    for block in blocks:
        if block.kind == "heading":
            heading = letters(block.text)
            assert heading in found or heading in sections
    assert [chunk.position for chunk in chunks] == list(range(len(chunks)))
    assert all(after.parent - before.parent in (0, 1) for before, after in pairwise(chunks))


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=3000))
def test_no_chunk_of_prose_is_longer_than_asked(text: str) -> None:
    for chunk in split_blocks([Block("paragraph", text)], 50, 200):
        assert chunk.tokens == estimate_tokens(chunk.text) <= 50 + 1


def test_the_path_of_headings_is_kept() -> None:
    chunks = chunks_of(
        "# Guide\n\nIntro.\n\n## Install\n\nRun it.\n\n### Linux\n\nApt.\n\n## Use\n\nGo."
    )
    assert [(chunk.section, chunk.text) for chunk in chunks] == [
        ("Guide", "Intro."),
        ("Guide > Install", "Run it."),
        ("Guide > Install > Linux", "Apt."),
        ("Guide > Use", "Go."),
    ]


def test_a_heading_with_nothing_below_it_is_found_as_text() -> None:
    chunks = chunks_of("# Guide\n\n## Empty\n\n## Full\n\nText.")
    assert [(chunk.section, chunk.text) for chunk in chunks] == [
        ("Guide > Empty", "Empty"),
        ("Guide > Full", "Text."),
    ]


def test_code_and_tables_stay_whole_up_to_twice_the_length() -> None:
    code = "```python\n" + "print('line')\n" * 15 + "```"
    table = "| a | b |\n| --- | --- |\n" + "| cell | cell |\n" * 10
    texts = [chunk.text for chunk in chunks_of(f"# T\n\nBefore.\n\n{code}\n\n{table}")]
    assert any(code in text for text in texts)
    assert any(table.strip() in text for text in texts)


def test_a_long_code_block_is_cut_between_lines() -> None:
    lines = [f"value_{number} = compute({number})" for number in range(200)]
    found = [
        line for c in chunks_of("```\n" + "\n".join(lines) + "\n```") for line in c.text.split("\n")
    ]
    assert [line for line in found if line in set(lines)] == lines


def test_children_of_one_parent_stay_within_its_length() -> None:
    text = "# Long\n\n" + "\n\n".join(
        f"Paragraph {number} says some words here." for number in range(60)
    )
    chunks = chunks_of(text, child=40, parent=150)
    for parent in {chunk.parent for chunk in chunks}:
        assert sum(chunk.tokens for chunk in chunks if chunk.parent == parent) <= 150


def test_plain_text_headings_are_recognised_and_lines_are_joined() -> None:
    blocks = text_blocks(
        "4. Termination\n--------------\n\nThis ends\n  in a month.\n\n   TERMS AND CONDITIONS\n\nx"
    )
    assert [(block.kind, block.text) for block in blocks] == [
        ("heading", "4. Termination"),
        ("paragraph", "This ends in a month."),
        ("heading", "TERMS AND CONDITIONS"),
        ("paragraph", "x"),
    ]


def test_markdown_is_read_block_by_block() -> None:
    blocks = markdown_blocks(
        "Name\n====\n\nA wrapped\nline.\n- one\n- two\n  more\n\n"
        "<!-- hidden -->\n~~~\n# no heading\n~~~\n| a |\n| - |\n\n***\n## Last ##\n```\nopen"
    )
    assert [(block.kind, block.text) for block in blocks] == [
        ("heading", "Name"),
        ("paragraph", "A wrapped line."),
        ("item", "- one"),
        ("item", "- two more"),
        ("code", "~~~\n# no heading\n~~~"),
        ("table", "| a |\n| - |"),
        ("heading", "Last"),
        ("code", "```\nopen"),
    ]
