"""Office files become blocks with pages; nothing in them is run, fetched or unpacked without end."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime

import pytest
from tests.retrieval.reading.office import sheets, slides, word

from santral.retrieval.document import Block, UnreadableError
from santral.retrieval.reading import archive
from santral.retrieval.reading.read import read_document


def test_a_word_file_is_read_with_headings_lists_tables_and_pages() -> None:
    found = read_document("leave.docx", word())
    assert (found.title, found.author, found.kind) == ("Leave", "Ada", "docx")
    assert found.created_at == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert found.blocks == (
        Block("heading", "Rules", 1, 1),
        Block("paragraph", "Leave is fourteen days. Ask first.", page=1),
        Block("item", "- First", page=1),
        Block("heading", "Costs", 2, 1),
        Block("table", "Item | Price\nLine | 10 USD", page=1),
        Block("paragraph", "It goes on", page=1),
        Block("paragraph", "over the page.", page=2, continues=True),
        Block("paragraph", "On page two.", page=2),
        Block("item", "  - Numbered", page=2),
    )


def test_slides_are_pages_with_their_notes() -> None:
    found = read_document("plan.pptx", slides())
    assert found.blocks == (
        Block("heading", "Plan", 1, 1),
        Block("item", "- Find it", page=1),
        Block("item", "  - Cite it", page=1),
        Block("table", "a | b", page=1),
        Block("heading", "Slide 2", 1, 2),
        Block("paragraph", "Free text", page=2),
        Block("paragraph", "Say this.", page=2),
    )


def test_sheets_are_tables_of_what_people_see() -> None:
    found = read_document("book.xlsx", sheets())
    assert found.blocks == (
        Block("heading", "Staff", 1, 1),
        Block("table", "Name | Since | Share\nAda | 2020-02-29 | 0.3\nIşıl |  | 7", page=1),
        Block("table", "Total | 2", page=1),
        Block("heading", "Gider", 1, 2),
        Block("table", "| TRUE", page=2),
    )


def test_a_formula_is_what_it_gave() -> None:
    content = changed(
        sheets(), "xl/worksheets/sheet2.xml", lambda xml: xml.replace(b"<v></v>", b"<v>2</v>")
    )
    assert read_document("book.xlsx", content).blocks[-1].text == "| TRUE | 2"


NOTES = (
    b'<w:footnotes xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    b'<w:footnote w:type="separator" w:id="0"><w:p><w:r><w:t>no</w:t></w:r></w:p></w:footnote>'
    b'<w:footnote w:id="2"><w:p><w:r><w:t>By law 4857.</w:t></w:r></w:p></w:footnote></w:footnotes>'
)


def test_footnotes_stand_below_the_paragraph_that_refers_to_them() -> None:
    reference = b'<w:t>fourteen</w:t><w:footnoteReference w:id="2"/>'
    content = changed(
        word(), "word/document.xml", lambda xml: xml.replace(b"<w:t>fourteen</w:t>", reference)
    )
    blocks = read_document("a.docx", added(content, "word/footnotes.xml", NOTES)).blocks
    assert [block.text for block in blocks[1:3]] == [
        "Leave is fourteen [1] days. Ask first.",
        "[1] By law 4857.",
    ]


@pytest.mark.parametrize("suffix", ["docm", "dotx"])
def test_a_file_with_macros_is_read_and_they_are_not(suffix: str) -> None:
    content = added(word(), "word/vbaProject.bin", b"Sub AutoOpen()")
    assert read_document(f"a.{suffix}", content).kind == "docx"


def changed(content: bytes, name: str, change) -> bytes:
    parts = unpacked(content)
    parts[name] = change(parts[name])
    return packed(parts)


def added(content: bytes, name: str, part: bytes) -> bytes:
    return packed({**unpacked(content), name: part})


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {name: file.read(name) for name in file.namelist()}


def packed(parts: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for name, part in parts.items():
            file.writestr(name, part)
    return target.getvalue()


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b"<w:document><w:body><w:p><w:r><w:t>&b;</w:t></w:r></w:p></w:body></w:document>"
)
OUTSIDE = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    b"<w:document><w:body><w:p><w:r><w:t>&a;</w:t></w:r></w:p></w:body></w:document>"
)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (BOMB, "document type"),
        (OUTSIDE, "document type"),
        (OUTSIDE.decode().encode("utf-16"), "document type"),
        (b"<w:document><w:body>", "XML is damaged"),
        (b"<a>" * 600 + b"</a>" * 600, "nested too deep"),
        (b"", "XML is damaged"),
        (b"\x00" * 100, "XML is damaged"),
    ],
)
def test_hostile_xml_is_refused(part: bytes, reason: str) -> None:
    content = changed(word(), "word/document.xml", lambda _: part)
    with pytest.raises(UnreadableError, match=reason):
        read_document("a.docx", content)


def test_a_part_that_unpacks_without_end_is_refused() -> None:
    content = changed(word(), "word/document.xml", lambda _: b" " * 30_000_000)
    assert len(content) < 100_000
    with pytest.raises(UnreadableError, match="zip bomb"):
        read_document("a.docx", content)


def test_parts_that_are_too_long_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 5_000)
    with pytest.raises(UnreadableError, match="zip bomb"):
        read_document("a.docx", word())


def test_a_size_that_is_a_lie_is_found_out() -> None:
    """The directory says 10 bytes; what is there is longer, and its sum is wrong."""
    content = word()
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        size = file.getinfo("word/document.xml").file_size
    lie = content.replace(size.to_bytes(4, "little"), (10).to_bytes(4, "little"))
    with pytest.raises(UnreadableError, match="damaged"):
        read_document("a.docx", lie)


def test_an_archive_inside_itself_is_read_one_deep() -> None:
    content = added(word(), "word/embeddings/inner.docx", word())
    assert read_document("a.docx", content) == read_document("a.docx", word())


def test_an_archive_of_no_office_program_is_none_of_ours() -> None:
    with pytest.raises(UnreadableError, match="none of the formats"):
        read_document("backup.zip", packed({"a.txt": b"x"}))
    with pytest.raises(UnreadableError, match=r"word/document\.xml is missing"):
        read_document("backup.docx", packed({"a.txt": b"x"}))


def test_an_encrypted_file_says_so() -> None:
    compound = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    with pytest.raises(UnreadableError, match="encrypted"):
        read_document("a.docx", compound + "EncryptedPackage".encode("utf-16-le"))
    with pytest.raises(UnreadableError, match=r"old Word file: save it as \.docx"):
        read_document("a.doc", compound)
    marked = bytearray(word())
    for place in range(len(marked) - 4):  # bit 0 of the flags: encrypted. Source: APPNOTE 4.4.4
        if marked[place : place + 4] in (b"PK\x01\x02", b"PK\x03\x04"):
            marked[place + (8 if marked[place + 2] == 1 else 6)] |= 1
    with pytest.raises(UnreadableError, match="encrypted"):
        read_document("a.docx", bytes(marked))
