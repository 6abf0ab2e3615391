"""Blocks of plain text: paragraphs, columns set with spaces, and short lines that read like headings."""

from __future__ import annotations

import re
from textwrap import dedent

from santral.retrieval.document import Block
from santral.retrieval.reading.file import Contents, File
from santral.retrieval.reading.markdown import unwrapped

# A line that stands alone and reads like a heading: 1.2 Scope, SECTION 3, 4. Permissions
_NUMBERED = re.compile(r"^(?:\d{1,2}(?:\.\d{1,2}){0,3}[.)]?|[IVX]{1,5}\.)\s+\S.{0,70}$")
_MAX_TEXT_HEADING = 80
_TEXT_UNDERLINE = re.compile(r"^\s*([-=~*^\"'])\1{2,}\s*$")
# Columns set with spaces: joining such lines would destroy them.
_ALIGNED = re.compile(r"\S(?: {3,}|\t+)\S")
_BETWEEN = re.compile(r"\n[ \t]*\n")


def read_text(file: File) -> Contents:
    """Read plain text."""
    return Contents(blocks=text_blocks(file.text))


def text_blocks(text: str) -> list[Block]:
    """Return the paragraphs of plain text; short lines that stand alone may be headings."""
    blocks: list[Block] = []
    for paragraph in _BETWEEN.split(text):
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


def _heading_level(line: str) -> int:
    """Return the level of a line that reads like a heading, 0 for any other paragraph."""
    if len(line) > _MAX_TEXT_HEADING or line.endswith((",", ";", "?", "!")):
        return 0
    if _NUMBERED.match(line):
        return min(6, 2 + line.split()[0].rstrip(".)").count("."))
    letters = [letter for letter in line if letter.isalpha()]
    return 1 if len(letters) > 3 and line.isupper() else 0
