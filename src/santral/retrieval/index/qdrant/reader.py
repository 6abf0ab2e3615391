"""The reader: every search names the revision it looks at, so it sees one publication whole."""

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

from santral.config.collections import IndexServerConfig
from santral.errors import StoreError
from santral.retrieval.access import Scope
from santral.retrieval.analysis.counts import Floats, TermKeys
from santral.retrieval.document import StoredChunk
from santral.retrieval.index.entry import (
    Candidate,
    Candidates,
    IndexQuery,
    IndexState,
    Partition,
)
from santral.retrieval.index.failure import Pause, lost, misdirected, wrong_dimension
from santral.retrieval.index.qdrant.connection import Connection, Json, MissingError, Point
from santral.retrieval.index.qdrant.pointer import Pointer, Pointers
from santral.retrieval.index.qdrant.points import (
    DENSE,
    GRAMS,
    STEMS,
    read_chunk,
    read_document,
    read_vector,
)
from santral.retrieval.index.qdrant.where import among, every, visible
from santral.retrieval.index.signal import Signal

#: Below so many chunks that pass, their vectors are all looked at; above, Qdrant searches its graph.
EXACT_CHUNKS = 20_000
#: Neighbours looked at in the graph. Measured: docs/decisions/0025-vector-databases.md.
_HNSW_EF = 256
#: Filters whose number of chunks is remembered until the next publication. Chosen.
MAX_REMEMBERED = 256

_NONE: dict[Signal, float] = {"bm25": 0.0, "ngrams": 0.0, "dense": 0.0}
_NOTHING = Candidates((), _NONE, _NONE)
_EMPTY = IndexState(generation="", documents=0, chunks=0, dimensions=0, languages=())


async def open_reader(
    partition: Partition, settings: IndexServerConfig, clock: Callable[[], float] = monotonic
) -> QdrantReader:
    """Open a partition for searching; one that was never published finds nothing.

    Raises:
        StoreError: the server is away, refuses, is too old, or holds another format.
    """
    connection = Connection(settings)
    reader = QdrantReader(partition, connection, Pause(clock))
    try:
        await connection.require_version()
        await reader.refresh()
    except BaseException:
        await reader.close()
        raise
    return reader


class _Asked(Struct, frozen=True):
    """A search under way: the question, the collection it goes to, and what of it may be seen."""

    query: IndexQuery
    name: str
    where: Json
    corpus: Json
    is_exact: bool
    has_vectors: bool

    @property
    def is_dense(self) -> bool:
        """Whether vectors can be compared."""
        return self.has_vectors and len(self.query.vector) > 0


class QdrantReader:
    """Searches one partition, see ``index.IndexReader``."""

    def __init__(self, partition: Partition, connection: Connection, pause: Pause) -> None:
        self._partition = partition
        self._connection = connection
        self._pointers = Pointers(connection, partition)
        self._pause = pause
        self._pointer: Pointer | None = None
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    @property
    def state(self) -> IndexState:
        """What is searched at this moment."""
        return self._pointer.state if self._pointer else _EMPTY

    async def search(self, scope: Scope, query: IndexQuery) -> Candidates:
        """Return the best chunks of each signal."""
        self._require(scope)
        async with self._reading():
            pointer = self._pointer
            if pointer is None or not pointer.chunks:
                return _NOTHING
            if len(query.vector) and pointer.dimensions not in (0, len(query.vector)):
                raise wrong_dimension(len(query.vector), pointer.dimensions)
            name = self._pointers.name(pointer.place)
            where = visible(scope, pointer.revision, query.filter)
            count = await self._count(name, pointer, where)
            asked = _Asked(
                query,
                name,
                where,
                visible(scope, pointer.revision),
                count < EXACT_CHUNKS,
                pointer.dimensions > 0,
            )
            return await _find(self._connection, asked) if count else _NOTHING

    async def stretch(
        self, scope: Scope, document_id: str, first: int, last: int
    ) -> Sequence[StoredChunk]:
        """Return the chunks of a document at these positions, in order."""
        self._require(scope)
        async with self._reading():
            if self._pointer is None:
                return []
            where = every(
                visible(scope, self._pointer.revision),
                {"key": "of.document", "match": {"value": document_id}},
                {"key": "position", "range": {"gte": first, "lte": last}},
            )
            name = self._pointers.name(self._pointer.place)
            found = await _all_points(self._connection, name, where, ["chunk"])
        chunks = [read_chunk(point.payload or {}) for point in found]
        return sorted(chunks, key=lambda chunk: chunk.position)

    async def refresh(self) -> bool:
        """Look for what was published since."""
        before = self.state.generation
        async with self._reading():
            found = await self._pointers.find()
            self._pointer = found if found and found.revision else None
        is_changed = self.state.generation != before
        if is_changed:
            self._counts.clear()
        return is_changed

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    def _require(self, scope: Scope) -> None:
        own = self._partition
        if (scope.tenant_id, scope.collection) != (own.tenant_id, own.collection):
            raise misdirected(f"{own.tenant_id}/{own.collection}")

    @asynccontextmanager
    async def _reading(self) -> AsyncGenerator[None]:
        """Fail at once while the server is away; tell what a missing collection means."""
        self._pause.check()
        try:
            yield
        except MissingError:
            raise lost(self._connection.place, self._partition.collection) from None
        except StoreError as error:
            self._pause.failed(error)
            raise
        self._pause.answered()

    async def _count(self, name: str, pointer: Pointer, where: Json) -> int:
        """Return how many chunks pass, remembered."""
        key = msgspec.json.encode((pointer.place, where))
        known = self._counts.get(key)
        if known is None:
            known = self._counts[key] = await self._connection.count(name, where)
            if len(self._counts) > MAX_REMEMBERED:
                self._counts.popitem(last=False)
        return known


