"""Files become documents, or say why they do not."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from santral.errors import StoreError
from santral.retrieval import extra
from santral.retrieval.document import Document, UnreadableError
from santral.retrieval.reading.encoding import decode
from santral.retrieval.reading.file import File
from santral.retrieval.reading.html import html_blocks
from santral.retrieval.reading.pdf.read import read_pdf
from santral.retrieval.reading.read import read_bytes, read_document
from santral.retrieval.reading.registry import kind_of
from santral.retrieval.sources.files import find_files

TURKISH = "Yıllık izin süresi on dört gündür. Şirket İzmir'de çalışır, ığüşöç."


def pdf(*pages: str, trailer: str = "") -> bytes:
    """Return a PDF file with one text per page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for number, text in enumerate(pages):
        lines = "".join(f"({line}) Tj T* " for line in text.split("\n"))
        content = f"BT /F1 12 Tf 14 TL 72 720 Td {lines}ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    body, places = "%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(objects) + 1
    return (
        f"{body}xref\n0 {size}\n0000000000 65535 f \n{table}"
        f"trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{len(body)}\n%%EOF\n"
    ).encode("latin-1")


def read(path: Path) -> Document:
    content = read_bytes(path, 1_000_000)
    return read_document(path.name, content)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1254"]
)
def test_text_is_read_in_the_encoding_it_was_written_in(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "izin.txt"
    path.write_bytes(TURKISH.encode(encoding))
    document = read(path)
    assert document.blocks[0].text == TURKISH
    assert (document.language, document.kind) == ("tr", "text")


def test_bytes_of_no_encoding_are_read_as_latin() -> None:
    assert decode(b"x\xe9 \x81") == "xé \x81"


def test_the_main_text_of_a_page_is_read_without_its_furniture() -> None:
    title, blocks = html_blocks(
        "<!doctype html><html><head><title> Help  page </title><style>p{}</style></head><body>"
        "<header>Logo</header><nav><p>Menu</p></nav><main><h1>Install</h1><p>Run <b>it</b> now."
        "<script>bad()</script></p><div>Loose <a href='#'>text</a><br>here<ul><li>One</li>"
        "<li>Two<ul><li>Deep</li></ul></li></ul></div><pre>a\n  b</pre><table><tr><th>K</th>"
        "<td>V</td></tr></table><form><input><p>Form</p></form></main><footer>End</footer></body>"
    )
    assert title == "Help page"
    assert [(block.kind, block.text) for block in blocks] == [
        ("heading", "Install"),
        ("paragraph", "Run it now."),
        ("paragraph", "Loose text here"),
        ("item", "- One"),
        ("paragraph", "Two"),
        ("item", "- Deep"),
        ("code", "a\n  b"),
        ("table", "K | V"),
    ]


@pytest.mark.parametrize(
    "markup", ["", "<", "<html>", "<p>x", "</p></p><td>y", "<!-- ", "\x00<p>z"]
)
def test_broken_markup_never_fails(markup: str) -> None:
    html_blocks(markup)


def test_a_page_nested_to_exhaust_the_stack_is_read_all_the_same() -> None:
    page = "<div>" * 20_000 + "deep <b>down</b>" + "</div>" * 20_000
    assert [block.text for block in html_blocks(page)[1]] == ["deep down"]


def test_a_pdf_is_read_page_by_page() -> None:
    blocks = read_pdf(
        File("file.pdf", pdf("The leave is four-\nteen days long.", "Second page."), "pdf")
    ).blocks
    assert [(block.text, block.page) for block in blocks] == [
        ("The leave is fourteen days long.", 1),
        ("Second page.", 2),
    ]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.md", b"  \n", "empty"),
        ("large.txt", b"x" * 2_000_000, "larger than 1,000,000 bytes"),
        ("picture.md", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, "content is binary"),
        ("text.pdf", b"just text, no document", "its name says pdf"),
        ("book.txt", pdf("text"), "its content is pdf"),
        ("cut.pdf", pdf("text")[:120], "damaged"),
        ("scan.pdf", pdf(""), "no text layer"),
        ("bare.html", b"<html><script>x()</script></html>", "no text in it"),
        ("front.md", b"---\ntitle: x\n---\n", "no text in it"),
    ],
)
def test_a_bad_file_says_why(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=reason):
        read(path)


def test_an_encrypted_pdf_says_so() -> None:
    encrypt = (
        "/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 "
        f"/O <{'11' * 32}> /U <{'22' * 32}> >> /ID [<{'00' * 16}> <{'00' * 16}>]"
    )
    with pytest.raises(UnreadableError, match="encrypted"):
        read_pdf(File("file.pdf", pdf("secret", trailer=encrypt), "pdf"))


def test_what_has_no_end_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.md"))
        for path in (tmp_path / "pipe.md", tmp_path / "socket.md", Path("/dev/zero")):
            with pytest.raises(UnreadableError, match="not a regular file"):
                read_bytes(path)


def test_each_file_is_found_once_and_loops_end(tmp_path: Path) -> None:
    root = tmp_path / "docs"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "one.md").write_text("x")
    (root / ".hidden.md").write_text("x")
    (root / "a" / "b" / "back").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    (root / "alias.md").symlink_to(root / "a" / "one.md")
    (tmp_path / "outside.md").write_text("secret")
    (root / "out.md").symlink_to(tmp_path / "outside.md")
    (root / os.fsdecode(b"x\xe9.md")).write_text("x")
    found = find_files([root, root / "a" / "one.md", tmp_path / "gone"])
    assert [file.source for file in found.files] == ["docs/a/one.md"]
    assert sorted(found.problems) == [
        ("docs/out.md", "it is a link that leads out of the folder"),
        ("docs/self", "it is a link that leads nowhere"),
        ("docs/x\\xe9.md", "its name is not UTF-8"),
    ]
    assert found.missing == [str(tmp_path / "gone")]


def test_a_file_without_a_known_ending_is_looked_into(tmp_path: Path) -> None:
    assert kind_of("GPL-3", b"GNU GENERAL PUBLIC LICENSE") == "text"
    assert kind_of("page", b"  <!DOCTYPE html><p>x") == "html"
    assert kind_of("book", b"%PDF-1.7") == "pdf"
    assert kind_of("picture.jpg", bytes(range(32)) * 10) is None


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    with pytest.raises(StoreError, match=r"pip install 'santral\[rag\]'"):
        extra.needed("no_such_library.part", "to read nothing")
