"""The formats that are read: which file is which, by name, media type and content, and what reads it."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from msgspec import Struct

from santral.retrieval.document import Kind, UnreadableError
from santral.retrieval.reading.code import LANGUAGES, read_code
from santral.retrieval.reading.docx import read_docx
from santral.retrieval.reading.encoding import is_text
from santral.retrieval.reading.file import Reader
from santral.retrieval.reading.html import read_html
from santral.retrieval.reading.mail import read_mail
from santral.retrieval.reading.markdown import read_markdown
from santral.retrieval.reading.pdf.read import read_pdf
from santral.retrieval.reading.plain import read_text
from santral.retrieval.reading.pptx import read_pptx
from santral.retrieval.reading.records import read_csv, read_jsonl
from santral.retrieval.reading.rst import read_rst
from santral.retrieval.reading.xlsx import read_xlsx

#: What bytes are, whatever the name says: the outermost wrapping.
Wrapping: TypeAlias = Literal["text", "html", "pdf", "zip", "ole"]


class Format(Struct, frozen=True):
    """One format. ``part`` is the file inside a zip archive that makes it this one."""

    read: Reader
    wrapping: Wrapping
    extensions: tuple[str, ...]
    media_types: tuple[str, ...]
    part: str = ""


_OFFICE = "application/vnd.openxmlformats-officedocument."

FORMATS: dict[Kind, Format] = {
    "markdown": Format(
        read_markdown, "text", (".md", ".markdown", ".mdx"), ("text/markdown", "text/x-markdown")
    ),
    "text": Format(read_text, "text", (".txt", ".text", ".log", ".asc"), ("text/plain",)),
    "html": Format(
        read_html, "html", (".html", ".htm", ".xhtml"), ("text/html", "application/xhtml+xml")
    ),
    "pdf": Format(read_pdf, "pdf", (".pdf",), ("application/pdf", "application/x-pdf")),
    "docx": Format(
        read_docx,
        "zip",
        (".docx", ".docm", ".dotx"),
        (f"{_OFFICE}wordprocessingml.document", "application/vnd.ms-word.document.macroenabled.12"),
        "word/document.xml",
    ),
    "pptx": Format(
        read_pptx,
        "zip",
        (".pptx", ".pptm", ".ppsx"),
        (
            f"{_OFFICE}presentationml.presentation",
            "application/vnd.ms-powerpoint.presentation.macroenabled.12",
        ),
        "ppt/presentation.xml",
    ),
    "xlsx": Format(
        read_xlsx,
        "zip",
        (".xlsx", ".xlsm"),
        (f"{_OFFICE}spreadsheetml.sheet", "application/vnd.ms-excel.sheet.macroenabled.12"),
        "xl/workbook.xml",
    ),
    "rst": Format(read_rst, "text", (".rst", ".rest"), ("text/x-rst", "text/prs.fallenstein.rst")),
    "email": Format(
        read_mail, "text", (".eml", ".mbox"), ("message/rfc822", "application/mbox")
    ),
    "csv": Format(
        read_csv, "text", (".csv", ".tsv"), ("text/csv", "text/tab-separated-values")
    ),
    "jsonl": Format(
        read_jsonl,
        "text",
        (".jsonl", ".ndjson", ".json"),
        ("application/json", "application/jsonl", "application/x-ndjson", "application/json-lines"),
    ),
    "code": Format(read_code, "text", tuple(LANGUAGES), ()),
}  # fmt: skip

_BY_EXTENSION: dict[str, Kind] = {
    extension: kind for kind, known in FORMATS.items() for extension in known.extensions
}
_BY_MEDIA_TYPE: dict[str, Kind] = {
    media_type: kind for kind, known in FORMATS.items() for media_type in known.media_types
}
#: Files of programs that we do not read, and what to do about them.
_OLD_OFFICE = {
    ".doc": "an old Word file: save it as .docx",
    ".xls": "an old Excel file: save it as .xlsx",
    ".ppt": "an old PowerPoint file: save it as .pptx",
    ".msg": "an Outlook message: save it as .eml",
}
_HTML_START = re.compile(rb"<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE)
# What may stand in front of it.
_PROLOGUE = re.compile(rb"\s+|\xef\xbb\xbf|<\?xml[^>]{0,200}>|<!--.{0,2000}?-->", re.DOTALL)
_MAIL_START = re.compile(
    rb"(?:From .*\r?\n)?(?:(?:Received|Return-Path|Delivered-To|Message-ID|MIME-Version|Date|From|To|"
    rb"Subject):[^\n]*\n(?:[ \t][^\n]*\n)*){3}",
    re.IGNORECASE,
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def kind_of(name: str, content: bytes, media_type: str = "") -> Kind | None:
    """Return the kind of a file, or nothing when it is none of ours (a picture, a program).

    Looks at the bytes only where they say what they are wrapped in: cheap, and safe for any file.

    Raises:
        UnreadableError: the name says one kind and the bytes another, or it is encrypted, or of a
            program whose files are not read; the message says what to do.
    """
    suffix = suffix_of(name)
    named = _BY_EXTENSION.get(suffix)
    served = _BY_MEDIA_TYPE.get(media_type.partition(";")[0].strip().lower())
    found = _wrapping(content)
    if found == "ole":
        raise UnreadableError(_of_ole(suffix, content))
    if served and served != "text" and (named is None or named == "code") and _fits(served, found):
        # A page that a program wrote is no program: index.php comes as text/html.
        named = served
    if named is None:
        return _sniffed(content, found)
    if not _fits(named, found):
        raise UnreadableError(f"its name says {named}, its content is {found or 'binary'}")
    return named


def suffix_of(name: str) -> str:
    """Return the end of a name from its last full stop, in lower case: ``.md``, or nothing."""
    stem, dot, last = name.rpartition("/")[2].rpartition(".")
    return f".{last.lower()}" if dot and stem else ""


def _fits(kind: Kind, found: Wrapping | None) -> bool:
    """Whether bytes can be of a kind; text may be HTML inside, and a page need not say that it is."""
    wanted = FORMATS[kind].wrapping
    return wanted == found or {wanted, found} <= {"text", "html"}


def _wrapping(content: bytes) -> Wrapping | None:
    head = content[:4096]
    if head.lstrip().startswith(b"%PDF-"):
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(_OLE):
        return "ole"
    if _is_page(head):
        return "html"
    return "text" if is_text(head) else None


def _is_page(head: bytes) -> bool:
    at = 0
    while match := _PROLOGUE.match(head, at):
        at = match.end()
    return bool(_HTML_START.match(head, at))


def _sniffed(content: bytes, found: Wrapping | None) -> Kind | None:
    """Return the kind of a file whose name says nothing."""
    if found == "zip":
        # Names stand in the clear, in the directory at the end.
        tail = content[-65_536:]
        for kind, known in FORMATS.items():
            if known.part and known.part.encode() in tail:
                return kind
        return None
    if found == "text" and _MAIL_START.match(content[:8192]):
        return "email"
    if found in ("pdf", "html", "text"):
        return found
    return None


def _of_ole(suffix: str, content: bytes) -> str:
    """Say what a compound file is: what office programs wrote before, and what they encrypt into."""
    if "EncryptedPackage".encode("utf-16-le") in content:
        return "it is encrypted and cannot be opened"
    return f"it is {_OLD_OFFICE.get(suffix, 'an old office file: save it in a newer format')}"
