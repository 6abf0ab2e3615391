"""Passages: found chunks become the text that is given to a model, within a token budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.document import StoredChunk
from santral.retrieval.language import Language
from santral.retrieval.postings import Integers
from santral.retrieval.sentence import sentences
from santral.wire.delta import Source
from santral.wire.usage import estimate_tokens

#: What a search may be narrowed to; source and section match by their beginning.
FILTERS = ("document", "kind", "language", "section", "source", "title")

#: Between two pieces of a passage that do not follow each other.
GAP = "\n\n[…]\n\n"

#: A chunk joins the passage of a better one of its parent from this share of its score. Chosen.
JOIN_SHARE = 0.5

Hit: TypeAlias = tuple[int, float]

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


def select_passages(
    passages: Passages, hits: Sequence[Hit], *, top_k: int, max_tokens: int
) -> list[Source]:
    """Return up to ``top_k`` passages made of the hits (best first), numbered from 1.

    Hits of one parent become one passage, with what stands between them where that fits. A passage
    that does not fit the rest of the budget is left out, the first one is cut instead.
    """
    sources: list[Source] = []
    left = max_tokens
    for row, score, joined in _by_parent(passages, hits):
        if len(sources) == top_k:
            break
        chunks = _within(passages, row, joined, left)
        text = _text(chunks) if chunks else ""
        if not chunks and not sources:
            chunks, text = [passages.chunk(row)], cut(passages.chunk(row).text, left)
        if not text or any(text == source.text for source in sources):
            continue
        left -= estimate_tokens(text)
        sources.append(_source(passages, row, text, score, len(sources) + 1))
    return sources


def cut(text: str, max_tokens: int) -> str:
    """Return the first sentences of a text that fit a budget; of a longer one its first words."""
    kept = ""
    for sentence in sentences(text):
        longer = f"{kept} {sentence}" if kept else sentence
        if estimate_tokens(longer) > max_tokens:
            break
        kept = longer
    return kept or text.encode()[: max_tokens * 3].decode(errors="ignore")


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


def _by_parent(passages: Passages, hits: Sequence[Hit]) -> list[tuple[int, float, list[int]]]:
    """Return (best row, its score, all its rows) of each parent, best first."""
    groups: dict[str, tuple[int, float, list[int]]] = {}
    for row, score in hits:
        parent = passages.chunk(row).parent_id
        best = groups.setdefault(parent, (row, score, []))
        if score >= JOIN_SHARE * best[1]:
            best[2].append(row)
    return list(groups.values())


def _within(passages: Passages, best: int, rows: list[int], left: int) -> list[StoredChunk]:
    """Return the chunks of a passage: the stretch from its first to its last hit where it fits."""
    stretch = [passages.chunk(row) for row in range(min(rows), max(rows) + 1)]
    if estimate_tokens(_text(stretch)) <= left:
        return stretch
    kept: list[int] = []
    for row in sorted(rows, key=lambda row: (abs(row - best), row)):
        wanted = sorted([*kept, row])
        if estimate_tokens(_text([passages.chunk(item) for item in wanted])) <= left:
            kept = wanted
        elif row == best:
            return []
    return [passages.chunk(row) for row in kept]


def _text(chunks: Sequence[StoredChunk]) -> str:
    """Join chunks as they stood in the document, a heading in front of each new section."""
    parts: list[str] = [chunks[0].text]
    for before, chunk in pairwise(chunks):
        follows = chunk.position == before.position + 1
        parts.append(chunk.separator if follows else GAP)
        if chunk.section != before.section:
            parts.append(chunk.section.rpartition(" > ")[2] + "\n")
        parts.append(chunk.text)
    return "".join(parts)


def _source(passages: Passages, row: int, text: str, score: float, number: int) -> Source:
    chunk, document = passages.chunk(row), passages.document_of(row)
    return Source(
        number=number,
        chunk_id=chunk.id,
        document=document.source,
        text=text,
        title=document.title,
        section=chunk.section,
        page=chunk.page,
        score=round(score, 4),
        tags={"kind": document.kind, "language": document.language},
    )
