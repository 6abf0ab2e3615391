"""Reading: a file becomes a document, or a reason why it does not."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from santral.retrieval.analysis.language import detect_language
from santral.retrieval.document import Block, Document, Kind, UnreadableError
from santral.retrieval.reading.html import html_blocks
from santral.retrieval.reading.markdown import markdown_blocks, text_blocks
from santral.retrieval.reading.pdf import pdf_blocks

#: Largest file that is read. Chosen: a book of a thousand pages with pictures.
MAX_FILE_BYTES = 50 * 1024 * 1024

KINDS: dict[str, Kind] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".mdx": "markdown",
    ".txt": "text",
    ".text": "text",
    ".rst": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
}

_BLANK = re.compile(r"[ \t]+$", re.MULTILINE)
# Bytes that text has no use for; more than a few of them are a picture or a program.
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_HTML_START = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE)
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def read_bytes(path: Path, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        UnreadableError: too large, empty, not a regular file (a pipe or device has no end), or refused
            by the system.
    """
    try:
        # The kind is checked before opening: opening a pipe waits for its writer.
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("it is not a regular file")
        if status.st_size > max_bytes:
            raise UnreadableError(f"it is larger than {max_bytes:,} bytes")
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise UnreadableError(f"it cannot be read: {error.strerror or error}") from None
    if len(content) > max_bytes:
        raise UnreadableError(f"it is larger than {max_bytes:,} bytes")
    if not content.strip():
        raise UnreadableError("it is empty")
    return content


def kind_of(path: Path, head: bytes) -> Kind | None:
    """Return the kind of a file by its name and its first bytes, or nothing when it is none of ours.

    Raises:
        UnreadableError: the name says one kind and the bytes another.
    """
    named = KINDS.get(path.suffix.lower())
    found = _sniffed(head)
    if named is None:
        return found
    if found is None or (named == "pdf") != (found == "pdf"):
        raise UnreadableError(f"its name says {named}, its content is {found or 'binary'}")
    return named


def read_document(path: Path, content: bytes, kind: Kind) -> Document:
    """Return the document that a file holds.

    Raises:
        UnreadableError: there is no text in it, or it is damaged or encrypted.
        StoreError: the ``rag`` extra is not installed.
    """
    title, blocks = _blocks(path, content, kind)
    if not any(block.text.strip() for block in blocks):
        raise UnreadableError("there is no text in it")
    heading = next((block.text for block in blocks if block.kind == "heading"), "")
    text = " ".join(block.text for block in blocks[:60])
    return Document(
        title=" ".join((title or heading or path.stem).replace("\0", "").split())[:300],
        kind=kind,
        language=detect_language(text),
        blocks=tuple(blocks),
    )


def decode(content: bytes) -> str:
    """Return the text of bytes: by byte order mark, else UTF-8, else UTF-16, else Turkish or Latin.

    Windows-1254 is Windows-1252 with six Turkish letters; what it leaves undefined is Latin-1.
    """
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace").replace("\0", "")
    for encoding in (_wide_encoding(content[:4096]) or "utf-8", "cp1254"):
        try:
            return content.decode(encoding).replace("\0", "")
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1").replace("\0", "")


def _blocks(path: Path, content: bytes, kind: Kind) -> tuple[str, list[Block]]:
    if kind == "pdf":
        return pdf_blocks(content)
    text = _BLANK.sub("", decode(content).replace("\r\n", "\n").replace("\r", "\n"))
    if kind == "html":
        return html_blocks(text)
    return markdown_blocks(text) if kind == "markdown" else ("", text_blocks(text))


def _sniffed(head: bytes) -> Kind | None:
    if head.lstrip().startswith(b"%PDF-"):
        return "pdf"
    if _HTML_START.match(head):
        return "html"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "text"
    if _wide_encoding(head):
        return "text"
    return "text" if len(_CONTROL.findall(head)) * 200 <= len(head) else None


def _wide_encoding(head: bytes) -> str | None:
    """Return the UTF-16 that bytes without a mark are in: every other byte of Latin text is 0."""
    half = len(head) // 2
    for encoding, zeros, letters in (
        ("utf-16-le", head[1::2], head[::2]),
        ("utf-16-be", head[::2], head[1::2]),
    ):
        if half and zeros.count(0) > 0.4 * half and letters.count(0) < 0.05 * half:
            return encoding
    return None
