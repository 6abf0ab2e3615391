"""The writer: points carry the revision that brought them and the one that took them away.

What is put in belongs to a revision that nobody looks at yet; a publication moves the pointer to it,
in one step. Killed before that, the next writer removes what was never published.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from msgspec.structs import replace

from santral.config.collections import IndexServerConfig
from santral.errors import BadRequest, StoreError
from santral.retrieval.index.entry import Batch, IndexState, Partition
from santral.retrieval.index.failure import lost, unreachable
from santral.retrieval.index.qdrant import partition_data, snapshot
from santral.retrieval.index.qdrant.connection import Connection, MissingError
from santral.retrieval.index.qdrant.pointer import Pointer, Pointers, Retired, unpublished
from santral.retrieval.index.qdrant.points import (
    MAX_ATTRIBUTE_INDEXES,
    IndexKind,
    attribute_key,
    attribute_kind,
    chunk_points,
    document_points,
)

#: How long a writer that was killed keeps the right to write, beside the time of a batch. Chosen.
LEASE_S = 60.0
#: How long points that a publication took away stay for readers that have not looked yet. Chosen:
#: workers look every two seconds.
GRACE_S = 5.0


def _now() -> float:
    return datetime.now(UTC).timestamp()


async def open_writer(
    partition: Partition, settings: IndexServerConfig, now: Callable[[], float] = _now
) -> QdrantWriter:
    """Take the right to write a partition, and remove what the last writer did not publish.

    Raises:
        StoreError: the server is away, refuses or is too old, or another ingest has the right.
    """
    connection = Connection(settings)
    writer = QdrantWriter(partition, connection, uuid4().hex, now)
    try:
        await connection.require_version()
        await writer.begin()
    except BaseException:
        await connection.close()
        raise
    return writer


class QdrantWriter:
    """Writes one partition, see ``index.IndexWriter``."""

    def __init__(
        self, partition: Partition, connection: Connection, name: str, now: Callable[[], float]
    ) -> None:
        self._partition = partition
        self._connection = connection
        self._pointers = Pointers(connection, partition)
        self._own = name
        self._now = now
        self._lease_s = LEASE_S + connection.settings.write_timeout_s
        self._pointer = Pointer("", "", 0)
        self._turn = asyncio.Lock()  # puts of two tasks would mix the old points with the new
        self._is_closed = False

    async def begin(self) -> None:
        """Take the right to write and forget what was not published."""
        await self._renew()
        # A restore, or a first ingest, that was killed leaves the collection after the present one.
        await self._connection.delete(self._pointers.name(self._pointer.place + 1))
        if self._pointer.place and not self._pointer.revision:
            # Nothing was ever published: begin with nothing.
            await self._connection.delete(self._name)
            self._pointer = replace(self._pointer, dimensions=-1, attributes={})
            await self._move()
        elif self._pointer.place:
            try:
                await partition_data.forget(self._connection, self._name, self._pointer.revision)
            except MissingError:
                # Deleted behind our back: nothing is held, so all is put in again.
                self._pointer = replace(self._pointer, dimensions=-1, attributes={}, retired=())
                await self._move()
            await self._sweep(self._now() - GRACE_S)

    async def held(self) -> Mapping[str, str]:
        """Return the fingerprint of every document that is put in, by id, published or not."""
        async with self._changing() as pointer:
            if not pointer.place:
                return {}
            return await partition_data.held(self._connection, self._name, unpublished(pointer))

    async def put(self, batch: Batch) -> None:
        """Put whole documents in; a document counts as held when all of its chunks are there."""
        async with self._changing() as pointer:
            _require_dimensions(pointer, batch)
            await self._prepare(batch)
            revision = unpublished(pointer)
            ids = [document.id for document in batch.documents]
            await partition_data.remove(self._connection, self._name, ids, revision)
            chunks = chunk_points(batch, revision)
            await partition_data.insert(self._connection, self._name, chunks)
            documents = document_points(batch, revision)
            await partition_data.insert(self._connection, self._name, documents)

    async def remove(self, document_ids: Sequence[str]) -> None:
        """Take documents out."""
        async with self._changing() as pointer:
            if pointer.place:
                revision, ids = unpublished(pointer), list(document_ids)
                await partition_data.remove(self._connection, self._name, ids, revision)

    async def publish(self) -> IndexState:
        """Move the pointer, then delete what no reader looks at any more."""
        async with self._changing() as pointer:
            if not pointer.place:
                await self._move()
            return await self._publish()

    async def drop(self) -> None:
        """Delete the points and the pointer."""
        async with self._changing() as pointer:
            await self._pointers.delete()
            # A restore that was killed leaves the collection after the present one.
            for place in (pointer.place, pointer.place + 1):
                if place:
                    await self._connection.delete(self._pointers.name(place))
            self._pointer = Pointer("", "", 0)

    async def save_snapshot(self, folder: Path) -> None:
        """Copy what is published into an empty folder."""
        async with self._changing() as pointer:
            await snapshot.save(self._connection, self._partition, pointer, self._name, folder)

    async def restore_snapshot(self, folder: Path) -> IndexState:
        """Put a snapshot in force: in a collection of its own, to which the pointer moves."""
        saved = await asyncio.to_thread(snapshot.read, self._partition, folder)
        async with self._changing() as pointer:
            old = pointer.place
            self._pointer = replace(
                saved,
                place=old + 1,
                revision=pointer.revision,
                retired=(),
                writer=pointer.writer,
                until=pointer.until,
            )
            await self._connection.delete(self._name)
            await self._make()
            revision = unpublished(self._pointer)
            async for points in snapshot.load(folder, revision):
                await partition_data.insert(self._connection, self._name, points)
                await self._keep()
            state = await self._publish()
            if old:
                await self._connection.delete(self._pointers.name(old))
            return state

    async def close(self) -> None:
        """Delete what was taken out, as soon as no reader looks at it, and give the right back.

        What was not published is removed by the next writer.
        """
        if not self._is_closed:
            self._is_closed = True
            with suppress(StoreError, MissingError):
                if self._pointer.retired:
                    last = self._pointer.retired[-1].at
                    await asyncio.sleep(min(max(last + GRACE_S - self._now(), 0), GRACE_S))
                    await self._sweep(last)
                await self._pointers.release(self._own)
        await self._connection.close()

    @property
    def _name(self) -> str:
        return self._pointers.name(self._pointer.place)

    @asynccontextmanager
    async def _changing(self) -> AsyncGenerator[Pointer]:
        """Hold the right to write while something is changed."""
        async with self._turn:
            if self._is_closed:
                raise unreachable(self._connection.place, "was lost while it was written to")
            try:
                await self._keep()
                yield self._pointer
            except MissingError:
                raise lost(self._connection.place, self._partition.collection) from None

    async def _keep(self) -> None:
        """Renew the right to write when half of its time is over: a batch may take long."""
        if self._pointer.until - self._now() < self._lease_s / 2:
            await self._renew()

    async def _renew(self) -> None:
        now = self._now()
        mine = self._pointer
        found = await self._pointers.take(self._own, now, now + self._lease_s)
        # What this writer has changed of its pointer since the last publication stays.
        is_same = (mine.writer, mine.revision) == (self._own, found.revision)
        self._pointer = replace(mine, until=found.until) if is_same else found

    async def _publish(self) -> IndexState:
        revision = unpublished(self._pointer)
        documents, chunks, languages = await partition_data.totals(
            self._connection, self._name, revision
        )
        has_died = await partition_data.has_died(self._connection, self._name, revision)
        retired = [Retired(revision, self._now())] if has_died else []
        pointer = replace(
            self._pointer,
            revision=revision,
            documents=documents,
            chunks=chunks,
            languages=languages,
            retired=(*self._pointer.retired, *retired),
        )
        await self._note(pointer)
        await self._sweep(self._now() - GRACE_S)
        return pointer.state

    async def _sweep(self, until: float) -> None:
        """Delete points that publications up to a moment took away."""
        over = [one.revision for one in self._pointer.retired if one.at <= until]
        if over:
            await partition_data.sweep(self._connection, self._name, max(over))
            left = tuple(one for one in self._pointer.retired if one.revision not in over)
            await self._note(replace(self._pointer, retired=left))

    async def _move(self) -> None:
        """Go on in a new collection, with what was published before."""
        self._pointer = replace(self._pointer, place=self._pointer.place + 1)
        await self._make()
        await self._note(self._pointer)

    async def _note(self, pointer: Pointer) -> None:
        """Keep what the next writer has to know, also if nothing is ever published."""
        await self._pointers.save(pointer, self._own)
        self._pointer = pointer

    async def _make(self) -> None:
        await partition_data.create(self._connection, self._name, self._pointer)

    async def _prepare(self, batch: Batch) -> None:
        """Make the collection, the vector and the indexes that a batch needs."""
        if not self._pointer.place:
            await self._move()
        dimensions = int(batch.vectors.shape[1])
        if batch.chunks and self._pointer.dimensions < 0:
            if dimensions:
                await partition_data.add_vector(self._connection, self._name, dimensions)
            await self._note(replace(self._pointer, dimensions=dimensions))
        known = self._pointer.attributes
        new = _attributes(batch, known)
        if new:
            for key, kind in new.items():
                await partition_data.add_index(self._connection, self._name, key, kind)
            await self._note(replace(self._pointer, attributes={**known, **new}))


def _attributes(batch: Batch, known: Mapping[str, IndexKind]) -> dict[str, IndexKind]:
    """Return the documents' own fields that are not indexed yet, as far as there is room."""
    found: dict[str, IndexKind] = {}
    for document in batch.documents:
        for name, value in document.attributes.items():
            key = attribute_key(name)
            if key not in known and len(known) + len(found) < MAX_ATTRIBUTE_INDEXES:
                found.setdefault(key, attribute_kind(value))
    return found


def _require_dimensions(pointer: Pointer, batch: Batch) -> None:
    given = int(batch.vectors.shape[1])
    if batch.chunks and pointer.dimensions >= 0 and given != pointer.dimensions:
        raise BadRequest(
            f"Vectors have {given} dimensions, and the index has {pointer.dimensions}. Another "
            "model needs another version of the collection.",
            code="wrong_dimension",
        )
