"""Blocks of a PDF file: the text layer of each page."""

from __future__ import annotations

import re
from typing import Any

from santral.retrieval.document import Block, UnreadableError
from santral.retrieval.extra import needed
from santral.retrieval.reading.file import Contents, File

#: Pages read at most. Chosen: ten long books; beyond it the file is a mistake.
MAX_PAGES = 5_000

# pdfium gives a hyphen at the end of a line as U+0002 or U+FFFE; others write it out.
_HYPHEN = re.compile("[\x02\ufffe]\n?|(?<=\\w)[-\u00ad]\n(?=[a-zçğıöşü])")
_SENTENCE_END = (".", "!", "?", ":", ";", "…")


def read_pdf(file: File) -> Contents:
    """Read the text layer of a PDF file."""
    title, blocks = pdf_blocks(file.content)
    return Contents(title=title, blocks=blocks)


def pdf_blocks(content: bytes) -> tuple[str, list[Block]]:
    """Return the title that the file names (or nothing) and its paragraphs with page numbers.

    Raises:
        UnreadableError: encrypted, damaged, too many pages, or scanned without a text layer.
        StoreError: the ``rag`` extra is not installed.
    """
    pdfium = needed("pypdfium2", "to read PDF files")
    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        reason = "it is encrypted" if "assword" in str(error) else "it is damaged"
        raise UnreadableError(f"{reason} and cannot be opened") from None
    try:
        if len(document) > MAX_PAGES:
            raise UnreadableError(f"it has more than {MAX_PAGES} pages")
        title = str(document.get_metadata_dict().get("Title") or "").strip()
        blocks = [block for number in range(len(document)) for block in _page(document, number)]
    except pdfium.PdfiumError:
        raise UnreadableError("a page is damaged") from None
    finally:
        document.close()
    if not blocks:
        raise UnreadableError("it has no text layer; scanned pages need OCR first")
    return title, blocks


def _page(document: Any, number: int) -> list[Block]:
    page = document[number]
    try:
        text_page = page.get_textpage()
        try:
            text: str = text_page.get_text_bounded()
        finally:
            text_page.close()
    finally:
        page.close()
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return [Block("paragraph", part, page=number + 1) for part in _paragraphs(text)]


def _paragraphs(text: str) -> list[str]:
    """Join the lines of a page; a paragraph ends with a sentence on a line shorter than most."""
    lines = [line.strip() for line in _HYPHEN.sub("", text).split("\n")]
    longest = max((len(line) for line in lines), default=0)
    found: list[str] = []
    held: list[str] = []
    for line in lines:
        if line:
            held.append(line)
        is_end = not line or (line.endswith(_SENTENCE_END) and len(line) < 0.8 * longest)
        if held and is_end:
            found.append(" ".join(held))
            held = []
    return [*found, " ".join(held)] if held else found
