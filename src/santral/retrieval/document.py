"""What a file becomes: a document of blocks, then chunks of text with their place in it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from santral.retrieval.analysis.language import Language

Kind: TypeAlias = Literal["markdown", "text", "html", "pdf"]


class UnreadableError(Exception):
    """A file that cannot become a document; the message says why, for the quarantine."""


class Block(Struct, frozen=True):
    """A paragraph, heading, code block, table or list item; ``level`` counts for headings only."""

    kind: Literal["heading", "paragraph", "code", "table", "item"]
    text: str
    level: int = 0
    page: int | None = None


class Document(Struct, frozen=True):
    """A file that was read: its title, and its blocks in order."""

    title: str
    kind: Kind
    language: Language
    blocks: tuple[Block, ...]


class Chunk(Struct, frozen=True):
    """A passage of a document, the unit that is searched.

    ``parent`` counts the longer passages of the document: chunks that share it follow each other
    and, joined by their ``separator``, give its text.
    """

    position: int
    parent: int
    section: str
    text: str
    tokens: int
    page: int | None = None
    separator: str = "\n\n"


class StoredChunk(Struct, frozen=True):
    """A chunk as the control database keeps it, with what its document says about it."""

    id: str
    document_id: str
    parent_id: str
    position: int
    section: str
    page: int | None
    separator: str
    text: str
    tokens: int


class StoredDocument(Struct, frozen=True):
    """A document as the control database keeps it; ``reason`` says why it is quarantined."""

    id: str
    location: str
    root: str
    source: str
    title: str
    kind: str
    language: Language
    content_hash: str
    recipe: str
    size_bytes: int
    status: Literal["indexed", "quarantined"]
    reason: str = ""
