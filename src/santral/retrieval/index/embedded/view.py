"""Views: a published state as a search sees it: segments without what was removed from them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.retrieval.document import StoredChunk
from santral.retrieval.filter import Filter
from santral.retrieval.index.embedded.arrays import damaged
from santral.retrieval.index.embedded.columns import Coded, may_be_seen, passing
from santral.retrieval.index.embedded.manifest import Manifest, mapping, read_manifest
from santral.retrieval.index.embedded.segment import Segment, load_segment
from santral.retrieval.index.entry import IndexedDocument, Partition

Mask: TypeAlias = NDArray[np.bool_]

#: Combinations of groups and filters whose chunks are remembered. Chosen: 100 KB each at 100,000
#: chunks; filters with a moment in them differ from search to search.
_REMEMBERED = 64
#: Documents that are kept decoded, the ones that are found again and again. Chosen.
_DECODED = 4_096
#: Times a reader starts again because what it was about to open was replaced. Chosen: a writer needs
#: seconds for a publication, a reader milliseconds.
_ATTEMPTS = 5


class Chosen(Struct, frozen=True):
    """The chunks of a segment that a search looks at; a mask is None where all of them count.

    ``seen``: inside the scope, over which rarity is counted; ``seen_count`` of them. ``rows``: those
    that pass the filter, too.
    """

    seen: Mask | None
    seen_count: int
    rows: NDArray[np.intp] | None


class SegmentView:
    """A segment in one published state. Safe to share between threads: what it remembers is made anew
    in the worst case, never wrong."""

    def __init__(self, segment: Segment, gone: Mask) -> None:
        self.segment = segment
        self._gone = gone
        self._chosen: dict[tuple[frozenset[str] | None, Filter], Chosen] = {}
        self._decoded: dict[int, IndexedDocument] = {}
        self._numbers: dict[str, list[int]] | None = None

    def choose(self, groups: frozenset[str] | None, conditions: Filter) -> Chosen:
        """Return the chunks that somebody may see and that pass a filter."""
        key = (groups, conditions)
        found = self._chosen.get(key)
        if found is None:
            found = self._choose(groups, conditions)
            if len(self._chosen) >= _REMEMBERED:
                self._chosen.clear()
            self._chosen[key] = found
        return found

    def document_at(self, number: int) -> IndexedDocument:
        """Return a document."""
        found = self._decoded.get(number)
        if found is None:
            found = self.segment.document_at(number)
            if len(self._decoded) >= _DECODED:
                self._decoded.clear()
            self._decoded[number] = found
        return found

    def stretch(
        self, groups: frozenset[str] | None, document_id: str, first: int, last: int
    ) -> list[StoredChunk]:
        """Return the chunks of a document at some positions, nothing where it may not be seen."""
        if self._numbers is None:
            numbers: dict[str, list[int]] = {}
            for number, name in enumerate(self.segment.ids()):
                numbers.setdefault(name, []).append(number)
            self._numbers = numbers
        found: list[StoredChunk] = []
        for number in self._numbers.get(document_id, ()):
            if not self._documents_seen(groups)[number]:
                continue
            begin, end = np.searchsorted(self.segment.document, [number, number + 1]).tolist()
            rows = range(begin, end)
            start = bisect_left(rows, first, key=self._position_at)
            stop = bisect_right(rows, last, key=self._position_at)
            found.extend(
                self.segment.chunks_at(np.arange(begin + start, begin + stop, dtype=np.intp))
            )
        return found

    def _position_at(self, row: int) -> int:
        (chunk,) = self.segment.chunks_at(np.array([row]))
        return chunk.position

    def _choose(self, groups: frozenset[str] | None, conditions: Filter) -> Chosen:
        segment = self.segment
        seen = self._documents_seen(groups)[segment.document]
        passes = seen & passing(
            conditions,
            segment.column,
            {"section": segment.section, "page": segment.page},
            segment.document,
            segment.documents,
        )
        return Chosen(
            seen=None if seen.all() else seen,
            seen_count=int(seen.sum()),
            rows=None if passes.all() else np.flatnonzero(passes),
        )

    def _documents_seen(self, groups: frozenset[str] | None) -> Mask:
        column = self.segment.column("groups")
        if groups is None or not isinstance(column, Coded):
            return ~self._gone
        return ~self._gone & may_be_seen(column, groups)


class Opened(Struct, frozen=True):
    """A published state, mapped."""

    manifest: Manifest
    views: Sequence[SegmentView]


def open_state(
    folder: Path, partition: Partition, known: Mapping[str, Segment], generation: str | None
) -> Opened | None:
    """Map what is in force; segments that are ``known`` are taken over.

    Returns nothing where it is the ``generation`` that the caller has.

    Raises:
        StoreError: it is damaged, or made by another version.
    """
    for _ in range(_ATTEMPTS):
        manifest = read_manifest(folder, partition)
        if manifest.generation == generation:
            return None
        if not manifest.parts:
            return Opened(manifest, ())
        try:
            with mapping(folder):
                return Opened(manifest, _views(folder, manifest, known))
        except FileNotFoundError:
            continue  # replaced and removed since we read the manifest, or damaged: look again
        except (OSError, ValueError) as error:
            raise damaged(folder, str(error)) from None
    raise damaged(folder, "a segment that counts is missing")


def _views(
    folder: Path, manifest: Manifest, known: Mapping[str, Segment]
) -> tuple[SegmentView, ...]:
    views: list[SegmentView] = []
    for part in manifest.parts:
        segment = known.get(part.name) or load_segment(folder, part.name)
        if segment.dimensions != manifest.dimensions and segment.chunks:
            raise damaged(folder / part.name, "its vectors have another dimension than the index")
        views.append(SegmentView(segment, part.gone(segment.documents)))
    return tuple(views)
