"""PDF files set by a real program: columns, headings, tables, running heads."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.platypus import (
    BaseDocTemplate,
    Frame,
    FrameBreak,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)

STYLES = getSampleStyleSheet()
BODY = ParagraphStyle("body", parent=STYLES["BodyText"], fontSize=10, leading=12, alignment=4)

WORDS = [
    "the",
    "exchange",
    "connects",
    "every",
    "call",
    "and",
    "keeps",
    "its",
    "record",
    "so",
    "that",
    "nobody",
    "has",
    "to",
    "ask",
    "twice",
    "about",
    "what",
    "was",
    "said",
    "or",
    "which",
    "line",
    "was",
    "taken",
    "while",
    "the",
    "operators",
    "watch",
    "the",
    "board",
    "in",
    "the",
    "evening",
]


def prose(name: str, sentences: int) -> str:
    """Return sentences that name themselves, so that their order can be checked."""
    found = []
    for number in range(sentences):
        start = number * 7 % len(WORDS)
        words = [WORDS[(start + step) % len(WORDS)] for step in range(12)]
        found.append(f"{name}{number} {' '.join(words)}.")
    return " ".join(found)


def paper(*story: Any, columns: int = 1, head: str = "", **about: str) -> bytes:
    """Return a PDF file on A4; every page has a head and its number if ``head`` is given."""
    file = io.BytesIO()
    width, height = A4
    margin, gutter = 60, 20
    each = (width - 2 * margin - gutter * (columns - 1)) / columns
    frames = [
        Frame(margin + number * (each + gutter), 80, each, height - 170, showBoundary=0, id=f"c{number}")
        for number in range(columns)
    ]  # fmt: skip

    def draw(canvas: Any, document: Any) -> None:
        if head:
            canvas.setFont("Helvetica", 8)
            canvas.drawString(margin, height - 40, head)
            canvas.drawCentredString(width / 2, 30, f"Page {document.page}")

    document = BaseDocTemplate(file, pagesize=A4, **about)
    document.addPageTemplates([PageTemplate("page", frames, onPage=draw)])
    document.build(list(story))
    return file.getvalue()


def heading(text: str, level: int = 1) -> Paragraph:
    return Paragraph(text, STYLES[f"Heading{level}"])


def body(text: str) -> Paragraph:
    return Paragraph(text, BODY)


def grid(
    rows: list[list[Any]], has_lines: bool = True, widths: tuple[int, ...] | None = None
) -> Table:
    style = [("GRID", (0, 0), (-1, -1), 0.5, colors.black)] if has_lines else []
    return Table(rows, style=style, hAlign="LEFT", colWidths=widths)


__all__ = ["A4", "FrameBreak", "NextPageTemplate", "PageBreak", "Path", "Spacer", "body", "grid",
           "heading", "paper", "prose"]  # fmt: skip
