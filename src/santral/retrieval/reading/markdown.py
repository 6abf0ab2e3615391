"""Blocks of Markdown and of plain text: headings, paragraphs, code, tables, list items."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent

from santral.retrieval.document import Block

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_RULE = re.compile(r"^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*[\"']?(.*?)[\"']?[ \t]*$", re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)

# A line that stands alone and reads like a heading: 1.2 Scope, SECTION 3, 4. Permissions
_NUMBERED = re.compile(r"^(?:\d{1,2}(?:\.\d{1,2}){0,3}[.)]?|[IVX]{1,5}\.)\s+\S.{0,70}$")
_MAX_TEXT_HEADING = 80
_TEXT_UNDERLINE = re.compile(r"^\s*([-=~*^\"'])\1{2,}\s*$")
# Columns set with spaces: joining such lines would destroy them.
_ALIGNED = re.compile(r"\S(?: {3,}|\t+)\S")


def markdown_blocks(text: str) -> tuple[str, list[Block]]:
    """Return the title that the front matter names (or nothing) and the blocks."""
    title = ""
    front = _FRONT_MATTER.match(text)
    if front:
        named = _FRONT_TITLE.search(front[1])
        title = named[1] if named else ""
        text = text[front.end() :]
    return title, list(_read_lines(_COMMENT.sub("", text).split("\n")))


def text_blocks(text: str) -> list[Block]:
    """Return the paragraphs of plain text; short lines that stand alone may be headings."""
    blocks: list[Block] = []
    for paragraph in re.split(r"\n[ \t]*\n", text):
        lines = [line for line in paragraph.split("\n") if line.strip()]
        if len(lines) == 2 and _TEXT_UNDERLINE.match(lines[1]):
            lines = lines[:1]
        if not lines:
            continue
        level = _heading_level(lines[0].strip()) if len(lines) == 1 else 0
        if level:
            blocks.append(Block("heading", lines[0].strip(), level))
        elif any(_ALIGNED.search(line.strip()) for line in lines):
            blocks.append(Block("code", dedent("\n".join(lines))))
        else:
            blocks.append(Block("paragraph", unwrapped(lines)))
    return blocks


def unwrapped(lines: list[str]) -> str:
    """Join the lines of a paragraph; a list item keeps its own line."""
    text = " ".join(lines[0].split())
    for line in lines[1:]:
        text += ("\n" if _ITEM.match(line) else " ") + " ".join(line.split())
    return text


def _heading_level(line: str) -> int:
    """Return the level of a line that reads like a heading, 0 for any other paragraph."""
    if len(line) > _MAX_TEXT_HEADING or line.endswith((",", ";", "?", "!")):
        return 0
    if _NUMBERED.match(line):
        return min(6, 2 + line.split()[0].rstrip(".)").count("."))
    letters = [letter for letter in line if letter.isalpha()]
    return 1 if len(letters) > 3 and line.isupper() else 0


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
            if heading[2]:
                yield Block("heading", heading[2], len(heading[1]))
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
