"""The reader: each search is one snapshot of PostgreSQL, so it sees one publication whole."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from santral.config.collections import IndexServerConfig
from santral.errors import StoreError
from santral.retrieval.access import Scope
from santral.retrieval.analysis.counts import Floats
from santral.retrieval.document import StoredChunk
from santral.retrieval.index.entry import (
    Candidate,
    Candidates,
    IndexedDocument,
    IndexQuery,
    IndexState,
    Partition,
)
from santral.retrieval.index.failure import Pause, misdirected, unfit, wrong_dimension
from santral.retrieval.index.pgvector import store
from santral.retrieval.index.pgvector.connection import Server, open_pool, prepare, told
from santral.retrieval.index.pgvector.driver import Connection, Pool, Row
from santral.retrieval.index.pgvector.postings import Rows, rows_of, scores, unpack
from santral.retrieval.index.pgvector.store import Found, Tables
from santral.retrieval.index.pgvector.where import Where, visible
from santral.retrieval.index.signal import Signal

#: Filters and groups whose rows are remembered until the next publication. Chosen.
MAX_REMEMBERED = 32
#: Below so many chunks that pass, their vectors are all looked at.
EXACT_CHUNKS = 20_000

_NONE: dict[Signal, float] = {"bm25": 0.0, "ngrams": 0.0, "dense": 0.0}
_NOTHING = Candidates((), _NONE, _NONE)
_EMPTY = IndexState(generation="", documents=0, chunks=0, dimensions=0, languages=())
_CHUNK = msgspec.msgpack.Decoder(StoredChunk)
_DOCUMENT = msgspec.msgpack.Decoder(IndexedDocument)


class _View(Struct):
    """One publication as searches see it, with the rows of filters that were asked for lately."""

    found: Found
    tables: Tables
    remembered: OrderedDict[Where, Rows]


async def open_reader(
    partition: Partition, settings: IndexServerConfig, clock: Callable[[], float] = monotonic
) -> PgvectorReader:
    """Open a partition for searching; one that was never published finds nothing.

    Raises:
        StoreError: the server is away, refuses, or holds another format.
    """
    server = Server(settings)
    reader = PgvectorReader(partition, server, await open_pool(server), Pause(clock))
    try:
        await reader.refresh()
    except BaseException:
        await reader.close()
        raise
    return reader


def state_of(found: Found, size_bytes: int = 0) -> IndexState:
    """Return what a partition's row says."""
    return IndexState(
        generation=f"{found.number}-{found.generation}",
        documents=found.documents,
        chunks=found.chunks,
        dimensions=found.dimensions,
        languages=msgspec.convert(found.languages, tuple[Any, ...]),
        size_bytes=size_bytes,
    )


class PgvectorReader:
    """Searches one partition, see ``index.IndexReader``."""

    def __init__(self, partition: Partition, server: Server, pool: Pool, pause: Pause) -> None:
        self._partition = partition
        self._server = server
        self._pool = pool
        self._pause = pause
        self._view: _View | None = None
        self._state = _EMPTY

    @property
    def state(self) -> IndexState:
        """What is searched at this moment."""
        return self._state

    async def search(self, scope: Scope, query: IndexQuery) -> Candidates:
        """Return the best chunks of each signal."""
        self._require(scope, query)
        async with self._reading() as conn:
            view = await self._current(conn)
            if view is None:
                return _NOTHING
            inside = await _rows(conn, view, visible(scope))
            passing = await _rows(conn, view, visible(scope, query.filter))
            if not len(passing.numbers):
                return _NOTHING
            found = await _find(conn, view, query, inside, passing)
            return await _fetch(conn, view, query, found)

    async def stretch(
        self, scope: Scope, document_id: str, first: int, last: int
    ) -> Sequence[StoredChunk]:
        """Return the chunks of a document at these positions, in order."""
        self._require(scope, None)
        async with self._reading() as conn:
            view = await self._current(conn)
            if view is None:
                return []
            where = visible(scope)
            wanted = (document_id, max(first, 0), min(last, 2**31 - 1))
            bodies = await store.find_stretch(conn, view.tables, where.sql, where.values, wanted)
            return [_CHUNK.decode(body) for body in bodies]

    async def refresh(self) -> bool:
        """Look for what was published since."""
        before = self._state.generation
        async with self._reading() as conn:
            await self._current(conn)
        return self._state.generation != before

    async def close(self) -> None:
        """Close the connections."""
        self._pool.terminate()

    def _require(self, scope: Scope, query: IndexQuery | None) -> None:
        if (scope.tenant_id, scope.collection) != (
            self._partition.tenant_id,
            self._partition.collection,
        ):
            raise misdirected(f"{self._partition.tenant_id}/{self._partition.collection}")
        dimensions = self._state.dimensions
        if query is not None and len(query.vector) and dimensions not in (0, len(query.vector)):
            raise wrong_dimension(len(query.vector), dimensions)

    @asynccontextmanager
    async def _reading(self) -> AsyncGenerator[Connection]:
        """Hold a connection on one snapshot of the database."""
        self._pause.check()
        try:
            async with (
                told(self._server, self._server.settings.timeout_s),
                self._pool.acquire() as conn,
                conn.transaction(isolation="repeatable_read", readonly=True),
            ):
                yield conn
        except StoreError as error:
            self._pause.failed(error)
            raise
        self._pause.answered()

    async def _current(self, conn: Connection) -> _View | None:
        """Return the publication that this snapshot of the database shows."""
        prefix = self._server.settings.prefix
        found = await store.find_partition(conn, prefix, self._partition)
        if found is None:
            self._view, self._state = None, _EMPTY
            return None
        if found.format != store.FORMAT:
            raise unfit(self._server.place, "its index is of another release; run santral ingest")
        if self._view is None or self._state.generation != f"{found.number}-{found.generation}":
            tables = Tables(prefix, found.number)
            await prepare(conn)  # the extension may be younger than the connection
            size_bytes = await store.size_bytes(conn, tables)
            self._view = _View(found, tables, OrderedDict())
            self._state = state_of(found, size_bytes)
        return self._view


