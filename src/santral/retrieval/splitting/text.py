"""The text of a document: its blocks laid one after the other, so that a place in it is a number.

Headings stand above what they are about, in the path of a section; one with nothing below it is text
itself. Every way of splitting cuts this one text, so a place means the same in all of them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from santral.retrieval.document import Block, Chunk, PageBreak
from santral.wire.usage import BYTES_PER_TOKEN

#: Longest heading that goes into the path of a section.
_MAX_HEADING = 120
# Longer white space says nothing in prose, and what stands between two chunks is at most 4 characters.
_LONG_SPACE = re.compile(r"\s{3,}")


class Span(Struct, frozen=True):
    """A block at its place."""

    start: int
    end: int
    kind: Literal["heading", "paragraph", "code", "table", "item"]


class Section(Struct, frozen=True):
    """What stands under one heading; ``path`` holds the headings above it, outermost first."""

    path: tuple[str, ...]
    spans: tuple[Span, ...]


class Laid(Struct, frozen=True):
    """A document's text, its sections in order, and where each page begins."""

    text: str
    sections: tuple[Section, ...]
    breaks: tuple[PageBreak, ...]
    is_ascii: bool

    def size(self, start: int, end: int) -> int:
        """Return the bytes of a part of the text."""
        return end - start if self.is_ascii else len(self.text[start:end].encode())

    def pages(self, start: int, end: int, shift: int = 0) -> tuple[PageBreak, ...]:
        """Return the pages of a part, counted from its beginning; it stands behind ``shift`` others."""
        place = bisect_right(self.breaks, start, key=lambda each: each.at) - 1
        if place < 0:
            return ()
        found = [PageBreak(0, self.breaks[place].page)]
        place += 1
        while place < len(self.breaks) and self.breaks[place].at < end:
            each = self.breaks[place]
            found.append(PageBreak(each.at - start + shift, each.page))
            place += 1
        return tuple(found)


def fits(size_bytes: int, tokens: int) -> bool:
    """Whether a text of so many bytes is estimated at ``tokens`` or fewer."""
    return int(size_bytes / BYTES_PER_TOKEN) + 1 <= tokens


def lay(blocks: Iterable[Block]) -> Laid:
    """Return the text of a document."""
    layer = _Layer()
    sections = tuple(
        Section(path, tuple(layer.put(body))) for path, body in _sections(blocks) if body
    )
    text = "".join(layer.parts)
    return Laid(text, sections, tuple(layer.breaks), text.isascii())


def rebuilt(chunks: Iterable[Chunk]) -> str:
    """Return the text of a document from its chunks, however it was split."""
    parts: list[str] = []
    end = 0
    for chunk in chunks:
        own = chunk.text[chunk.repeated :]
        if parts and chunk.start >= end:
            parts.append(chunk.separator)
        parts.append(own[max(0, end - chunk.start) :])
        end = max(end, chunk.end)
    return "".join(parts)


class _Layer:
    """Puts blocks behind each other."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.breaks: list[PageBreak] = []
        self._size = 0

    def put(self, blocks: Iterable[Block]) -> Iterator[Span]:
        """Lay the blocks of a section; a paragraph that a page break cut is one span."""
        held: Span | None = None
        for block in blocks:
            text = _normal(block)
            if not text:
                continue
            goes_on = block.continues and held is not None and held.kind == block.kind
            are_items = held is not None and held.kind == block.kind == "item"
            self._lay(" " if goes_on else "\n" if are_items else "\n\n")
            start = self._size
            self._turn_page(block)
            self._lay(text)
            if goes_on and held is not None:
                held = Span(held.start, self._size, held.kind)
                continue
            if held is not None:
                yield held
            held = Span(start, self._size, block.kind)
        if held is not None:
            yield held

    def _lay(self, text: str) -> None:
        if self.parts or not text.isspace():
            self.parts.append(text)
            self._size += len(text)

    def _turn_page(self, block: Block) -> None:
        if block.page is not None and (not self.breaks or self.breaks[-1].page != block.page):
            self.breaks.append(PageBreak(self._size, block.page))


def _normal(block: Block) -> str:
    """Return the text of a block without blanks at its end, nor line ends in front."""
    text = block.text.rstrip().lstrip("\r\n")
    if block.kind in ("code", "table"):
        return text
    return _LONG_SPACE.sub(lambda space: "\n" if "\n" in space[0] else " ", text)


def _sections(blocks: Iterable[Block]) -> Iterator[tuple[tuple[str, ...], list[Block]]]:
    """Yield the sections that hold text; a heading with nothing below it is text itself."""
    path: list[tuple[int, str]] = []
    pending: Block | None = None
    names: tuple[str, ...] = ()
    body: list[Block] = []
    for block in blocks:
        if block.kind != "heading":
            body.append(block)
            pending = None
            continue
        if pending is not None and pending.level >= block.level:
            body.append(pending)
        if body:
            yield names, body
        path = [(level, text) for level, text in path if level < block.level]
        path.append((block.level, " ".join(block.text.split())[:_MAX_HEADING]))
        names, body, pending = tuple(text for _, text in path), [], block
    if pending is not None:
        body.append(pending)
    if body:
        yield names, body
