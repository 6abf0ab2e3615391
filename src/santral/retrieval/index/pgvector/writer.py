"""The writer: everything between two publications is one transaction of PostgreSQL.

Killed at any moment it leaves what was published last; the server rolls the rest back by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from santral.config.collections import IndexServerConfig
from santral.errors import BadRequest, StoreError
from santral.retrieval.index.entry import Batch, IndexState, Partition
from santral.retrieval.index.failure import busy, unfit, unreachable
from santral.retrieval.index.pgvector import snapshot, store
from santral.retrieval.index.pgvector.connection import (
    PUBLISH_FACTOR,
    Server,
    open_connection,
    prepare,
    told,
)
from santral.retrieval.index.pgvector.driver import Connection
from santral.retrieval.index.pgvector.reader import state_of
from santral.retrieval.index.pgvector.store import Found, Tables
from santral.retrieval.index.pgvector.tidy import Waiting, flush, tidy

#: How often, and after which pause, the right to write is asked for. Chosen: a second in all.
_TRIES, _PAUSE_S = 10, 0.1


async def open_writer(partition: Partition, settings: IndexServerConfig) -> PgvectorWriter:
    """Take the right to write a partition.

    Raises:
        StoreError: the server is away, refuses or is too old, or another ingest has the right.
    """
    server = Server(settings)
    connection = await open_connection(server)
    try:
        async with told(server, settings.write_timeout_s):
            async with connection.transaction():
                await _require_pgvector(connection, server)
                await store.create_partitions(connection, settings.prefix)
            await prepare(connection)
            await _lock(connection, settings.prefix, partition)
        return PgvectorWriter(partition, server, connection)
    except BaseException:
        connection.terminate()
        raise


class _Change(Struct):
    """The open transaction: the row as it will be, and postings that are not written yet."""

    found: Found
    waiting: Waiting


class PgvectorWriter:
    """Writes one partition, see ``index.IndexWriter``."""

    def __init__(self, partition: Partition, server: Server, connection: Connection) -> None:
        self._partition = partition
        self._server = server
        self._connection = connection
        self._prefix = server.settings.prefix
        self._turn = asyncio.Lock()  # one statement at a time runs on a connection
        self._change: _Change | None = None
        self._is_broken = False

    async def held(self) -> Mapping[str, str]:
        """Return the fingerprint of every document that is put in, by id, published or not."""
        async with self._changing() as change:
            if not change.found.number:
                return {}
            return await store.fingerprints(self._connection, self._tables(change.found))

    async def put(self, batch: Batch) -> None:
        """Put whole documents in; where the server fails, all is lost that was not published."""
        async with self._changing() as change:
            dimensions = int(batch.vectors.shape[1]) if batch.chunks else 0
            _require_dimensions(change.found, dimensions)
            found = await self._made(change.found, dimensions)
            await self._replace(found, batch)
            change.waiting.add(batch, found.next_chunk)
            change.found = replace(
                found,
                next_document=found.next_document + len(batch.documents),
                next_chunk=found.next_chunk + len(batch.chunks),
            )
            if change.waiting.is_full:
                await self._flush(change)

    async def remove(self, document_ids: Sequence[str]) -> None:
        """Take documents out."""
        async with self._changing() as change:
            if change.found.number:
                await self._delete(change.found, document_ids)

    async def publish(self) -> IndexState:
        """Commit what was changed, after merging and sweeping what has become untidy."""
        async with self._changing(PUBLISH_FACTOR) as change:
            change.found = await self._made(change.found, 0)
            await self._flush(change)
            return await self._commit(change)

    async def drop(self) -> None:
        """Delete the tables and the row of the partition."""
        async with self._changing(PUBLISH_FACTOR) as change:
            if change.found.number:
                await store.drop_tables(self._connection, self._tables(change.found))
            await store.delete_partition(self._connection, self._prefix, self._partition)
            await store.commit(self._connection)
            self._change = None

    async def save_snapshot(self, folder: Path) -> None:
        """Copy what is published into an empty folder."""
        connection = await open_connection(self._server)
        try:
            async with (
                told(self._server, self._server.settings.write_timeout_s * PUBLISH_FACTOR),
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                found = await store.find_partition(connection, self._prefix, self._partition)
                await snapshot.save(connection, self._partition, found, self._prefix, folder)
        finally:
            connection.terminate()

    async def restore_snapshot(self, folder: Path) -> IndexState:
        """Put a snapshot in force beside what there is, then drop that; all in one transaction."""
        saved = await asyncio.to_thread(snapshot.read, self._partition, folder)
        async with self._changing(PUBLISH_FACTOR) as change:
            conn, old = self._connection, change.found
            number = await store.next_number(conn, self._prefix)
            made = replace(saved, number=number, generation=old.generation, is_indexed=False)
            tables = self._tables(made)
            await store.create_tables(conn, tables)
            if made.dimensions:
                await store.create_vectors(conn, tables, made.dimensions)
            await snapshot.load(conn, self._prefix, saved, made, folder)
            if old.number:
                await store.drop_tables(conn, self._tables(old))
            return await self._commit(_Change(made, Waiting()))

    async def close(self) -> None:
        """Give the right back; what was not published is rolled back by the server."""
        if not self._is_broken:
            self._is_broken = True
            with suppress(StoreError):
                async with told(self._server, self._server.settings.timeout_s):
                    await self._connection.close()
        self._connection.terminate()

    @asynccontextmanager
    async def _changing(self, factor: int = 1) -> AsyncGenerator[_Change]:
        """Hold the transaction. Where the server fails in it, it is lost, and the writer with it."""
        async with self._turn:
            if self._is_broken:
                raise unreachable(self._server.place, "was lost while it was written to")
            self._is_broken = True
            try:
                async with told(self._server, self._server.settings.write_timeout_s * factor):
                    self._change = self._change or await self._begin()
                    yield self._change
                self._is_broken = False
            except BadRequest:
                self._is_broken = False
                raise
            finally:
                if self._is_broken:
                    self._connection.terminate()

    async def _begin(self) -> _Change:
        await store.begin(self._connection)
        conn = self._connection
        found = await store.find_partition(conn, self._prefix, self._partition)
        if found is None:
            return _Change(store.NEW, Waiting())
        tables = self._tables(found)
        if found.format == store.FORMAT and await store.has_tables(conn, tables):
            return _Change(found, Waiting())
        # Of another release, or deleted behind our back: nothing is held, so all is put in again.
        await store.drop_tables(conn, tables)
        return _Change(replace(store.NEW, generation=found.generation), Waiting())

    async def _made(self, found: Found, dimensions: int) -> Found:
        """Return the row with its tables made."""
        conn = self._connection
        if not found.number:
            found = replace(found, number=await store.next_number(conn, self._prefix))
            await store.create_tables(conn, self._tables(found))
        if dimensions and not found.dimensions:
            found = replace(found, dimensions=dimensions)
            await store.create_vectors(conn, self._tables(found), dimensions)
        return found

    async def _replace(self, found: Found, batch: Batch) -> None:
        conn, tables, first = self._connection, self._tables(found), found.next_chunk
        await self._delete(found, [document.id for document in batch.documents])
        await store.insert_documents(conn, tables, batch.documents, found.next_document)
        records = [
            (
                first + place,
                found.next_document + int(owner),
                chunk.position,
                store.clean(chunk.section),
                chunk.page,
                msgspec.msgpack.encode(chunk),
            )
            for place, (chunk, owner) in enumerate(zip(batch.chunks, batch.of, strict=True))
        ]
        await store.insert_chunks(conn, tables, records)
        if found.dimensions and records:
            vectors = ((first + place, vector) for place, vector in enumerate(batch.vectors))
            await store.insert_vectors(conn, tables, vectors)

    async def _delete(self, found: Found, document_ids: Sequence[str]) -> None:
        tables, has_vectors = self._tables(found), bool(found.dimensions)
        await store.delete_documents(self._connection, tables, document_ids, has_vectors)

    async def _flush(self, change: _Change) -> None:
        tables = self._tables(change.found)
        change.found = await flush(self._connection, tables, change.found, change.waiting)
        change.waiting = Waiting()

    async def _commit(self, change: _Change) -> IndexState:
        conn, tables = self._connection, self._tables(change.found)
        found = await tidy(conn, tables, change.found)
        found = replace(found, generation=found.generation + 1)
        await store.save_partition(conn, self._prefix, self._partition, found)
        size_bytes = await store.size_bytes(conn, tables)
        await store.commit(conn)
        self._change = None
        return state_of(found, size_bytes)

    def _tables(self, found: Found) -> Tables:
        return Tables(self._prefix, found.number)


async def _lock(connection: Connection, prefix: str, partition: Partition) -> None:
    """Take the right to write; a writer that was cut off holds it until the server notices."""
    for _ in range(_TRIES):
        if await store.lock_partition(connection, prefix, partition):
            return
        await asyncio.sleep(_PAUSE_S)
    raise busy(f"{partition.tenant_id}/{partition.collection}")


async def _require_pgvector(connection: Connection, server: Server) -> None:
    version = await store.create_extension(connection)
    if tuple(int(part) for part in version.split(".")[:2]) < store.LEAST_PGVECTOR:
        least = ".".join(map(str, store.LEAST_PGVECTOR))
        raise unfit(server.place, f"it has pgvector {version}, and {least} or later is needed")


def _require_dimensions(found: Found, dimensions: int) -> None:
    if dimensions and found.dimensions and dimensions != found.dimensions:
        raise BadRequest(
            f"Vectors have {dimensions} dimensions, and the index has {found.dimensions}. Another "
            "model needs another version of the collection.",
            code="wrong_dimension",
        )
