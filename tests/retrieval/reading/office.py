"""Office files as programs write them."""

from __future__ import annotations

import io
from datetime import date, datetime
from typing import Any

import openpyxl
from docx import Document as Word
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from pptx import Presentation
from pptx.util import Inches


def saved(document: Any) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def word() -> bytes:
    """Return a Word file with headings, a list, a table and a page break that Word has noted."""
    document: Any = Word()
    document.core_properties.title = "Leave"
    document.core_properties.author = "Ada"
    document.core_properties.created = datetime(2026, 1, 2, 3, 4)  # noqa: DTZ001 - Word's own
    document.add_heading("Rules", 1)
    document.add_paragraph("Leave is ").add_run("fourteen").bold = True
    document.paragraphs[-1].add_run(" days.\tAsk first.")
    document.add_paragraph("First", style="List Bullet")
    document.add_heading("Costs", 2)
    table = document.add_table(2, 2)
    for number, text in enumerate(("Item", "Price", "Line", "10 USD")):
        table.cell(number // 2, number % 2).text = text
    paragraph = document.add_paragraph("It goes on ")
    paragraph.add_run()._r.append(OxmlElement("w:lastRenderedPageBreak"))
    paragraph.add_run("over the page.")
    document.add_paragraph("On page two.")
    _delete(document.add_paragraph("Gone "))
    _list(document.add_paragraph("Numbered"))
    return saved(document)


def _delete(paragraph: Any) -> None:
    """Mark the text of a paragraph as deleted, as Word does while it tracks changes."""
    deleted: Any = OxmlElement("w:del")
    deleted.append(paragraph.runs[0]._r)
    paragraph._p.append(deleted)


def _list(paragraph: Any) -> None:
    properties = paragraph._p.get_or_add_pPr()
    numbering: Any = OxmlElement("w:numPr")
    level = OxmlElement("w:ilvl")
    level.set(qn("w:val"), "1")
    numbering.append(level)
    properties.append(numbering)


def slides() -> bytes:
    """Return two slides: points with a table, and one with notes and no title."""
    show: Any = Presentation()
    first = show.slides.add_slide(show.slide_layouts[1])
    first.shapes.title.text = "Plan"
    first.placeholders[1].text = "Find it\nCite it"
    first.placeholders[1].text_frame.paragraphs[1].level = 1
    table = first.shapes.add_table(1, 2, Inches(1), Inches(5), Inches(4), Inches(1)).table
    table.cell(0, 0).text, table.cell(0, 1).text = "a", "b"
    second = show.slides.add_slide(show.slide_layouts[6])
    box = second.shapes.add_textbox(Inches(1), Inches(1), Inches(3), Inches(1))
    box.text_frame.text = "Free text"
    second.notes_slide.notes_text_frame.text = "Say this."
    return saved(show)


def sheets() -> bytes:
    """Return a book of two sheets: two tables with dates, and a formula that was never computed."""
    book: Any = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Staff"
    for row in (
        ["Name", "Since", "Share"],
        ["Ada", date(2020, 2, 29), 0.1 + 0.2],
        ["Işıl", None, 7],
    ):
        sheet.append(row)
    sheet.append([])
    sheet.append(["Total", 2])
    other = book.create_sheet("Gider")
    other["B2"] = True
    other["C2"] = "=1+1"
    return saved(book)