async def _find(connection: Connection, asked: _Asked) -> Candidates:
    """Ask for the best of each signal, then for every signal's score of all of these."""
    query = asked.query
    searches: dict[Signal, Json] = {
        "bm25": _sparse(asked, STEMS, query.stems),
        "ngrams": _sparse(asked, GRAMS, query.grams),
    }
    if asked.is_dense:
        searches["dense"] = _dense(asked, query.vector, query.limit)
    wanted: dict[Signal, Json] = {name: search for name, search in searches.items() if search}
    opposite = [_dense(asked, -query.vector, 1)] if asked.is_dense else []
    if not wanted:
        return _NOTHING
    answers = await connection.query(asked.name, [*wanted.values(), *opposite])
    found = dict(zip(wanted, answers, strict=False))
    least = min(0.0, -answers[-1][0].score) if opposite and answers[-1] else 0.0
    best = dict(_NONE)
    best.update({name: max(0.0, points[0].score) for name, points in found.items() if points})
    ids = sorted(
        {str(point.id) for points in found.values() for point in points if point.score > 0}
    )
    candidates = await _candidates(connection, asked, ids) if ids else ()
    return Candidates(candidates, {**_NONE, "dense": least}, best)


async def _candidates(
    connection: Connection, asked: _Asked, ids: list[str]
) -> tuple[Candidate, ...]:
    """Return these chunks with every signal's score."""
    where = among(asked.where, ids)
    query = asked.query
    lexical: dict[Signal, Json] = {
        "bm25": _sparse(asked, STEMS, query.stems, where, len(ids)),
        "ngrams": _sparse(asked, GRAMS, query.grams, where, len(ids)),
    }
    wanted: dict[Signal, Json] = {name: search for name, search in lexical.items() if search}
    async with asyncio.TaskGroup() as tasks:
        scored = tasks.create_task(_scores(connection, asked.name, wanted))
        read = tasks.create_task(
            _all_points(
                connection, asked.name, where, ["chunk", "document"], [DENSE] * asked.has_vectors
            )
        )
    return tuple(_candidate(point, scored.result(), query.vector) for point in read.result())


async def _scores(
    connection: Connection, name: str, wanted: dict[Signal, Json]
) -> dict[Signal, dict[str, float]]:
    if not wanted:
        return {}
    answers = await connection.query(name, list(wanted.values()))
    return {
        signal: {str(point.id): point.score for point in points}
        for signal, points in zip(wanted, answers, strict=True)
    }


def _candidate(point: Point, scored: dict[Signal, dict[str, float]], vector: Floats) -> Candidate:
    payload, own = point.payload or {}, read_vector(point.vector)
    is_dense = own is not None and len(vector) > 0
    marks: dict[Signal, float] = {
        "bm25": scored.get("bm25", {}).get(str(point.id), 0.0),
        "ngrams": scored.get("ngrams", {}).get(str(point.id), 0.0),
        "dense": float(own @ vector) if is_dense and own is not None else 0.0,
    }
    return Candidate(read_chunk(payload), read_document(payload), marks, own)


def _sparse(
    asked: _Asked, using: str, keys: TermKeys, where: Json | None = None, limit: int | None = None
) -> Json:
    """Return a query of terms; rarity is counted over what the scope may see, before the filter."""
    if not len(keys):
        return {}
    vector = {"indices": keys.tolist(), "values": [1.0] * len(keys)}
    return {
        "query": {"nearest": vector},
        "using": using,
        "filter": where or asked.where,
        "params": {"idf": {"corpus": asked.corpus}},
        "limit": limit or asked.query.limit,
        "with_payload": False,
    }


def _dense(asked: _Asked, vector: Floats, limit: int) -> Json:
    """Return a query of a vector."""
    params: dict[str, Any] = {"exact": True} if asked.is_exact else {"hnsw_ef": _HNSW_EF}
    return {
        "query": {"nearest": vector.astype(np.float64).tolist()},
        "using": DENSE,
        "filter": asked.where,
        "params": params,
        "limit": limit,
        "with_payload": False,
    }


async def _all_points(
    connection: Connection,
    name: str,
    where: Json,
    payload: Sequence[str],
    vectors: Sequence[str] = (),
) -> list[Point]:
    """Return every point that passes, page by page."""
    found: list[Point] = []
    offset: str | int | None = None
    while True:
        body: dict[str, Any] = {
            "filter": where,
            "limit": 1000,
            "with_payload": list(payload),
            "with_vector": list(vectors) or False,
        }
        if offset is not None:
            body["offset"] = offset
        points, offset = await connection.scroll(name, body)
        found += points
        if offset is None:
            return found
