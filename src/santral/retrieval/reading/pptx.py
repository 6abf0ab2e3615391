"""Blocks of a PowerPoint file: a slide is a page, its title a heading, its notes a paragraph."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from santral.retrieval.document import Block
from santral.retrieval.reading.archive import Archive
from santral.retrieval.reading.file import Contents, File
from santral.retrieval.reading.table import table_text

_TITLES = ("title", "ctrTitle")
# Repeated on every slide.
_FURNITURE = frozenset(("sldNum", "dt", "ftr", "hdr", "sldImg"))


def read_pptx(file: File) -> Contents:
    """Read the slides in their order; hidden ones too, they are in the file."""
    archive = Archive(file.content)
    about = archive.about()
    blocks: list[Block] = []
    for page, name in enumerate(_slides(archive), 1):
        blocks.extend(_slide(archive, name, page))
    return Contents(
        title=about.title,
        author=about.author,
        created_at=about.created_at,
        modified_at=about.modified_at,
        blocks=blocks,
    )


def _slides(archive: Archive) -> Iterator[str]:
    related = archive.related("ppt/presentation.xml")
    for item in archive.tree("ppt/presentation.xml").iter("sldId"):
        name = related.get(item.get("id", ""), "")
        if name in archive:
            yield name


def _slide(archive: Archive, name: str, page: int) -> Iterator[Block]:
    tree = archive.tree(name)
    shapes = list(tree.iter("sp"))
    title = next((shape for shape in shapes if _place(shape) in _TITLES), None)
    heading = " ".join(line for line, _ in _lines(title)) if title is not None else ""
    found: list[Block] = []
    for node in tree.iter():
        if node.tag == "sp" and node is not title and _place(node) not in _FURNITURE:
            found.extend(_shape(node, page))
        elif node.tag == "tbl":
            rows = ([_text(cell) for cell in row.findall("tc")] for row in node.findall("tr"))
            found.append(Block("table", table_text(rows), page=page))
    found.extend(_notes(archive, name, page))
    if heading or found:
        yield Block("heading", heading or f"Slide {page}", 1, page)
    yield from found


def _shape(shape: Element, page: int) -> Iterator[Block]:
    """Yield the paragraphs of a shape: points of a list where it is the body of a slide."""
    lines = list(_lines(shape))
    is_list = _place(shape) in ("body", "obj", "", "subTitle") and len(lines) > 1
    for line, depth in lines:
        yield Block("item" if is_list else "paragraph",
                    f"{'  ' * depth}- {line}" if is_list else line, page=page)  # fmt: skip


def _notes(archive: Archive, name: str, page: int) -> Iterator[Block]:
    for related in archive.related(name).values():
        if related.startswith("ppt/notesSlides/") and related in archive:
            shapes = [s for s in archive.tree(related).iter("sp") if _place(s) not in _FURNITURE]
            said = "\n".join(line for shape in shapes for line, _ in _lines(shape))
            if said:
                yield Block("paragraph", said, page=page)


def _place(shape: Element) -> str:
    """Return for what a shape is meant: title, body, ..., or ``none`` for a free one."""
    holder = shape.find("nvSpPr/nvPr/ph")
    return holder.get("type", "") if holder is not None else "none"


def _lines(shape: Element) -> Iterator[tuple[str, int]]:
    for body in shape.findall("txBody"):
        for paragraph in body.findall("p"):
            properties = paragraph.find("pPr")
            depth = properties.get("lvl", "0") if properties is not None else "0"
            text = " ".join(_text(paragraph).split())
            if text:
                yield text, int(depth) if depth.isdecimal() and len(depth) == 1 else 0


def _text(parent: Element) -> str:
    return "".join(
        " " if node.tag == "br" else (node.text or "") if node.tag == "t" else
        " " if node.tag == "p" else ""
        for node in parent.iter()
    )  # fmt: skip
