"""Files that are made to do harm: each is refused by name, or read in time, in a child."""

from __future__ import annotations

import io
import socket
import struct
import threading
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.retrieval.reading.office import word
from tests.retrieval.reading.test_office import changed, packed

from santral.retrieval.collection import Recipe
from santral.retrieval.document import UnreadableError
from santral.retrieval.reading.read import MAX_FILE_BYTES, read_bytes
from santral.retrieval.reading.task import Limits
from santral.retrieval.reading.workshop import Workshop

MIB = 1024 * 1024

# Work is bounded in seconds of CPU; a busy machine may take its time.
pytestmark = pytest.mark.timeout(150)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def workshop(anyio_backend: str) -> AsyncIterator[Workshop]:
    async with Workshop(limits=Limits(cpu_s=20, read_s=100.0)) as found:
        yield found


def many_pages(count: int) -> bytes:
    """Return a PDF file whose page tree says and holds so many pages, all of them one object."""
    kids = "3 0 R " * count
    parts = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
    ]
    text, places = "%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(text))
        text += f"{number} 0 obj\n{part}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    return (
        f"{text}xref\n0 4\n0000000000 65535 f \n{table}trailer\n<< /Size 4 /Root 1 0 R >>\n"
        f"startxref\n{len(text)}\n%%EOF\n"
    ).encode()


def pdf_bomb() -> bytes:
    """Return a PDF file whose page unpacks to a gigabyte of operators, twice deflated."""
    operators = b"q Q " * 8_000_000
    once = zlib.compress(operators, 9)
    stream = zlib.compress(once, 9)
    parts: list[bytes] = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents [" + b"4 0 R " * 40 + b"] >>",
        b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n" % len(stream)
        + stream
        + b"\nendstream",
    ]
    text = b"%PDF-1.4\n"
    for number, part in enumerate(parts, 1):
        text += b"%d 0 obj\n" % number + part + b"\nendobj\n"
    return text + b"trailer\n<< /Size 5 /Root 1 0 R >>\n%%EOF\n"