class _Scores(Struct, frozen=True):
    """Of each signal the scores of chunks: of all that pass for terms, of some for vectors."""

    passing: Rows
    bm25: Floats
    ngrams: Floats
    dense: dict[int, float]
    least_dense: float
    chosen: NDArray[np.int32]


async def _rows(conn: Connection, view: _View, where: Where) -> Rows:
    """Return the chunks that pass a condition, remembered."""
    known = view.remembered.get(where)
    if known is None:
        data = await store.chunk_numbers(conn, view.tables, where.sql, where.values)
        known = view.remembered[where] = rows_of(data)
        if len(view.remembered) > MAX_REMEMBERED:
            view.remembered.popitem(last=False)
    else:
        view.remembered.move_to_end(where)
    return known


async def _find(
    conn: Connection,
    view: _View,
    query: IndexQuery,
    inside: Rows,
    passing: Rows,
) -> _Scores:
    """Score the chunks that pass, and choose the best of each signal."""
    rows = await store.find_postings(conn, view.tables, query.stems, query.grams)
    bm25, ngrams = await asyncio.to_thread(_lexical, rows, inside, passing)
    dense, least = await _dense(conn, view, query, passing)
    best = [passing.numbers[_best(part, query.limit)] for part in (bm25, ngrams)]
    near = sorted(dense, key=lambda number: (-dense[number], number))
    near = [number for number in near if dense[number] > 0][: query.limit]
    chosen = np.unique(np.concatenate([*best, np.array(near, np.int32)]))
    return _Scores(passing, bm25, ngrams, dense, least, chosen)


def _lexical(rows: Sequence[Row], inside: Rows, passing: Rows) -> tuple[Floats, Floats]:
    stems = unpack([row for row in rows if row["field"] == store.FIELDS["bm25"]])
    grams = unpack([row for row in rows if row["field"] == store.FIELDS["ngrams"]])
    return scores(stems, inside, passing), scores(grams, inside, passing)


async def _dense(
    conn: Connection, view: _View, query: IndexQuery, passing: Rows
) -> tuple[dict[int, float], float]:
    """Return the best chunks by their vectors, and the least score of any (0 at the most)."""
    if not len(query.vector) or not view.found.dimensions:
        return {}, 0.0
    tables, limit = view.tables, query.limit
    is_all = len(passing.numbers) == view.found.chunks
    numbers = None if is_all else passing.numbers.tolist()
    if view.found.is_indexed and len(passing.numbers) >= EXACT_CHUNKS:
        rows = await store.nearest_by_graph(conn, tables, query.vector, limit, numbers)
        last = await store.nearest_by_graph(conn, tables, -query.vector, 1, numbers)
        return _by_number(rows), min(0.0, *(-row["score"] for row in last)) if last else 0.0
    rows = await store.nearest_exactly(conn, tables, query.vector, limit, numbers)
    found = _by_number(rows)
    return found, min(0.0, found.pop(-1, 0.0))


def _by_number(rows: Sequence[Row]) -> dict[int, float]:
    return {row["number"]: row["score"] for row in rows}


async def _fetch(conn: Connection, view: _View, query: IndexQuery, found: _Scores) -> Candidates:
    """Make candidates of what was chosen, with every signal's score."""
    has_vectors = bool(view.found.dimensions)
    rows = await store.find_chunks(conn, view.tables, found.chosen.tolist(), has_vectors)
    places = found.passing.place(np.array([row["number"] for row in rows], np.int32)) - 1
    candidates = tuple(
        _candidate(row, int(place), query.vector, found)
        for row, place in zip(rows, places, strict=True)
    )
    best: dict[Signal, float] = {
        "bm25": float(found.bm25.max(initial=0)),
        "ngrams": float(found.ngrams.max(initial=0)),
        "dense": max(0.0, *found.dense.values()) if found.dense else 0.0,
    }
    return Candidates(candidates, {"bm25": 0.0, "ngrams": 0.0, "dense": found.least_dense}, best)


def _candidate(row: Row, place: int, vector: Floats, found: _Scores) -> Candidate:
    own: Floats | None = row["vector"]
    is_dense = own is not None and len(vector) > 0
    marks: dict[Signal, float] = {
        "bm25": float(found.bm25[place]),
        "ngrams": float(found.ngrams[place]),
        "dense": float(own @ vector) if is_dense and own is not None else 0.0,
    }
    return Candidate(_CHUNK.decode(row["chunk"]), _DOCUMENT.decode(row["document"]), marks, own)


def _best(part: Floats, limit: int) -> NDArray[np.intp]:
    """Return the places of the highest scores above 0."""
    places = np.flatnonzero(part > 0)
    order = np.argsort(-part[places], kind="stable")
    return places[order[:limit]]
