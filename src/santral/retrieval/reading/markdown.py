"""Blocks of Markdown: headings, paragraphs, code, tables, list items."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent

from santral.retrieval.document import Block
from santral.retrieval.reading.file import Contents, File
from santral.retrieval.reading.front import front_matter, named

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"^ {0,3}(#{1,6})(?:[ \t]+(.*)|$)")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_RULE = re.compile(r"^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$")


def read_markdown(file: File) -> Contents:
    """Read Markdown; its front matter is kept as it stands there.

    Raises:
        UnreadableError: the front matter is not YAML: what it says of access must not be lost.
    """
    front, text = front_matter(file.text)
    return Contents(
        title=named(front, "title"),
        blocks=markdown_blocks(text),
        author=named(front, "author"),
        front_matter=front,
    )


def markdown_blocks(text: str) -> list[Block]:
    """Return the blocks of Markdown without its front matter."""
    return list(_read_lines(_without_comments(text).split("\n")))


def _without_comments(text: str) -> str:
    """Leave out what stands between ``<!--`` and ``-->``; one without an end stays."""
    parts: list[str] = []
    at = 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start)) >= 0:
        parts.append(text[at:start])
        at = end + 3
    return "".join([*parts, text[at:]])


def unwrapped(lines: list[str]) -> str:
    """Join the lines of a paragraph; a list item keeps its own line."""
    parts = [" ".join(lines[0].split())]
    parts.extend(
        ("\n" if _ITEM.match(line) else " ") + " ".join(line.split()) for line in lines[1:]
    )
    return "".join(parts)


def _read_lines(lines: list[str]) -> Iterator[Block]:
    held: list[str] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        fence = _FENCE.match(line)
        heading = _HEADING.match(line)
        if fence:
            yield from _flush(held)
            number, block = _read_fence(lines, number, fence[1])
            yield block
            continue
        if heading:
            yield from _flush(held)
            title = (heading[2] or "").rstrip(" \t").rstrip("#").rstrip(" \t")
            if title:
                yield Block("heading", title, len(heading[1]))
        elif len(held) == 1 and _UNDERLINE.match(line) and not _ITEM.match(held[0]):
            yield Block("heading", held.pop().strip(), 1 if "=" in line else 2)
        elif not line.strip() or _RULE.match(line):
            yield from _flush(held)
        else:
            if held and _begins_block(held, line):
                yield from _flush(held)
            held.append(line)
        number += 1
    yield from _flush(held)


def _read_fence(lines: list[str], start: int, fence: str) -> tuple[int, Block]:
    """Return the line behind a fenced block and the block; one without an end goes to the last."""
    for number in range(start + 1, len(lines)):
        closing = lines[number].strip()
        if closing.startswith(fence) and not closing.strip(fence[0]):
            return number + 1, Block("code", "\n".join(lines[start : number + 1]))
    return len(lines), Block("code", "\n".join(lines[start:]))


def _begins_block(held: list[str], line: str) -> bool:
    """Whether a line ends the paragraph above it: a list item, or the border of a table."""
    return bool(_ITEM.match(line)) or _is_row(line) != _is_row(held[0])


def _is_row(line: str) -> bool:
    return line.lstrip().startswith("|")


def _flush(held: list[str]) -> Iterator[Block]:
    if held and "".join(held).strip():
        if _is_row(held[0]):
            yield Block("table", "\n".join(held).rstrip())
        elif _ITEM.match(held[0]):
            indent = len(held[0]) - len(held[0].lstrip())
            yield Block("item", " " * indent + unwrapped(held))
        elif all(line.startswith(("    ", "\t")) for line in held):
            yield Block("code", dedent("\n".join(held)))
        else:
            yield Block("paragraph", unwrapped(held))
    held.clear()
