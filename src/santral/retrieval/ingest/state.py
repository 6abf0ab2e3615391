"""States: in which of them a version's chunks and index should be, told from the documents alone.

Everything that an ingest does later than reading is found by comparing these, so a run that was killed
anywhere is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b
from typing import Protocol

from santral.config.collections import CollectionConfig
from santral.retrieval.embedding.model import ModelCard
from santral.retrieval.store import Listed


class _Split(Protocol):
    @property
    def text_hash(self) -> str: ...
    @property
    def title(self) -> str: ...


def searchable(
    documents: Iterable[Listed], settings: CollectionConfig, now: datetime
) -> dict[str, Listed]:
    """Return the documents that an index should hold, by id: neither quarantined, expired nor hidden."""
    hides = settings.duplicates == "hide"
    return {
        document.id: document
        for document in documents
        if document.status == "indexed"
        and document.fingerprint
        and (document.expires_at is None or document.expires_at > now)
        and not (hides and document.duplicate_of)
    }


def split_state(document: _Split) -> str:
    """Return what a document's chunks depend on, beside the recipe of the version."""
    return _digest(document.text_hash, document.title)


def index_state(fingerprint: str, card: ModelCard | None) -> str:
    """Return what an index holds of a document of this fingerprint, with vectors of this model."""
    return _digest(fingerprint, card.digest if card is not None else "")


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=24).hexdigest()