def overlapping_zip() -> bytes:
    """Return an archive whose thousand entries all unpack the same megabytes of zeros."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("word/document.xml", bytes(50 * MIB))
    content = target.getvalue()
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry = content[start:end]
    last = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1000, 1000, len(entry) * 1000, start, 0)
    return content[:start] + entry * 1000 + last


DEEP = 200_000
HOSTILE: dict[str, tuple[str, bytes, str | None]] = {
    "empty": ("a.md", b"", "empty"),
    "blank": ("a.docx", b" \n ", "empty"),
    "zip bomb": ("a.docx", changed(word(), "word/document.xml", lambda _: bytes(60 * MIB)), "zip bomb"),
    "overlapping entries": ("a.docx", overlapping_zip(), "zip bomb"),
    "many parts": ("a.docx", packed({f"{n}": b"" for n in range(21_000)}), "more than 20,000 parts"),
    "many pages": ("a.pdf", many_pages(100_000), "more than 5,000 pages"),
    "pages inside pages": ("a.pdf", many_pages(1).replace(b"[3 0 R ]", b"[2 0 R ]"), "damaged|no text"),
    "many columns": ("a.csv", b",".join(b"c%d" % n for n in range(1_000_000)), "1,000 columns"),
    "a value without end": ("a.csv", b'a,b\n"' + b"x" * MIB, "no CSV"),
    "deep HTML": ("a.html", b"<html>" + b"<div>" * DEEP + b"deep" + b"</div>" * DEEP, "more than 25,000 deep"),
    "deep lists": ("a.html", b"<html>" + b"<ul><li><a>x" * 9_000 + b"deep", None),
    "many paragraphs": ("a.html", b"<html>" + b"<p>a<td><li>" * 100_000, None),
    "deep JSON": ("a.json", b"[" * DEEP + b"]" * DEEP, "nested too deep"),
    "deep objects": ("a.jsonl", b'{"a":' * DEEP + b"1" + b"}" * DEEP, "nested too deep"),
    "deep quotes": ("a.md", b"> " * DEEP + b"deep", None),
    "deep front matter": ("a.md", b"---\na: " + b"[" * 9_000 + b"]" * 9_000 + b"\n---\nx", "front matter"),
    "NUL bytes": ("a.txt", b"\0" * 1000 + b"text", "binary"),
    "text and NUL": ("a.md", b"# a\n\n" + b"text " * 500 + b"\0", None),
    "half letters": ("a.json", b'["\\ud800"]', "not JSON"),
    "half letters in bytes": ("a.txt", b"a" + b"\xed\xa0\x80" + b" text", None),
    "one line": ("a.txt", b"word " * 4_200_000, "longer than 20,000,000 characters"),
    "one line of Markdown": ("a.md", b"x " * (MIB // 2), None),
    "one word": ("a.txt", b"x" * (4 * MIB), None),
    "many lines": ("a.txt", b"a\n\n" * 600_000, "more than 500,000 paragraphs"),
    "many marks": ("a.md", b"* a\n" * 200_000, None),
    "many blanks": ("a.txt", b"x" + b" " * MIB + b"x", None),
    "many hashes": ("a.md", b"# " + b" #" * MIB + b"x", None),
    "many fences": ("a.md", b"```\n" * 300_000, None),
    "many comments": ("a.md", b"<!--" * 200_000 + b" text", None),
    "many tables": ("a.rst", b"=== ===\n" * 20_000, "no text"),
    "many titles": ("a.rst", b"".join(b"T\n" + bytes([33 + n % 14]) * 3 + b"\n" for n in range(50_000)), None),
    "many roles": ("a.rst", b":a:`" * 100_000, None),
    "many parts of a message": ("a.eml", b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\na\n" * 50_000, None),
    "messages in messages": ("a.eml", b"Content-Type: message/rfc822\n\n" * 20_000 + b"text", "nested too deep"),
    "a long header": ("a.eml", b"Subject: " + b"=?utf-8?q?a?= " * 50_000 + b"\n\ntext", None),
    "a long definition": ("a.py", b"def " + b"a(" * 200_000, None),
    "many modifiers": ("a.java", b"public static " * 100_000 + b"\n" + b"x y " * 400 + b"(", None),
}  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_file_is_refused_by_name_or_read_in_time(
    name: str, workshop: Workshop
) -> None:
    file, content, reason = HOSTILE[name]
    said = await refused(workshop, file, content)
    if reason is None:
        assert said == ""
    else:
        assert said
        assert any(part in said for part in reason.split("|"))
    assert (await workshop.read("next.md", b"# Next")).title == "Next"


async def refused(workshop: Workshop, name: str, content: bytes) -> str:
    """Read and split a file; return why it was refused, or nothing."""
    try:
        await workshop.split(await workshop.read(name, content), Recipe())
    except UnreadableError as error:
        return str(error)
    return ""


@pytest.mark.anyio
async def test_a_page_that_unpacks_without_end_costs_one_child() -> None:
    async with Workshop(limits=Limits(cpu_s=3, read_s=100.0)) as workshop:
        with pytest.raises(UnreadableError, match=r"work|memory|ended the reader|no text layer"):
            await workshop.read("bomb.pdf", pdf_bomb())
        assert (await workshop.read("next.md", b"# Next")).title == "Next"


def test_a_file_of_500_megabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    with path.open("wb") as file:
        file.truncate(500 * MIB)
    with pytest.raises(UnreadableError, match="larger than"):
        read_bytes(path, MAX_FILE_BYTES)


@pytest.mark.anyio
async def test_nothing_that_a_document_refers_to_is_fetched(workshop: Workshop) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        server.settimeout(0.5)

        def listen() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    asked.append(connection.recv(100))
                    connection.close()
            except OSError:
                return

        thread = threading.Thread(target=listen)
        thread.start()
        page = f"<html><link rel=stylesheet href={address}><img src={address}><iframe src={address}></iframe><p>x"
        await workshop.read("a.html", page.encode())
        await workshop.read("a.md", f"![x]({address})\n".encode())
        await workshop.read(
            "a.rst", f".. image:: {address}\n\n.. include:: {address}\n\nx\n".encode()
        )
        link = (
            f'<Relationship Id="rId99" TargetMode="External" Target="{address}"/></Relationships>'
        )
        relations = "word/_rels/document.xml.rels"
        content = changed(
            word(), relations, lambda xml: xml.replace(b"</Relationships>", link.encode())
        )
        await workshop.read("a.docx", content)
        thread.join()
    assert asked == []
