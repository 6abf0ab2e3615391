"""What a publication does beside committing: postings become few large segments, vectors a graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from santral.retrieval.analysis.counts import Terms
from santral.retrieval.analysis.terms import join_terms
from santral.retrieval.index.entry import Batch
from santral.retrieval.index.pgvector import store
from santral.retrieval.index.pgvector.driver import Connection, Row
from santral.retrieval.index.pgvector.postings import Numbers, Rows, pack, rows_of, swept
from santral.retrieval.index.pgvector.store import Found, Posting, Segment, Tables
from santral.retrieval.index.signal import Signal

#: Chunks whose postings are kept in memory before they become a segment. Chosen: some 60 MB.
SEGMENT_CHUNKS = 8_000
#: Segments of like size that become one. Chosen: each posting is written again once per level.
MERGE = 8
#: Share of postings that may belong to chunks that are gone, and how many in any case. Chosen.
SWEEP_SHARE, SWEEP_CHUNKS = 0.3, 2_000
#: Share of the chunks that has to come or go before the planner is told. Chosen.
ANALYSE_SHARE = 0.1
#: From so many chunks on, vectors are found through a graph. Measured: looking at all of them is
#: exact and as fast below (docs/decisions/0025-vector-databases.md).
GRAPH_CHUNKS = 20_000


class Waiting(Struct):
    """Postings that are not in the database yet."""

    stems: list[Terms] = []
    grams: list[Terms] = []
    numbers: list[Numbers] = []

    @property
    def is_full(self) -> bool:
        return sum(map(len, self.numbers)) >= SEGMENT_CHUNKS

    def add(self, batch: Batch, first: int) -> None:
        """Keep the postings of a batch whose chunks are numbered from ``first`` on."""
        if batch.chunks:
            self.stems.append(batch.stems)
            self.grams.append(batch.grams)
            self.numbers.append(np.arange(first, first + len(batch.chunks), dtype=np.int32))

    def postings(self, segment: int) -> Iterator[Posting]:
        """Yield what waits as rows of a segment."""
        numbers = np.concatenate(self.numbers)
        parts: tuple[tuple[Signal, list[Terms]], ...] = (
            ("bm25", self.stems),
            ("ngrams", self.grams),
        )
        for signal, terms in parts:
            for key, chunks, steps in pack(join_terms(terms), signal, numbers):
                yield store.FIELDS[signal], key, segment, chunks, steps


async def flush(conn: Connection, tables: Tables, found: Found, waiting: Waiting) -> Found:
    """Write the postings that wait as a segment."""
    if not waiting.numbers:
        return found
    segment = Segment(found.next_segment, sum(map(len, waiting.numbers)))
    await store.insert_postings(conn, tables, segment, waiting.postings(segment.number))
    return replace(found, next_segment=segment.number + 1)


async def tidy(conn: Connection, tables: Tables, found: Found) -> Found:
    """Sweep, merge, and build the graph of vectors, each when it is due; count what there is."""
    before = found.chunks
    documents, chunks, languages = await store.totals(conn, tables)
    found = replace(found, documents=documents, chunks=chunks, languages=languages)
    posted = sum(segment.chunks for segment in await store.segments(conn, tables))
    if posted - chunks > max(SWEEP_CHUNKS, posted * SWEEP_SHARE):
        found = await _sweep(conn, tables, found)
    else:
        found = await _merge(conn, tables, found)
    can_have_graph = 0 < found.dimensions <= store.MAX_INDEXED_DIMENSIONS
    if can_have_graph and chunks >= GRAPH_CHUNKS and not found.is_indexed:
        await store.index_vectors(conn, tables)
        found = replace(found, is_indexed=True)
    if abs(chunks - before) > chunks * ANALYSE_SHARE:
        await store.analyse_tables(conn, tables)
    return found


async def _merge(conn: Connection, tables: Tables, found: Found) -> Found:
    """Merge segments of like size until there are few of each."""
    while chosen := _alike(await store.segments(conn, tables)):
        into = Segment(found.next_segment, sum(segment.chunks for segment in chosen))
        found = replace(found, next_segment=into.number + 1)
        await store.merge_segments(conn, tables, [one.number for one in chosen], into)
    return found


async def _sweep(conn: Connection, tables: Tables, found: Found) -> Found:
    """Write all postings anew, without those of chunks that are gone."""
    alive = rows_of(await store.chunk_numbers(conn, tables, "true", ()))
    taken = await store.take_postings(conn, tables)
    segment = Segment(found.next_segment, found.chunks)
    await store.insert_postings(conn, tables, segment, _kept(taken, alive, segment.number))
    return replace(found, next_segment=segment.number + 1)


def _kept(taken: Sequence[Row], alive: Rows, segment: int) -> Iterator[Posting]:
    for row in taken:
        chunks, steps = swept(row["chunks"], row["impacts"], alive)
        if chunks:
            yield row["field"], row["key"], segment, chunks, steps


def _alike(segments: Sequence[Segment]) -> Sequence[Segment]:
    """Return segments that should become one: as many as ``MERGE`` of one order of size."""
    levels: dict[int, list[Segment]] = {}
    for segment in segments:
        level = max(segment.chunks, 1).bit_length() // 3  # MERGE is 2 ** 3
        levels.setdefault(level, []).append(segment)
    full = (level for level in levels.values() if len(level) >= MERGE)
    return next(full, list[Segment]())
