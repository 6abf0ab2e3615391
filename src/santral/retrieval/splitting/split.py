"""Splitting: a document becomes chunks along its headings, paragraphs and sentences.

Small passages are found best, longer ones answer best: every chunk knows the longer passage (its
parent) that it is a piece of. Nothing is indexed twice, and joined the chunks give every sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from santral.retrieval.analysis.sentence import sentences
from santral.retrieval.collection import SPLIT_VERSION
from santral.retrieval.document import Block, Chunk
from santral.wire.usage import estimate_tokens

#: Code and tables up to this many times the length of a chunk are kept whole. Chosen: half a table
#: answers worse than a long passage ranks.
WHOLE_FACTOR = 2

#: Longest heading that goes into the path of a section.
_MAX_HEADING = 120


class _Piece(Struct, frozen=True):
    """Text that is not split further, and what stands between it and the piece before."""

    text: str
    separator: str
    page: int | None


class _Section(Struct):
    """What stands under one heading."""

    path: tuple[str, ...]
    blocks: list[Block]


def recipe(child_tokens: int, parent_tokens: int) -> str:
    """Return what names this way of splitting."""
    return f"{SPLIT_VERSION}:{child_tokens}:{parent_tokens}"


def split(blocks: Sequence[Block], *, child_tokens: int, parent_tokens: int) -> list[Chunk]:
    """Return the chunks of a document in reading order.

    A chunk holds about ``child_tokens`` and never crosses a heading; chunks share a parent of about
    ``parent_tokens`` within one part of the document (its first two heading levels).
    """
    chunks: list[Chunk] = []
    parent, parent_size, part = -1, 0, ("",)
    for section in _sections(blocks):
        for text, separator, page in _children(section.blocks, child_tokens):
            tokens = estimate_tokens(text)
            if parent_size + tokens > parent_tokens or section.path[:2] != part or parent < 0:
                parent, parent_size, part = parent + 1, 0, section.path[:2]
            parent_size += tokens
            chunks.append(
                Chunk(
                    position=len(chunks),
                    parent=parent,
                    section=" > ".join(section.path),
                    text=text,
                    tokens=tokens,
                    page=page,
                    separator=separator,
                )
            )
    return chunks


def _sections(blocks: Iterable[Block]) -> Iterator[_Section]:
    """Yield the sections that hold text; a heading with nothing below it is text itself."""
    path: list[tuple[int, str]] = []
    pending: Block | None = None
    section = _Section((), [])
    for block in blocks:
        if block.kind != "heading":
            section.blocks.append(block)
            pending = None
            continue
        if pending is not None and pending.level >= block.level:
            section.blocks.append(pending)
        if section.blocks:
            yield section
        path = [(level, text) for level, text in path if level < block.level]
        path.append((block.level, " ".join(block.text.split())[:_MAX_HEADING]))
        section, pending = _Section(tuple(text for _, text in path), []), block
    if pending is not None:
        section.blocks.append(pending)
    if section.blocks:
        yield section


def _children(blocks: Sequence[Block], limit: int) -> Iterator[tuple[str, str, int | None]]:
    """Yield (text, separator in front, page) of each chunk of a section."""
    pieces: list[_Piece] = []
    size = 0
    for piece in _pieces(blocks, limit):
        tokens = estimate_tokens(piece.text)
        if pieces and size + tokens > limit:
            yield _joined(pieces), pieces[0].separator, pieces[0].page
            pieces, size = [], 0
        pieces.append(piece)
        size += tokens
    if pieces:
        yield _joined(pieces), pieces[0].separator, pieces[0].page


def _joined(pieces: Sequence[_Piece]) -> str:
    rest = "".join(piece.separator + piece.text for piece in pieces[1:])
    return pieces[0].text + rest


def _pieces(blocks: Sequence[Block], limit: int) -> Iterator[_Piece]:
    """Yield blocks that fit whole, and the parts of those that do not."""
    before: Block | None = None
    for block in blocks:
        are_items = before is not None and before.kind == block.kind == "item"
        separator = "\n" if are_items else "\n\n"
        before = block
        is_solid = block.kind in ("code", "table")
        if estimate_tokens(block.text) <= (limit * WHOLE_FACTOR if is_solid else limit):
            yield _Piece(block.text, separator, block.page)
            continue
        parts, between = _parts(block, limit)
        for number, part in enumerate(parts):
            yield _Piece(part, between if number else separator, block.page)


def _parts(block: Block, limit: int) -> tuple[list[str], str]:
    """Return the parts of a block that is too long, and what stands between them."""
    if block.kind in ("code", "table"):
        return _packed(block.text.split("\n"), "\n", limit), "\n"
    return _packed(sentences(block.text), " ", limit), " "


def _packed(units: Iterable[str], between: str, limit: int) -> list[str]:
    """Join units up to the limit; a unit beyond it is cut at words, a word at letters."""
    parts: list[str] = []
    current = ""
    for unit in units:
        longer = f"{current}{between}{unit}" if current else unit
        if estimate_tokens(longer) <= limit:
            current = longer
            continue
        if current:
            parts.append(current)
        *whole, current = _cut(unit, limit)
        parts.extend(whole)
    return [part for part in [*parts, current] if part.strip()]


def _cut(unit: str, limit: int) -> list[str]:
    if estimate_tokens(unit) <= limit:
        return [unit]
    words = unit.split()
    if len(words) > 1:
        return _packed(words, " ", limit) or [""]
    # A word of this length is data, not language: letters are 1 to 4 bytes each.
    step = max(1, limit // 2)
    return [unit[start : start + step] for start in range(0, len(unit), step)]
