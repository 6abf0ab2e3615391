"""What a source's item becomes: a document of blocks, then chunks of text with their place in it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from santral.retrieval.analysis.language import Language

#: Formats that are read. ``reading/registry.py`` says which file is which and what reads it.
Kind: TypeAlias = Literal[
    "markdown",
    "text",
    "html",
    "pdf",
    "docx",
    "pptx",
    "xlsx",
    "rst",
    "email",
    "csv",
    "jsonl",
    "code",
]

#: Where a document stands in its life. A search sees ``current`` ones unless it asks for others.
Lifecycle: TypeAlias = Literal["draft", "current", "superseded", "archived"]

#: A value of a document's own fields (``attributes``).
Attribute: TypeAlias = str | float | bool


class UnreadableError(Exception):
    """Bytes that cannot become a document; the message says why, for the quarantine."""


class Block(Struct, frozen=True):
    """A paragraph, heading, code block, table or list item; ``level`` counts for headings only.

    ``page`` is the page (slide, sheet) on which it begins, from 1; None where there are no pages.
    ``continues`` says that it goes on with the paragraph before, which a page break cut.
    """

    kind: Literal["heading", "paragraph", "code", "table", "item"]
    text: str
    level: int = 0
    page: int | None = None
    continues: bool = False


class Document(Struct, frozen=True):
    """What was read: its title, and its blocks in order.

    The other fields are what the format itself says, where it does: ``url`` is a page's canonical
    address, ``attributes`` are the headers of a message, ``front_matter`` is what stands between the
    ``---`` of Markdown, as it stands there. Others wrote it: whoever uses it judges it.
    """

    title: str
    kind: Kind
    language: Language
    blocks: tuple[Block, ...]
    author: str = ""
    created_at: datetime | None = None
    modified_at: datetime | None = None
    url: str = ""
    attributes: dict[str, Attribute] = {}
    front_matter: dict[str, Any] = {}


class PageBreak(Struct, frozen=True, array_like=True):
    """From character ``at`` of a chunk's text on, the text stands on ``page``."""

    at: int
    page: int


class Chunk(Struct, frozen=True):
    """A passage of a document, the unit that is searched.

    ``parent`` counts the longer passages of the document: chunks that share it follow each other.
    ``start`` and ``end`` are the chunk's place in the text of the document, in characters: that text
    is what its chunks give, laid at their places (chunks of a sliding window overlap), each with
    ``separator`` in front of it where it begins after the end of the one before.
    ``pages`` says where in ``text`` a page begins, the first entry at 0; empty without pages.

    A table that is cut repeats its header: then ``text`` is longer than its place, and what stands
    there is its end, ``text[repeated:]``.
    """

    position: int
    parent: int
    section: str
    text: str
    tokens: int
    page: int | None = None
    separator: str = "\n\n"
    start: int = 0
    end: int = 0
    pages: tuple[PageBreak, ...] = ()

    @property
    def repeated(self) -> int:
        """Characters at the beginning of ``text`` that repeat the header of a table."""
        return len(self.text) - (self.end - self.start)


class StoredChunk(Struct, frozen=True):
    """A chunk as the control database keeps it, with what its document says about it.

    ``content_hash`` is of what is embedded and indexed (headings and text): equal ones share vectors.
    """

    id: str
    document_id: str
    parent_id: str
    position: int
    section: str
    page: int | None
    separator: str
    text: str
    tokens: int
    start: int = 0
    end: int = 0
    pages: tuple[PageBreak, ...] = ()
    content_hash: str = ""


class Metadata(Struct, frozen=True, kw_only=True):
    """What is known of a document beside its text; searches filter by it.

    ``allowed_groups`` empty means: everybody who may search the collection. ``modified_at`` is when
    its content last changed at its source; freshness rules go by it.
    """

    url: str = ""
    owner: str = ""
    lifecycle: Lifecycle = "current"
    created_at: datetime | None = None
    modified_at: datetime | None = None
    expires_at: datetime | None = None
    allowed_groups: tuple[str, ...] = ()
    attributes: dict[str, Attribute] = {}


class StoredDocument(Struct, frozen=True, kw_only=True):
    """A document as the control database keeps it; ``reason`` says why it is quarantined.

    ``location`` is the key of the item at its source (a real path, a URL, ``s3://bucket/key``, the id
    under which it was pushed), ``root`` the folder, site, bucket or repository that was taken in,
    ``source`` the name that people see. ``fingerprint`` changes with anything that an index holds of
    it: content, metadata. ``duplicate_of`` names the document whose text it repeats nearly word for
    word. ``stamp`` is what its source said when it was fetched, ``intake`` names how it was read and
    checked, ``text_hash`` what came of that; ``edits`` is metadata that somebody changed here, which
    wins over what the source says.
    """

    id: str
    location: str
    root: str
    source: str
    title: str
    kind: str
    language: Language
    content_hash: str
    size_bytes: int
    status: Literal["indexed", "quarantined"]
    fingerprint: str = ""
    reason: str = ""
    source_id: str = ""
    duplicate_of: str = ""
    metadata: Metadata = Metadata()
    text_hash: str = ""
    stamp: str = ""
    intake: str = ""
    edits: dict[str, Any] = {}
