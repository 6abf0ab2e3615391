"""PDF files are read as people read them: columns, headings, tables, without heads and numbers."""

from __future__ import annotations

import io
import os
import shutil

import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from tests.retrieval.reading.paper import (
    PageBreak,
    Spacer,
    body,
    grid,
    heading,
    paper,
    prose,
)

from santral.retrieval.document import Block, Document, UnreadableError
from santral.retrieval.reading.file import ReadOptions
from santral.retrieval.reading.pdf import ocr
from santral.retrieval.reading.read import read_document

PRICES = [["Item", "Price", "Since"], ["Small line", "10 USD", "2020"],
          ["Large line with a long name", "200 USD", "2021"], ["Other", "3 USD", "2024"]]  # fmt: skip


def read(content: bytes, options: ReadOptions | None = None) -> Document:
    return read_document("report.pdf", content, options=options)


def kinds(document: Document) -> list[str]:
    return [block.kind for block in document.blocks]


def text_of(document: Document) -> str:
    return " ".join(block.text for block in document.blocks)


def test_columns_are_read_one_after_the_other() -> None:
    content = paper(heading("The exchange"), body(prose("A", 20)), body(prose("B", 40)), columns=2)
    found = read(content)
    assert kinds(found) == ["heading", "paragraph", "paragraph"]
    words = text_of(found).split()
    named = [word for word in words if word[0] in "AB" and word[1:].isdigit()]
    assert named == [*(f"A{n}" for n in range(20)), *(f"B{n}" for n in range(40))]


def test_headings_are_known_by_their_size() -> None:
    found = read(paper(heading("One"), body(prose("A", 6)), heading("Two", 2), body(prose("B", 6))))
    assert [(block.text, block.level) for block in found.blocks if block.kind == "heading"] == [
        ("One", 1),
        ("Two", 2),
    ]


@pytest.mark.parametrize("has_lines", [True, False])
@pytest.mark.parametrize("columns", [1, 2])
def test_a_table_is_read_row_by_row(has_lines: bool, columns: int) -> None:
    story = (body(prose("A", 8)), Spacer(1, 12), grid(PRICES, has_lines), Spacer(1, 12))
    found = read(paper(*story, body(prose("B", 40)), columns=columns))
    (table,) = [block for block in found.blocks if block.kind == "table"]
    assert table.text.split("\n") == [" | ".join(row) for row in PRICES]


def test_a_cell_of_several_lines_is_one_cell() -> None:
    long = body(" ".join(["wide"] * 40))
    rows = [["Name", "Town", "About"], ["Ada", "Van", long], ["Can", "Mus", "short"]]
    found = read(paper(body(prose("A", 8)), Spacer(1, 12), grid(rows, widths=(60, 60, 200))))
    (table,) = [block for block in found.blocks if block.kind == "table"]
    assert table.text.split("\n") == [
        "Name | Town | About",
        f"Ada | Van | {' '.join(['wide'] * 40)}",
        "Can | Mus | short",
    ]


def test_a_mark_in_front_of_an_item_is_no_column() -> None:
    found = read(
        lines("They are:\n\u2022          one\n\u2022          two\n\u2022          three")
    )
    assert [block.kind for block in found.blocks] == ["paragraph", "item", "item", "item"]


def test_running_heads_and_page_numbers_are_left_out() -> None:
    parts = [part for n in range(4) for part in (body(prose(f"P{n}x", 6)), PageBreak())]
    found = read(paper(*parts, head="Annual report 2026", title="Report", author="Ada"))
    assert "Annual report" not in text_of(found)
    assert "Page" not in text_of(found)
    assert [block.page for block in found.blocks] == [1, 2, 3, 4]
    assert (found.title, found.author) == ("Report", "Ada")
    assert found.created_at is not None


def test_a_paragraph_that_a_page_cuts_goes_on() -> None:
    found = read(paper(body(prose("A", 90)), head="Report"))
    assert [(block.page, block.continues) for block in found.blocks] == [(1, False), (2, True)]


def lines(*texts: str) -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=A4)
    for page in texts:
        text = canvas.beginText(72, 700)
        for line in page.split("\n"):
            text.textLine(line)
        canvas.drawText(text)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def test_divided_words_are_whole_again() -> None:
    found = read(
        lines("The leave of a worker in this house is four-\nteen days long, and no more.")
    )
    assert found.blocks == (
        Block("paragraph", "The leave of a worker in this house is fourteen days long, and no more.", page=1),
    )  # fmt: skip


def test_a_word_that_a_page_divides_stands_where_it_begins() -> None:
    found = read(lines("It is long: four-", "teen days are given."))
    assert [(block.text, block.page, block.continues) for block in found.blocks] == [
        ("It is long: fourteen", 1, False),
        ("days are given.", 2, True),
    ]


def test_points_of_a_list_are_items() -> None:
    found = read(paper(body(prose("A", 6)), body("• one thing"), body("• another thing")))
    assert [block.text for block in found.blocks if block.kind == "item"] == [
        "- one thing",
        "- another thing",
    ]


def scan(text: str) -> bytes:
    """Return a page that is a picture of a text."""
    picture = Image.new("L", (1654, 2339), 255)
    ImageDraw.Draw(picture).text((150, 200), text, fill=0, font=ImageFont.load_default(48))
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=A4)
    canvas.drawImage(ImageReader(picture), 0, 0, *A4)
    canvas.save()
    return file.getvalue()


def test_a_scan_names_the_setting_that_reads_it() -> None:
    with pytest.raises(UnreadableError, match=r"no text layer; .* ocr = true"):
        read(scan("Hello"))


def test_a_missing_program_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr.shutil, "which", lambda _: None)
    with pytest.raises(UnreadableError, match=r"apt-get install tesseract-ocr tesseract-ocr-tur"):
        read(scan("Hello"), ReadOptions(ocr=True))


@pytest.fixture
def tesseract() -> None:
    """Skip the test where tesseract is missing; with CI=true that is a failure."""
    if shutil.which("tesseract") is None:
        message = "tesseract is not installed: sudo apt-get install tesseract-ocr tesseract-ocr-tur"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


@pytest.mark.usefixtures("tesseract")
class TestRecognition:
    def test_a_scan_is_read_with_its_page(self) -> None:
        found = read(
            scan("The leave is fourteen days."), ReadOptions(ocr=True, ocr_languages="eng")
        )
        (block,) = found.blocks
        assert (block.text, block.page) == ("The leave is fourteen days.", 1)

    def test_a_missing_language_names_the_command(self) -> None:
        with pytest.raises(
            UnreadableError, match="apt-get install tesseract-ocr tesseract-ocr-xyz"
        ):
            read(scan("Hello"), ReadOptions(ocr=True, ocr_languages="eng+xyz"))

    def test_a_page_that_takes_too_long_is_given_up(self) -> None:
        options = ReadOptions(ocr=True, ocr_languages="eng", page_timeout_s=0.001)
        with pytest.raises(UnreadableError, match="took longer than"):
            read(scan("Hello"), options)
