"""Blocks of a Word file: headings, paragraphs, lists, tables and footnotes, with its page breaks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from santral.retrieval.document import Block
from santral.retrieval.reading.archive import Archive
from santral.retrieval.reading.file import Contents, File
from santral.retrieval.reading.table import table_text

_HEADING = re.compile(r"(?:heading|başlık|balk|titre|überschrift)\s*([1-9])", re.IGNORECASE)
# Shown twice in the file, for old programs, or not at all: deleted, hidden, instructions of fields.
_SKIPPED = frozenset(("del", "moveFrom", "Fallback", "instrText", "delText", "rPr", "pPr", "tblPr"))


#: Stands in the text of a paragraph where Word began another page.
_PAGE = "\f"
_BLANKS = re.compile(r"[ \t\u00a0]+")


def read_docx(file: File) -> Contents:
    """Read a Word file; macros, links and embedded files stay shut."""
    archive = Archive(file.content)
    about = archive.about()
    body = archive.tree("word/document.xml").find("body")
    return Contents(
        title=about.title,
        author=about.author,
        created_at=about.created_at,
        modified_at=about.modified_at,
        blocks=list(_Walk(archive).blocks(body)) if body is not None else [],
    )


class _Walk:
    """Goes through a body from top to bottom; counts pages where Word has noted them."""

    def __init__(self, archive: Archive) -> None:
        self._levels, self._lists = _styles(archive)
        self._notes = {**_notes(archive, "footnote"), **_notes(archive, "endnote")}
        self._page = 1
        self._has_pages = b"lastRenderedPageBreak" in archive.part("word/document.xml")
        self._seen: list[str] = []

    def blocks(self, parent: Element) -> Iterator[Block]:
        for node in parent:
            if node.tag == "p":
                yield from self._paragraph(node)
            elif node.tag == "tbl":
                page = self._known(self._page)
                table = table_text(
                    ["".join(self._text(cell)).replace(_PAGE, " ") for cell in row.findall("tc")]
                    for row in node.findall("tr")
                )
                yield Block("table", table, page=page)
                yield from self._footnotes()
            elif node.tag not in _SKIPPED:  # a content control, an insertion: what is inside counts
                yield from self.blocks(node)

    def _paragraph(self, node: Element) -> Iterator[Block]:
        parts = "".join(self._text(node)).split(_PAGE)
        level, item = self._level(node), self._item(node)
        page = self._page - len(parts) + 1
        if level:
            yield Block("heading", _squeezed(" ".join(parts)), level, self._known(page))
            parts = []
        goes_on = False
        for number, part in enumerate(parts):
            text = _BLANKS.sub(" ", part).strip()
            if text:
                kind = "paragraph" if item is None else "item"
                text = text if item is None or goes_on else f"{item}- {text}"
                yield Block(kind, text, page=self._known(page + number), continues=goes_on)
                goes_on = True
        yield from self._footnotes()

    def _text(self, parent: Element) -> Iterator[str]:
        for node in parent:
            if node.tag == "t":
                yield node.text or ""
            elif node.tag in ("tab", "noBreakHyphen"):
                yield " " if node.tag == "tab" else "-"
            elif node.tag == "lastRenderedPageBreak":
                self._page += 1
                yield _PAGE
            elif node.tag in ("br", "cr"):
                yield "\n"
            elif node.tag in ("footnoteReference", "endnoteReference"):
                yield self._note(node)
            elif node.tag not in _SKIPPED:
                yield from self._text(node)
                if node.tag == "p":
                    yield "\n"

    def _note(self, node: Element) -> str:
        key = f"{node.tag.removesuffix('Reference')}{node.get('id', '')}"
        if key not in self._notes:
            return ""
        self._seen.append(key)
        return f" [{self._notes[key][0]}]"

    def _footnotes(self) -> Iterator[Block]:
        """Yield the notes that the paragraph above refers to: what they say belongs to it."""
        for key in self._seen:
            number, text = self._notes[key]
            yield Block("paragraph", f"[{number}] {text}", page=self._known(self._page))
        self._seen.clear()

    def _level(self, node: Element) -> int:
        outline = node.find("pPr/outlineLvl")
        if outline is not None and outline.get("val", "9").isdecimal():
            return int(outline.get("val", "9")) + 1 if int(outline.get("val", "9")) < 6 else 0
        style = node.find("pPr/pStyle")
        return self._levels.get(style.get("val", ""), 0) if style is not None else 0

    def _item(self, node: Element) -> str | None:
        """Return the blanks in front of a list item, None for any other paragraph."""
        numbering = node.find("pPr/numPr")
        style = node.find("pPr/pStyle")
        name = style.get("val", "") if style is not None else ""
        if numbering is None and name not in self._lists:
            return None
        depth = node.find("pPr/numPr/ilvl")
        level = depth.get("val", "0") if depth is not None else "0"
        return "  " * min(int(level), 8) if level.isdecimal() else ""

    def _known(self, page: int) -> int | None:
        return page if self._has_pages else None


def _styles(archive: Archive) -> tuple[dict[str, int], frozenset[str]]:
    """Return the heading level of each style that is one, and the styles of lists, by their ids."""
    levels: dict[str, int] = {}
    lists: set[str] = set()
    if "word/styles.xml" not in archive:
        return levels, frozenset()
    for style in archive.tree("word/styles.xml").findall("style"):
        name, outline = style.find("name"), style.find("pPr/outlineLvl")
        label = name.get("val", "") if name is not None else ""
        heading = _HEADING.match(label)
        if label.lower() == "title":
            levels[style.get("styleId", "")] = 1
        elif heading:
            levels[style.get("styleId", "")] = min(int(heading[1]), 6)
        elif outline is not None and outline.get("val", "9") in "012345":
            levels[style.get("styleId", "")] = int(outline.get("val", "0")) + 1
        elif style.find("pPr/numPr") is not None:
            lists.add(style.get("styleId", ""))
    return levels, frozenset(lists)


def _notes(archive: Archive, kind: str) -> dict[str, tuple[int, str]]:
    """Return the number and text of each note by its id; Word's own separators are no notes."""
    if f"word/{kind}s.xml" not in archive:
        return {}
    found: dict[str, tuple[int, str]] = {}
    for note in archive.tree(f"word/{kind}s.xml").findall(kind):
        text = " ".join("".join(part.text or "" for part in note.iter("t")).split())
        if text and note.get("type") is None:
            found[f"{kind}{note.get('id', '')}"] = (len(found) + 1, text)
    return found


def _squeezed(text: str) -> str:
    return " ".join(text.split())
