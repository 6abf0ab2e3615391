"""A segment: some documents with their chunks, immutable, mapped from one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.analysis.language import Language
from santral.retrieval.document import StoredChunk
from santral.retrieval.index.embedded.arrays import Array, Records, damaged, map_arrays
from santral.retrieval.index.embedded.columns import Coded, Column, Numbers
from santral.retrieval.index.embedded.lexicon import Lexicon
from santral.retrieval.index.embedded.vectors import Vectors
from santral.retrieval.index.entry import IndexedDocument

_decode_chunk = msgspec.msgpack.Decoder(StoredChunk).decode
_decode_document = msgspec.msgpack.Decoder(IndexedDocument).decode
_decode_languages = msgspec.msgpack.Decoder(list[Language]).decode
_decode_texts = msgspec.msgpack.Decoder(list[str]).decode


class Segment(Struct, frozen=True):
    """Safe to share between threads. Chunks of a document follow each other, in reading order.

    document: int32 [chunks], ascending; documents and chunks are numbered from 0.
    """

    name: str
    document: NDArray[np.int32]
    stems: Lexicon
    grams: Lexicon
    vectors: Vectors
    section: Coded
    page: Numbers
    records: Records
    arrays: Mapping[str, Array]

    @property
    def chunks(self) -> int:
        """How many chunks it holds, removed ones too."""
        return len(self.document)

    @property
    def documents(self) -> int:
        """How many documents it holds, removed ones too."""
        return len(self.arrays["documents.offsets"]) - 1

    @property
    def dimensions(self) -> int:
        """Of its vectors; 0 where there are none."""
        return self.vectors.values.shape[1]

    def chunks_at(self, rows: NDArray[np.intp]) -> list[StoredChunk]:
        """Return the chunks of some rows."""
        return [_decode_chunk(record) for record in self.records.read(rows)]

    def document_at(self, number: int) -> IndexedDocument:
        """Return a document."""
        begin, end = self.arrays["documents.offsets"][number : number + 2].tolist()
        return _decode_document(self.arrays["documents.bytes"].data[begin:end])

    def column(self, field: str) -> Column | None:
        """Return a column of the documents, nothing where no document has the field."""
        codes = self.arrays.get(f"codes.{field}")
        if codes is not None:
            return Coded(codes, self.arrays[f"values.{field}"])
        numbers = self.arrays.get(f"numbers.{field}")
        return None if numbers is None else Numbers(numbers)

    def ids(self) -> list[str]:
        """Return the ids of its documents, in order."""
        values = _decode_texts(self.arrays["values.id"].data)
        return [values[code - 1] for code in self.arrays["codes.id"].tolist()]

    def fingerprint_at(self, number: int) -> str:
        """Return the fingerprint of a document."""
        return self.document_at(number).fingerprint

    def languages_of(self, documents: NDArray[np.bool_]) -> set[Language]:
        """Return the languages of some of its documents."""
        codes = np.unique(self.arrays["codes.language"][documents])
        values = _decode_languages(self.arrays["values.language"].data)
        return {values[code - 1] for code in codes.tolist() if code}

    def section_names(self) -> list[str]:
        """Return the sections by their codes."""
        return ["", *_decode_texts(self.section.values.data)]


def load_segment(folder: Path, name: str) -> Segment:
    """Map a segment.

    Raises:
        FileNotFoundError: it is not there.
        StoreError: it is damaged.
    """
    path = folder / name
    arrays = map_arrays(path)
    try:
        segment = Segment(
            name=name,
            document=arrays["document"],
            stems=_lexicon(arrays, "stems"),
            grams=_lexicon(arrays, "grams"),
            vectors=Vectors(arrays["vectors"], arrays["scales"]),
            section=Coded(arrays["codes.section"], arrays["values.section"]),
            page=Numbers(arrays["numbers.page"]),
            records=Records(path, "chunks.bytes", arrays["chunks.offsets"]),
            arrays=arrays,
        )
    except KeyError as error:
        raise damaged(path, f"{error} is missing") from None
    if not _belongs_together(segment):
        raise damaged(path, "its parts do not belong together")
    return segment


def _belongs_together(segment: Segment) -> bool:
    sizes = {
        segment.chunks,
        len(segment.vectors.values),
        len(segment.vectors.scales),
        len(segment.section.codes),
        len(segment.page.values),
        len(segment.arrays["chunks.offsets"]) - 1,
    }
    ends = [
        (segment.arrays[f"{part}.offsets"][-1], len(segment.arrays[f"{part}.bytes"]))
        for part in ("chunks", "documents")
    ]
    for one in (segment.stems, segment.grams):
        sizes.add(len(one.usual))
        ends.append((one.starts[-1], len(one.rows)))
        ends.append((one.usual_starts[-1], len(one.usual_rows)))
    last = int(segment.document[-1]) if segment.chunks else -1
    return len(sizes) == 1 and all(end == size for end, size in ends) and last < segment.documents


def _lexicon(arrays: Mapping[str, Array], label: str) -> Lexicon:
    return Lexicon(**{key: arrays[f"{label}.{key}"] for key in Lexicon.__struct_fields__})
