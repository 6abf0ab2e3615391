"""Paragraphs: rows of prose become headings, paragraphs and list items."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from msgspec import Struct

from santral.retrieval.document import Block
from santral.retrieval.reading.pdf.run import Row

#: A row is a heading from this many times the size of the text on, and up to so many words; a bold one
#: of the text's own size up to so many. Chosen from set books, reports and papers.
_LARGER, _MOST_WORDS, _MOST_BOLD_WORDS = 1.12, 25, 14
#: Levels of headings by size.
_MOST_LEVELS = 4
#: Rows further apart than this many times the usual distance are two paragraphs, and one that is
#: indented by so much of its size begins another.
_APART, _INDENT = 1.4, 0.9
#: A row shorter than this share of the region ends a paragraph where it ends a sentence.
_SHORT = 0.85

_SENTENCE_END = (".", "!", "?", ":", ";", "…", '."', ".”", ".)")
_BULLET = re.compile(r"^(?:[•‣▪●○◦■□–—*·-]\s+|\(?(?:\d{1,3}|[a-zA-Z])[.)]\s+)(?=\S)")
_MARK = re.compile(r"^[•‣▪●○◦■□·]\s*")
_HYPHEN = re.compile(r"(?:\u00ad|(?<=\w)[-\u2010])$")
_LETTERS = re.compile(r"[^\W\d_]")


class Sizes(Struct, frozen=True):
    """The sizes in which a document is set: that of its text, and of its headings, largest first."""

    text: float
    headings: tuple[float, ...]


def sizes_of(rows: Iterable[Row]) -> Sizes:
    """Return the sizes of a document: most letters have that of its text."""
    letters: Counter[float] = Counter()
    for row in rows:
        for run in row.runs:
            letters[_rounded(run.size)] += len(run.text)
    if not letters:
        return Sizes(0.0, ())
    text = letters.most_common(1)[0][0]
    larger = sorted((size for size in letters if size >= text * _LARGER), reverse=True)
    return Sizes(text, tuple(larger))


def blocks_of(rows: Sequence[Row], sizes: Sizes, page: int) -> Iterator[Block]:
    """Yield the headings, paragraphs and list items that some rows make."""
    spacing = _spacing(rows)
    right = max(row.right for row in rows)
    left = min(row.left for row in rows)
    held: list[Row] = []
    for row in rows:
        if held and _begins(held, row, sizes, spacing, (left, right)):
            yield _block(held, sizes, page)
            held = []
        held.append(row)
    if held:
        yield _block(held, sizes, page)


def _begins(
    held: Sequence[Row], row: Row, sizes: Sizes, spacing: float, sides: tuple[float, float]
) -> bool:
    """Whether a row does not go on with the rows above it."""
    last = held[-1]
    if _is_heading(row, sizes) != _is_heading(last, sizes):
        return True
    if abs(_rounded(row.size) - _rounded(last.size)) > 0.1 * sizes.text:
        return True
    distance = row.top - last.top
    if distance > _APART * spacing + 1 or distance < 0:
        return True
    if _is_heading(row, sizes):
        return False
    if _BULLET.match(row.text) and (_BULLET.match(held[0].text) or last.text.endswith(":")):
        return True
    left, right = sides
    is_short = last.right < left + _SHORT * (right - left)
    if is_short and last.text.endswith(_SENTENCE_END):
        return True
    # The first line of a paragraph is indented; the lines of a list item are not its first.
    indent = _INDENT * row.size
    is_item = bool(_BULLET.match(held[0].text))
    return not is_item and row.left > last.left + indent and row.left > left + indent


def _block(rows: Sequence[Row], sizes: Sizes, page: int) -> Block:
    text = joined(row.text for row in rows)
    level = _level(rows, sizes, text)
    if level:
        return Block("heading", text, level, page)
    if _BULLET.match(text) and len(text) > 3:
        return Block("item", _MARK.sub("- ", text), page=page)
    return Block("paragraph", text, page=page)


def joined(lines: Iterable[str]) -> str:
    """Join lines; a word that was divided at the end of one is whole again."""
    text = ""
    for line in lines:
        hyphen = _HYPHEN.search(text)
        if hyphen and (line[:1].islower() or hyphen[0] == "\u00ad"):
            text = text[: hyphen.start()] + line
        else:
            text = f"{text} {line}" if text else line
    return text.replace("\u00ad", "")


def _is_heading(row: Row, sizes: Sizes) -> bool:
    words = len(row.text.split())
    if not _LETTERS.search(row.text):
        return False
    if row.size >= sizes.text * _LARGER:
        return words <= _MOST_WORDS
    is_bold = row.is_bold and row.size > 0.95 * sizes.text
    return is_bold and words <= _MOST_BOLD_WORDS and not row.text.endswith((".", ",", ";", ":"))


def _level(rows: Sequence[Row], sizes: Sizes, text: str) -> int:
    """Return the level of a heading, 0 for anything else."""
    if not _is_heading(rows[0], sizes) or len(text.split()) > _MOST_WORDS:
        return 0
    larger = sum(size > _rounded(rows[0].size) for size in sizes.headings)
    return min(larger + 1, _MOST_LEVELS)


def _spacing(rows: Sequence[Row]) -> float:
    """Return the usual distance from one row to the next."""
    distances = [b.top - a.top for a, b in itertools.pairwise(rows) if b.top > a.top]
    return median(distances) if distances else rows[0].size * 1.2


def _rounded(size: float) -> float:
    return round(size * 2) / 2
