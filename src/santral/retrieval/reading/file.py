"""What a reader gets, and what it gives: the two sides of every format."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

from msgspec import Struct

from santral.retrieval.document import Attribute, Block, Kind
from santral.retrieval.reading.encoding import decode

_PDF_DATE = re.compile(r"D?:?(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?")


class ReadOptions(Struct, frozen=True, kw_only=True):
    """How documents are read. ``ocr_languages`` are those of tesseract, joined by plus signs."""

    ocr: bool = False
    ocr_languages: str = "tur+eng"
    page_timeout_s: float = 60.0


class File(Struct, frozen=True):
    """A file to read. ``charset`` is the encoding that its source says it has, or empty."""

    name: str
    content: bytes
    kind: Kind
    charset: str = ""
    options: ReadOptions = ReadOptions()

    @property
    def suffix(self) -> str:
        """The end of its name from the last full stop, in lower case."""
        stem, dot, last = self.name.rpartition("/")[2].rpartition(".")
        return f".{last.lower()}" if dot and stem else ""

    @property
    def text(self) -> str:
        """Its text with plain line ends, no NUL, and no blanks at the end of lines."""
        text = decode(self.content, self.charset).replace("\r\n", "\n").replace("\r", "\n")
        return "\n".join(line.rstrip(" \t") for line in text.split("\n"))


class Contents(Struct, kw_only=True):
    """What a reader found in a file; see ``Document`` for the fields."""

    title: str = ""
    blocks: list[Block]
    author: str = ""
    created_at: datetime | None = None
    modified_at: datetime | None = None
    url: str = ""
    attributes: dict[str, Attribute] = {}
    front_matter: dict[str, Any] = {}


#: Raises ``UnreadableError`` where there is nothing to be read, and ``StoreError`` where the ``rag``
#: extra is missing.
Reader: TypeAlias = Callable[[File], Contents]


def moment(text: str) -> datetime | None:
    """Return the moment that a format names in ISO 8601, as PDF or as e-mail does; UTC without a zone."""
    text = text.strip()
    for parse in (datetime.fromisoformat, parsedate_to_datetime, _pdf_moment):
        try:
            found = parse(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def _pdf_moment(text: str) -> datetime:
    match = _PDF_DATE.match(text)
    if match is None:
        raise ValueError(text)
    year, month, day, *clock = match.groups()
    return datetime(
        int(year), int(month or 1), int(day or 1), *(int(part or 0) for part in clock), tzinfo=UTC
    )
