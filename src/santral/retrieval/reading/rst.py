"""Blocks of reStructuredText. Directives are read for their text; nothing is included or run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from textwrap import dedent

from santral.retrieval.document import Block
from santral.retrieval.reading.file import Contents, File, moment
from santral.retrieval.reading.markdown import unwrapped
from santral.retrieval.reading.table import table_text

_LINE = re.compile(r"^([!-/:-@\[-`{-~])\1{2,}$")
_ITEM = re.compile(r"^\s*(?:[-*+•]|(?:\d{1,9}|#|[a-zA-Z])[.)]|\((?:\d{1,9}|[a-zA-Z])\))\s+\S")
_DIRECTIVE = re.compile(r"^\s*\.\.\s+(?:\|[^|]+\|\s+)?([\w:.-]+)::\s*(.*)$")
_EXPLICIT = re.compile(r"^\s*\.\.(?:\s|$)")
_FIELD = re.compile(r"^:([^:\n]{1,80}):(?:\s+(.*))?$")
_ROLE = re.compile(r":[\w:+.-]{1,60}:`([^`<]*?)\s*(?:<[^`]*>)?`")
_LINK = re.compile(r"`([^`<]+?)\s*<[^`>]+>`_{1,2}")
_MARKED = re.compile(r"``(.+?)``|`([^`]+)`_{0,2}|\*\*(.+?)\*\*|(?<!\w)(\w+)__?(?!\w)")
_BORDER = re.compile(r"^\s*(?:\+[-=+]{3,}\+|={2,}(?:\s+={2,})+)\s*$")
_CODE = frozenset(("code", "code-block", "sourcecode", "parsed-literal", "literalinclude", "math",
                   "highlight", "doctest", "testcode", "productionlist"))  # fmt: skip
# Their bodies are settings, or lists of other files.
_SILENT = frozenset(("toctree", "include", "raw", "image", "contents", "index", "meta", "only",
                     "currentmodule", "module", "default-role", "highlight", "tabularcolumns",
                     "autosummary", "automodule", "autoclass", "autofunction"))  # fmt: skip


def read_rst(file: File) -> Contents:
    """Read reStructuredText; the fields above its text say author and date."""
    walk = _Walk()
    blocks = list(walk.blocks(file.text.expandtabs(8).split("\n")))
    fields = walk.fields
    return Contents(
        blocks=blocks, author=fields.get("author", ""), created_at=moment(fields.get("date", ""))
    )


class _Walk:
    """Goes through lines; ``styles`` are the ways in which titles are underlined, outermost first."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self._styles: list[tuple[str, bool]] = []

    def blocks(self, lines: Sequence[str], depth: int = 0) -> Iterator[Block]:
        at = 0
        while at < len(lines):
            if not lines[at].strip():
                at += 1
                continue
            heading = self._heading(lines, at) if not depth else None
            if heading is not None:
                at, block = heading
                yield block
            elif _BORDER.match(lines[at]):
                at, block = _table(lines, at)
                yield block
            elif _EXPLICIT.match(lines[at]):
                end = _below(lines, at)
                yield from self._directive(lines[at:end], depth)
                at = end
            else:
                end = _paragraph_end(lines, at)
                yield from self._paragraph(lines[at:end])
                at = end
                if lines[end - 1].rstrip().endswith("::"):
                    end = _below(lines, end - 1)
                    yield from _literal(lines[at:end])
                    at = end

    def _heading(self, lines: Sequence[str], at: int) -> tuple[int, Block] | None:
        """Return the line behind a title and its block, if there is one."""
        over = bool(_LINE.match(lines[at]))
        title, under = at + over, at + over + 1
        if under >= len(lines) or not lines[title].strip():
            return None
        mark = lines[under].rstrip()
        if not _LINE.match(mark) or len(mark) < min(len(lines[title].strip()), 3):
            return None
        if (over and lines[at].rstrip() != mark) or (not over and lines[title][:1].isspace()):
            return None
        style = (mark[0], over)
        if style not in self._styles:
            self._styles.append(style)
        level = min(self._styles.index(style) + 1, 6)
        return under + 1, Block("heading", _inline(lines[title].strip()), level)

    def _directive(self, lines: Sequence[str], depth: int) -> Iterator[Block]:
        """Yield what a directive shows; a comment, a target and a picture show nothing."""
        match = _DIRECTIVE.match(lines[0])
        if match is None:
            return
        name, argument = match[1].rpartition(":")[2].lower(), match[2].strip()
        if name in _SILENT:
            return
        body = dedent("\n".join(lines[1:])).split("\n")
        while body and (not body[0].strip() or _FIELD.match(body[0])):
            body.pop(0)
        if name in _CODE:
            yield from _literal([argument if name == "math" else "", *body])
            return
        if argument:
            yield Block("paragraph", _inline(argument))
        if depth < 20:
            yield from self.blocks(body, depth + 1)

    def _paragraph(self, lines: Sequence[str]) -> Iterator[Block]:
        fields = [_FIELD.match(line) for line in lines]
        if fields[0] is not None:
            for field in fields:
                if field is not None:
                    self.fields.setdefault(field[1].lower(), (field[2] or "").strip())
            return
        if all(_LINE.match(line.strip()) for line in lines):
            return
        text = _inline(unwrapped(list(lines)))
        text = text.removesuffix("::") + (":" if text.endswith("::") and len(text) > 2 else "")
        if _ITEM.match(lines[0]):
            indent = len(lines[0]) - len(lines[0].lstrip())
            yield Block("item", " " * indent + text)
        elif text:
            yield Block("paragraph", text)


