"""The chunks of an index by row, and what a search may be narrowed to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Integers
from santral.retrieval.analysis.language import Language
from santral.retrieval.document import StoredChunk

#: What a search may be narrowed to; source and section match by their beginning.
FILTERS = ("document", "kind", "language", "section", "source", "title")

_decode_chunk = msgspec.msgpack.Decoder(StoredChunk).decode


class IndexedDocument(Struct, frozen=True, array_like=True):
    """What a search says and filters about the document of a chunk."""

    id: str
    source: str
    title: str
    kind: str
    language: Language


class Passages(Struct, frozen=True):
    """The chunks of an index by row; chunks of one parent are neighbours, in reading order.

    document: int32 [chunks] into documents; section: int32 [chunks] into sections; offsets: int64
    [chunks + 1] into records, one msgpack after the other, decoded only for what is found.
    """

    documents: tuple[IndexedDocument, ...]
    sections: tuple[str, ...]
    document: Integers
    section: Integers
    offsets: NDArray[np.int64]
    records: memoryview

    def chunk(self, row: int) -> StoredChunk:
        """Return the chunk of a row."""
        return _decode_chunk(self.records[self.offsets[row] : self.offsets[row + 1]])

    def document_of(self, row: int) -> IndexedDocument:
        """Return the document of a row."""
        return self.documents[int(self.document[row])]


def pack_passages(
    documents: Sequence[IndexedDocument], chunks: Sequence[Sequence[StoredChunk]]
) -> Passages:
    """Return the passages of some documents; ``chunks`` holds those of each document in order."""
    encode = msgspec.msgpack.Encoder().encode
    sections: dict[str, int] = {}
    rows = [(number, chunk) for number, found in enumerate(chunks) for chunk in found]
    numbers = [sections.setdefault(chunk.section, len(sections)) for _, chunk in rows]
    records = [encode(chunk) for _, chunk in rows]
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(record) for record in records], out=offsets[1:])
    return Passages(
        documents=tuple(documents),
        sections=tuple(sections),
        document=np.array([number for number, _ in rows], np.int32),
        section=np.array(numbers, np.int32),
        offsets=offsets,
        records=memoryview(b"".join(records)),
    )


def matching_rows(passages: Passages, filters: Mapping[str, str]) -> NDArray[np.intp] | None:
    """Return the rows that pass every filter, or nothing where there is no filter."""
    if not filters:
        return None
    mask = np.ones(len(passages.document), bool)
    about_documents = {key: value for key, value in filters.items() if key != "section"}
    if about_documents:
        is_in = [_passes(document, about_documents) for document in passages.documents]
        mask &= np.array(is_in, bool)[passages.document]
    if "section" in filters:
        begins = [section.startswith(filters["section"]) for section in passages.sections]
        mask &= np.array(begins, bool)[passages.section]
    return np.flatnonzero(mask)


def _passes(document: IndexedDocument, filters: Mapping[str, str]) -> bool:
    for field, value in filters.items():
        if field == "document":
            passed = value in (document.id, document.source)
        elif field == "source":
            passed = document.source.startswith(value)
        else:
            passed = getattr(document, field) == value
        if not passed:
            return False
    return True
