"""Content: what a segment is made of, from batches or from other segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.analysis.counts import Terms
from santral.retrieval.analysis.terms import join_terms, some_terms
from santral.retrieval.index.embedded.arrays import Array
from santral.retrieval.index.embedded.columns import Coded, Numbers, coded, document_columns
from santral.retrieval.index.embedded.lexicon import (
    MAX_ROWS,
    Lexicon,
    Packed,
    build_lexicon,
    packed_terms,
    unpacked_lexicon,
    usual_impacts,
)
from santral.retrieval.index.embedded.segment import Segment
from santral.retrieval.index.embedded.vectors import Vectors, pack_vectors
from santral.retrieval.index.entry import Batch, IndexedDocument
from santral.retrieval.index.signal import Signal

#: Occurrences that are sorted together when segments are merged. Chosen: 32 MB.
_SLICE = 1 << 22

_encode = msgspec.msgpack.Encoder().encode


class Content(Struct, frozen=True):
    """The parts of a segment; ``of`` is the document of each chunk: int32 [chunks], ascending."""

    documents: Sequence[IndexedDocument]
    of: NDArray[np.int32]
    records: Sequence[bytes]
    sections: Sequence[str]
    pages: NDArray[np.float64]
    vectors: Vectors
    stems: Lexicon
    grams: Lexicon

    def arrays(self) -> dict[str, Array]:
        """Return what is written of it, by name."""
        found: dict[str, Array] = {"document": self.of}
        found |= _blobs("chunks", self.records)
        found |= _blobs("documents", [_encode(one) for one in self.documents])
        found |= {"vectors": self.vectors.values, "scales": self.vectors.scales}
        for label, lexicon in (("stems", self.stems), ("grams", self.grams)):
            found |= {f"{label}.{key}": getattr(lexicon, key) for key in lexicon.__struct_fields__}
        columns = document_columns(self.documents)
        columns |= {"section": coded(self.sections), "page": Numbers(self.pages)}
        for name, column in columns.items():
            if isinstance(column, Coded):
                found |= {f"codes.{name}": column.codes, f"values.{name}": column.values}
            else:
                found[f"numbers.{name}"] = column.values
        return found


def contents_of(batches: Sequence[Batch]) -> Iterator[Content]:
    """Yield the contents of whole batches, in as many parts as the longest segment allows.

    No document is in two of the batches.
    """
    offsets = np.cumsum([0, *(len(batch.documents) for batch in batches)])
    documents = [one for batch in batches for one in batch.documents]
    chunks = [chunk for batch in batches for chunk in batch.chunks]
    of = np.concatenate([batch.of + start for batch, start in zip(batches, offsets, strict=False)])
    order = np.argsort(of, kind="stable")
    if (order[:-1] > order[1:]).any():
        raise ValueError("the chunks of a batch have to be in the order of its documents")
    stems = join_terms([batch.stems for batch in batches])
    grams = join_terms([batch.grams for batch in batches])
    vectors = pack_vectors(np.concatenate([batch.vectors for batch in batches]))
    empty = np.setdiff1d(np.arange(len(documents)), of)
    for first in range(0, max(len(chunks), 1), MAX_ROWS):
        end = min(first + MAX_ROWS, len(chunks))
        held = np.unique(of[first:end])
        if first == 0:
            held = np.union1d(held, empty)
        numbers: list[int] = held.tolist()
        part = chunks[first:end]
        yield Content(
            documents=[documents[number] for number in numbers],
            of=np.searchsorted(held, of[first:end]).astype(np.int32),
            records=[_encode(chunk) for chunk in part],
            sections=[chunk.section for chunk in part],
            pages=np.array([np.nan if it.page is None else it.page for it in part], float),
            vectors=Vectors(vectors.values[first:end], vectors.scales[first:end]),
            stems=_lexicon(some_terms(stems, first, end), "bm25"),
            grams=_lexicon(some_terms(grams, first, end), "ngrams"),
        )


def merged_content(segments: Sequence[Segment], gone: Sequence[NDArray[np.bool_]]) -> Content:
    """Return what is left of some segments; ``gone`` marks the documents that were removed."""
    documents: list[IndexedDocument] = []
    of: list[NDArray[np.int32]] = []
    records: list[bytes] = []
    sections: list[str] = []
    rows: list[NDArray[np.intp]] = []
    for segment, removed in zip(segments, gone, strict=True):
        kept = np.flatnonzero(~removed)
        numbers = np.full(segment.documents, -1, np.int32)
        numbers[kept] = np.arange(len(documents), len(documents) + len(kept))
        documents.extend(segment.document_at(number) for number in kept.tolist())
        alive = np.flatnonzero(~removed[segment.document])
        rows.append(alive)
        of.append(numbers[segment.document[alive]])
        records.extend(segment.records.read(alive))
        names = segment.section_names()
        codes: list[int] = segment.section.codes[alive].tolist()
        sections.extend(names[code] for code in codes)
    moved = _moved(segments, rows)
    return Content(
        documents=documents,
        of=np.concatenate(of),
        records=records,
        sections=sections,
        pages=np.concatenate(
            [it.page.values[alive] for it, alive in zip(segments, rows, strict=True)]
        ),
        vectors=_merged_vectors([it.vectors for it in segments], rows),
        stems=_merged_lexicon([it.stems for it in segments], rows, moved),
        grams=_merged_lexicon([it.grams for it in segments], rows, moved),
    )


def _lexicon(terms: Terms, signal: Signal) -> Lexicon:
    return build_lexicon([packed_terms(terms, signal)], usual_impacts(terms, signal))


def _merged_lexicon(
    lexicons: Sequence[Lexicon],
    rows: Sequence[NDArray[np.intp]],
    moved: Sequence[NDArray[np.int64]],
) -> Lexicon:
    usual = [lexicon.usual[alive] for lexicon, alive in zip(lexicons, rows, strict=True)]
    return build_lexicon(_slices(lexicons, moved), np.concatenate(usual))


def _merged_vectors(parts: Sequence[Vectors], rows: Sequence[NDArray[np.intp]]) -> Vectors:
    """Return the vectors of some rows; parts without a row may be of another dimension."""
    kept = [(part, alive) for part, alive in zip(parts, rows, strict=True) if len(alive)]
    if not kept:
        return Vectors(np.zeros((0, 0), np.int8), np.zeros(0, np.float32))
    values = [part.values[alive] for part, alive in kept]
    return Vectors(
        np.concatenate(values), np.concatenate([part.scales[alive] for part, alive in kept])
    )


def _moved(
    segments: Sequence[Segment], rows: Sequence[NDArray[np.intp]]
) -> list[NDArray[np.int64]]:
    """Return where each row of each segment is after the merge, -1 for one that is gone."""
    found: list[NDArray[np.int64]] = []
    start = 0
    for segment, alive in zip(segments, rows, strict=True):
        moved = np.full(segment.chunks, -1, np.int64)
        moved[alive] = np.arange(start, start + len(alive))
        start += len(alive)
        found.append(moved)
    return found


def _slices(lexicons: Sequence[Lexicon], moved: Sequence[NDArray[np.int64]]) -> Iterator[Packed]:
    """Yield the occurrences of all lexicons sorted, some millions at a time."""
    total = sum(int(lexicon.frequencies.sum()) for lexicon in lexicons)
    parts = max(1, -(-total // _SLICE))
    # Keys of grams crowd in few places: cut where the largest lexicon has equal numbers of them.
    widest = max(lexicons, key=lambda lexicon: len(lexicon.keys))
    shares = widest.frequencies.cumsum(dtype=np.int64)
    cuts = np.searchsorted(
        shares, np.linspace(0, shares[-1] if len(shares) else 0, parts + 1)[1:-1]
    )
    bounds = np.unique(widest.keys[cuts]) if len(widest.keys) else np.zeros(0, np.uint32)
    ends = [
        np.append(np.searchsorted(lexicon.keys, bounds), len(lexicon.keys)) for lexicon in lexicons
    ]
    begins = [0] * len(lexicons)
    for number in range(len(bounds) + 1):
        packed = np.concatenate(
            [
                unpacked_lexicon(lexicon, begin, int(end[number]), there)
                for lexicon, begin, end, there in zip(lexicons, begins, ends, moved, strict=True)
            ]
        )
        begins = [int(end[number]) for end in ends]
        packed.sort()
        yield packed


def _blobs(name: str, items: Sequence[bytes]) -> dict[str, Array]:
    offsets = np.zeros(len(items) + 1, np.int64)
    np.cumsum([len(item) for item in items], out=offsets[1:])
    return {f"{name}.offsets": offsets, f"{name}.bytes": np.frombuffer(b"".join(items), np.uint8)}