def _paragraph_end(lines: Sequence[str], at: int) -> int:
    """Return the line behind a paragraph; the next point of a list is another one."""
    end = at + 1
    while end < len(lines) and lines[end].strip():
        if _ITEM.match(lines[end]) or _EXPLICIT.match(lines[end]):
            break
        if end + 1 < len(lines) and _LINE.match(lines[end + 1].rstrip()) and end > at:
            break
        end += 1
    return end


def _below(lines: Sequence[str], at: int) -> int:
    """Return the line behind everything that is indented deeper than line ``at``."""
    indent = len(lines[at]) - len(lines[at].lstrip())
    end = at + 1
    while end < len(lines):
        line = lines[end]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        end += 1
    return end


def _literal(lines: Sequence[str]) -> Iterator[Block]:
    text = dedent("\n".join(lines)).strip("\n")
    if text.strip():
        yield Block("code", text)


def _table(lines: Sequence[str], at: int) -> tuple[int, Block]:
    """Return the line behind a table, and the table: a grid, or columns under lines of ``=``."""
    end = at + 1
    if "+" in lines[at]:
        while end < len(lines) and lines[end].strip().startswith(("|", "+")):
            end += 1
        return end, Block("table", table_text(_grid_rows(lines[at:end])))
    borders = [number for number in range(at, len(lines)) if _BORDER.match(lines[number])][:3]
    stop = next((n for n in borders[1:] if n + 1 >= len(lines) or not lines[n + 1].strip()), None)
    end = stop if stop is not None else len(lines) - 1
    columns = [match.span() for match in re.finditer("=+", lines[at])]
    rows = [
        [line[start : (stop if column + 1 < len(columns) else None)].strip()
         for column, (start, stop) in enumerate(columns)]
        for line in lines[at : end + 1] if not _BORDER.match(line)
    ]  # fmt: skip
    return end + 1, Block("table", table_text(rows))


def _grid_rows(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yield the rows of a grid: what stands between two of its lines is one row."""
    row: list[str] = []
    for line in lines:
        stripped = line.strip()
        if stripped.startswith("+"):
            if row:
                yield row
            row = []
            continue
        cells = [cell.strip() for cell in stripped.strip("|").split("|")]
        width = max(len(row), len(cells))
        row = [*row, *[""] * (width - len(row))]
        row = [f"{have} {new}".strip() for have, new in
               zip(row, [*cells, *[""] * (width - len(cells))], strict=True)]  # fmt: skip
    if row:
        yield row


def _inline(text: str) -> str:
    """Return a text without the marks of roles, links and emphasis."""
    text = _LINK.sub(r"\1", _ROLE.sub(r"\1", text))
    return _MARKED.sub(lambda match: next(part for part in match.groups() if part), text)
