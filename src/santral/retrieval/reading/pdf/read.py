"""Blocks of a PDF file: the text layer of its pages, or what tesseract sees on them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from santral.retrieval.document import Block, UnreadableError
from santral.retrieval.extra import needed
from santral.retrieval.reading.file import Contents, File, ReadOptions, moment
from santral.retrieval.reading.pdf.furniture import without_furniture
from santral.retrieval.reading.pdf.ocr import recognised
from santral.retrieval.reading.pdf.order import regions
from santral.retrieval.reading.pdf.paragraph import Sizes, blocks_of, joined, sizes_of
from santral.retrieval.reading.pdf.rule import grids, rules_of
from santral.retrieval.reading.pdf.run import Row, Run, runs_of
from santral.retrieval.reading.pdf.table import Table, stretches, with_grids
from santral.retrieval.reading.table import table_text

#: Pages read at most. Chosen: ten long books; beyond it the file is a mistake.
MAX_PAGES = 5_000
#: Letters on a page below which it is a picture with a number under it.
_FEW_LETTERS = 8

# What programs put in front of the name of a file that they print.
_PRINTED = re.compile(r"^(?:microsoft (?:word|powerpoint|excel)\s*-\s*)", re.IGNORECASE)
_FILE_NAME = re.compile(r"\.(?:docx?|pptx?|xlsx?|tex|dvi|indd|qxd|pdf|ps)$", re.IGNORECASE)
_SENTENCE_END = (".", "!", "?", ":", ";", "…", '"', "”", ")")
_BETWEEN = re.compile(r"\n\s*\n")


def read_pdf(file: File) -> Contents:
    """Read a PDF file: columns one after the other, headings by their size, tables as tables.

    Raises:
        UnreadableError: encrypted, damaged, too many pages, or scanned without a text layer.
        StoreError: the ``rag`` extra is not installed.
    """
    pdfium = needed("pypdfium2", "to read PDF files")
    try:
        document = pdfium.PdfDocument(file.content)
    except pdfium.PdfiumError as error:
        reason = "it is encrypted" if "assword" in str(error) else "it is damaged"
        raise UnreadableError(f"{reason} and cannot be opened") from None
    try:
        return _read(pdfium, document, file.options)
    except pdfium.PdfiumError:
        raise UnreadableError("a page is damaged") from None
    finally:
        document.close()


def _read(pdfium: Any, document: Any, options: ReadOptions) -> Contents:
    if len(document) > MAX_PAGES:
        raise UnreadableError(f"it has more than {MAX_PAGES:,} pages: divide it")
    about: dict[str, str] = document.get_metadata_dict()
    pages: list[list[Run]] = []
    heights: list[float] = []
    scanned: dict[int, list[Block]] = {}
    for number in range(len(document)):
        page = document[number]
        try:
            heights.append(float(page.get_height()))
            pages.append(_runs(pdfium, page, heights[-1]))
            if options.ocr and sum(len(run.text) for run in pages[-1]) < _FEW_LETTERS:
                scanned[number] = _recognised(page, number + 1, options)
        finally:
            page.close()
    blocks = _blocks(without_furniture(pages, heights), scanned)
    if not blocks:
        raise UnreadableError(
            "no text was recognised on its pages" if options.ocr else
            "it has no text layer; scanned pages are read with ocr = true in its collection"
        )  # fmt: skip
    return Contents(
        title=_title(str(about.get("Title") or "")),
        author=str(about.get("Author") or "").strip(),
        created_at=moment(str(about.get("CreationDate") or "")),
        modified_at=moment(str(about.get("ModDate") or "")),
        blocks=blocks,
    )


def _runs(pdfium: Any, page: Any, height: float) -> list[Run]:
    rules = rules_of(pdfium.raw, page, height)
    tables = grids(rules)
    walls = [rule for rule in rules if rule.is_upright] if tables else []
    text_page = page.get_textpage()
    try:
        return with_grids(runs_of(pdfium.raw, text_page, height, walls), tables)
    finally:
        text_page.close()


def _recognised(page: Any, number: int, options: ReadOptions) -> list[Block]:
    text = recognised(page, options.ocr_languages, options.page_timeout_s)
    parts = (
        joined(line.strip() for line in part.strip().split("\n")) for part in _BETWEEN.split(text)
    )
    return [Block("paragraph", part, page=number) for part in parts if part]


def _blocks(pages: Sequence[list[Run]], scanned: dict[int, list[Block]]) -> list[Block]:
    parted = [list(regions(runs)) for runs in pages]
    sizes = sizes_of(row for parts in parted for rows in parts for row in rows)
    found: list[Block] = []
    for number, parts in enumerate(parted):
        blocks = scanned.get(number) or list(_page(parts, sizes, number + 1))
        _continue(found, blocks)
        found.extend(blocks)
    return found


def _page(parts: Sequence[list[Row]], sizes: Sizes, number: int) -> Iterator[Block]:
    """Yield the blocks of a page; a paragraph that goes on in the next column is one."""
    held: list[Block] = []
    for rows in parts:
        blocks: list[Block] = []
        for stretch in stretches(rows):
            if isinstance(stretch, Table):
                blocks.append(Block("table", table_text(stretch.rows), page=number))
            else:
                blocks.extend(blocks_of(stretch, sizes, number))
        if held and blocks and _goes_on(held[-1], blocks[0]):
            text = joined((held[-1].text, blocks[0].text))
            held[-1:] = [Block("paragraph", text, page=number)]
            blocks = blocks[1:]
        held.extend(blocks)
    yield from held


def _continue(before: list[Block], blocks: list[Block]) -> None:
    """Mark the first paragraph of a page that goes on with the last of the page before."""
    if not before or not blocks or not _goes_on(before[-1], blocks[0]):
        return
    last, first = before[-1], blocks[0]
    text = first.text
    whole = joined((last.text, text))
    if len(whole) <= len(last.text) + len(text):  # a divided word: its rest goes to its beginning
        rest, _, text = text.partition(" ")
        before[-1] = Block("paragraph", joined((last.text, rest)), page=last.page,
                           continues=last.continues)  # fmt: skip
    blocks[0] = Block("paragraph", text, page=first.page, continues=True)


def _goes_on(last: Block, first: Block) -> bool:
    """Whether a paragraph is cut: it ends without an end, and what follows begins in lower case."""
    if last.kind != "paragraph" or first.kind != "paragraph":
        return False
    return not last.text.endswith(_SENTENCE_END) and first.text[:1].islower()


def _title(said: str) -> str:
    """Return the title that a file names, unless it is the name of another file."""
    title = _PRINTED.sub("", " ".join(said.split()))
    return "" if _FILE_NAME.search(title) or title.lower() in ("untitled", "adsız") else title
