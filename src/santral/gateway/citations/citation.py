"""A citation: a claim of an answer, and the place in a document that bears it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Citation(Struct, frozen=True, kw_only=True):
    """One source behind one mark.

    ``start`` and ``end`` count characters of the document's text, ``mark_start`` and the others those
    of the answer as the caller gets it; a mark that was taken out stands between equal places.
    ``start`` is None where the place is not known: of a passage that a check has masked, say.
    """

    number: int
    collection: str
    document_id: str
    chunk_id: str
    document: str  # its name at its source
    title: str
    section: str
    url: str
    quote: str  # the sentences of the document that bear the claim
    page: int | None = None
    end_page: int | None = None
    start: int | None = None
    end: int | None = None
    claim: str = ""
    claim_start: int = 0
    claim_end: int = 0
    mark_start: int = 0
    mark_end: int = 0

    @property
    def address(self) -> str:
        """Where to find the document: its own URL, else a name that is stable here."""
        return self.url or f"santral://{self.collection}/{self.document_id}"

    @property
    def name(self) -> str:
        """What people call the document."""
        return self.title or self.document

    def source(self) -> dict[str, Any]:
        """Return the document as every dialect's clients get it in ``santral``."""
        place = {"page": self.page, "end_page": self.end_page, "start": self.start, "end": self.end}
        return {
            "number": self.number,
            "collection": self.collection,
            "document_id": self.document_id,
            "chunk_id": self.chunk_id,
            "document": self.document,
            "title": self.title,
            "section": self.section,
            "url": self.url,
        } | {name: value for name, value in place.items() if value is not None}

    def facts(self) -> dict[str, Any]:
        """Return everything that the protocols have no words for."""
        return self.source() | {
            "quote": self.quote,
            "claim_start": self.claim_start,
            "claim_end": self.claim_end,
        }
