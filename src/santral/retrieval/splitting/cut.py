"""Cuts: where a text may be divided, and how parts of it become chunks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from santral.retrieval.analysis.sentence import sentence_spans
from santral.retrieval.document import Chunk
from santral.retrieval.splitting.text import Laid, Section, Span, fits
from santral.wire.usage import BYTES_PER_TOKEN, estimate_tokens

#: Code and tables up to this many times the length of a chunk are kept whole. Chosen: half a table
#: answers worse than a long passage ranks.
WHOLE_FACTOR = 2

#: A table's header may take this share of a chunk; a longer one is not repeated. Chosen.
_HEADER_SHARE = 0.25
#: White space between two chunks at most; more of it belongs to the one before. It is a column's width.
_LONGEST_GAP = 4

_WORD = re.compile(r"\S+")
_LINE = re.compile(r"[^\n]+")
# The second line of a table in Markdown, and lines like it.
_RULE = re.compile(r"[-=:|+\s]{3,}$")


class Part(Struct, frozen=True):
    """A part of the text: one chunk, or a piece of one.

    ``header`` is the place of a table's header that is repeated in front of it.
    """

    start: int
    end: int
    header: tuple[int, int] | None = None


def units(laid: Laid, span: Span, limit: int) -> list[Part]:
    """Return the smallest parts of a block: sentences, lines of code, rows; none beyond the limit."""
    if span.kind in ("code", "table"):
        found = [match.span() for match in _LINE.finditer(laid.text, span.start, span.end)]
    else:
        text = laid.text[span.start : span.end]
        found = [(span.start + a, span.start + b) for a, b in sentence_spans(text)]
        # The blanks in front of a list item say how deep it is.
        found[:1] = [(span.start, end) for _, end in found[:1]]
    return [Part(a, b) for start, end in found for a, b in _short(laid, start, end, limit)]


def pieces(laid: Laid, section: Section, limit: int) -> Iterator[Part]:
    """Yield blocks that fit whole, and the parts of those that do not."""
    for span in section.spans:
        is_solid = span.kind in ("code", "table")
        if fits(laid.size(span.start, span.end), limit * WHOLE_FACTOR if is_solid else limit):
            yield Part(span.start, span.end)
        elif span.kind == "table":
            yield from _rows(laid, span, limit)
        else:
            yield from packed(laid, units(laid, span, limit), limit)


def packed(laid: Laid, parts: Iterable[Part], limit: int) -> Iterator[Part]:
    """Join neighbours up to the limit; one that repeats a header stands alone."""
    held: Part | None = None
    size = 0
    for part in parts:
        if held is None:
            held, size = part, laid.size(part.start, part.end)
            continue
        longer = size + laid.size(held.end, part.end)
        if part.header is None and held.header is None and fits(longer, limit):
            held, size = Part(held.start, part.end), longer
            continue
        yield held
        held, size = part, laid.size(part.start, part.end)
    if held is not None:
        yield held


class Numbering(Struct):
    """Makes chunks of parts, section by section; counts them and the longer passages around them.

    Chunks share a parent of about ``parent_tokens`` within one part of the document (its first two
    heading levels).
    """

    laid: Laid
    parent_tokens: int
    chunks: list[Chunk]
    _parent: int = -1
    _size: int = 0
    _path: tuple[str, ...] = ()
    _end: int = 0

    def add(self, section: Section, parts: Sequence[Part]) -> None:
        """Add the chunks of a section."""
        for part in _closed_gaps(parts):
            text = self.laid.text[part.start : part.end]
            header = "" if part.header is None else self.laid.text[slice(*part.header)] + "\n"
            pages = self.laid.pages(part.start, part.end, len(header))
            tokens = estimate_tokens(header + text)
            self._count(section.path[:2], tokens)
            self.chunks.append(
                Chunk(
                    position=len(self.chunks),
                    parent=self._parent,
                    section=" > ".join(section.path),
                    text=header + text,
                    tokens=tokens,
                    page=pages[0].page if pages else None,
                    separator=self.laid.text[self._end : part.start],
                    start=part.start,
                    end=part.end,
                    pages=pages,
                )
            )
            self._end = max(self._end, part.end)

    def _count(self, path: tuple[str, ...], tokens: int) -> None:
        if self._size + tokens > self.parent_tokens or path != self._path or self._parent < 0:
            self._parent, self._size, self._path = self._parent + 1, 0, path
        self._size += tokens


def _closed_gaps(parts: Sequence[Part]) -> Iterator[Part]:
    """Yield the parts; white space too long to stand between two of them goes to the first."""
    for part, following in pairwise(parts):
        end = max(part.end, following.start - _LONGEST_GAP)
        yield Part(part.start, end, part.header) if end > part.end else part
    yield from parts[-1:]


def _rows(laid: Laid, span: Span, limit: int) -> Iterator[Part]:
    """Yield the parts of a long table, cut between rows, its header in front of each."""
    rows = units(laid, span, limit)
    header = _header(laid, span, limit)
    if header is None:
        yield from packed(laid, rows, limit)
        return
    below = limit - int(laid.size(*header) / BYTES_PER_TOKEN) - 1
    first, *others = packed(laid, rows, below)
    yield first
    for part in others:
        yield Part(part.start, part.end, header)


def _header(laid: Laid, span: Span, limit: int) -> tuple[int, int] | None:
    """Return the place of a table's header: its first line, and the rule below it."""
    lines = _LINE.finditer(laid.text, span.start, span.end)
    end = next(lines).end()
    second = next(lines, None)
    if second is not None and _RULE.match(second[0]):
        end = second.end()
    is_short = fits(laid.size(span.start, end), int(limit * _HEADER_SHARE))
    return (span.start, end) if is_short else None


def _short(laid: Laid, start: int, end: int, limit: int) -> Iterator[tuple[int, int]]:
    """Yield a unit as it is, or cut at words, and words at letters."""
    if fits(laid.size(start, end), limit):
        yield start, end
        return
    words = (match.span() for match in _WORD.finditer(laid.text, start, end))
    parts = (Part(a, b) for first, last in words for a, b in _letters(laid, first, last, limit))
    first, *others = packed(laid, parts, limit)
    yield start, first.end  # the blanks in front of a line of code are its indentation
    for part in others:
        yield part.start, part.end


def _letters(laid: Laid, start: int, end: int, limit: int) -> Iterator[tuple[int, int]]:
    """Yield a word, cut where it is longer than a chunk: then it is data, not language."""
    if fits(laid.size(start, end), limit):
        yield start, end
        return
    # Letters take 1 to 4 bytes each.
    step = max(1, int((limit - 1) * BYTES_PER_TOKEN / (1 if laid.is_ascii else 4)))
    for place in range(start, end, step):
        yield place, min(place + step, end)
