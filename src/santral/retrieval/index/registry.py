"""The engines: which index a partition lives in, by the name its recipe gives.

``embedded`` needs nothing; any other name is a server under ``[indexes]``, whose kind says which row
opens it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from santral.config.collections import IndexServerConfig
from santral.errors import ConfigError, nearest
from santral.retrieval.index.embedded.reader import EmbeddedReader
from santral.retrieval.index.embedded.writer import EmbeddedWriter
from santral.retrieval.index.entry import Partition
from santral.retrieval.index.index import IndexReader, IndexWriter
from santral.retrieval.index.pgvector.reader import open_reader as open_pgvector_reader
from santral.retrieval.index.pgvector.writer import open_writer as open_pgvector_writer
from santral.retrieval.index.qdrant.reader import open_reader as open_qdrant_reader
from santral.retrieval.index.qdrant.writer import open_writer as open_qdrant_writer

EMBEDDED = "embedded"

OpenServerReader: TypeAlias = Callable[[Partition, IndexServerConfig], Awaitable[IndexReader]]
OpenServerWriter: TypeAlias = Callable[[Partition, IndexServerConfig], Awaitable[IndexWriter]]


class ServerKind(Struct, frozen=True):
    """How partitions are opened on one kind of server."""

    open_reader: OpenServerReader
    open_writer: OpenServerWriter


#: Kinds of servers under [indexes].
SERVER_KINDS: dict[str, ServerKind] = {
    "pgvector": ServerKind(open_pgvector_reader, open_pgvector_writer),
    "qdrant": ServerKind(open_qdrant_reader, open_qdrant_writer),
}


async def open_reader(
    partition: Partition, engine: str, servers: Mapping[str, IndexServerConfig], data_folder: Path
) -> IndexReader:
    """Open a partition for searching; it may hold nothing yet.

    Raises:
        ConfigError: there is no such engine.
        StoreError: it cannot be read or reached.
    """
    if engine == EMBEDDED:
        return await EmbeddedReader.open(partition, data_folder)
    kind, server = _found(engine, servers)
    return await kind.open_reader(partition, server)


async def open_writer(
    partition: Partition, engine: str, servers: Mapping[str, IndexServerConfig], data_folder: Path
) -> IndexWriter:
    """Open a partition for changes; it comes into being with the first publication.

    Raises:
        ConfigError: there is no such engine.
        StoreError: it cannot be written or reached, or somebody else writes it (``ingest_running``).
    """
    if engine == EMBEDDED:
        return await EmbeddedWriter.open(partition, data_folder)
    kind, server = _found(engine, servers)
    return await kind.open_writer(partition, server)


def _found(
    engine: str, servers: Mapping[str, IndexServerConfig]
) -> tuple[ServerKind, IndexServerConfig]:
    server = servers.get(engine)
    kind = None if server is None else SERVER_KINDS.get(server.kind)
    if server is None or kind is None:
        known = (EMBEDDED, *servers)
        raise ConfigError(
            f"There is no index engine '{engine}'. Name one of {', '.join(known)}, or add "
            f"[indexes.{engine}] to santral.toml.{nearest(engine, known)}"
        )
    return kind, server
