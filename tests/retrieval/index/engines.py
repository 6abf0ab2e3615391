"""What a test needs of an engine: its two sides, and how exact it is."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import asyncpg
from aiohttp import web
from tests.db.postgres import Server, name_of
from tests.retrieval.index.qdrant_front import QdrantFront

from santral.config.collections import IndexServerConfig
from santral.retrieval.index.entry import Partition
from santral.retrieval.index.index import IndexReader, IndexWriter
from santral.retrieval.index.pgvector.reader import open_reader as open_pgvector_reader
from santral.retrieval.index.qdrant.reader import open_reader as open_qdrant_reader
from santral.retrieval.index.registry import open_reader, open_writer


class EngineUnderTest(Protocol):
    """An engine with room of its own, empty at first."""

    #: A score of BM25 may differ by this part of it, one of vectors by this much.
    lexical_tolerance: float
    dense_tolerance: float
    #: Whether rarity is counted over chunks outside the scope too.
    counts_hidden: bool

    async def reader(self, partition: Partition) -> IndexReader:
        """Open a reader as a process of its own would."""
        ...

    async def writer(self, partition: Partition) -> IndexWriter:
        """Open a writer; the one before was closed."""
        ...

    async def unreachable(self) -> IndexReader | None:
        """Open a reader of what nobody answers for; nothing where there is no server."""
        ...

    async def left_behind(self, partition: Partition) -> list[str]:
        """Return what there still is of a partition: files, tables, points."""
        ...


class ServerEngine:
    """An index on a server; ``dead_url`` is one where nobody answers."""

    lexical_tolerance = 1e-4
    dense_tolerance = 2e-3  # 16-bit numbers
    counts_hidden = False
    dead_url: str

    def __init__(self, settings: IndexServerConfig) -> None:
        self.settings = settings

    async def reader(self, partition: Partition) -> IndexReader:
        return await open_reader(partition, "server", {"server": self.settings}, Path())

    async def writer(self, partition: Partition) -> IndexWriter:
        return await open_writer(partition, "server", {"server": self.settings}, Path())

    async def reader_with_clock(
        self, partition: Partition, clock: Callable[[], float]
    ) -> IndexReader:
        """Open a reader whose pauses go by a clock of the test."""
        raise NotImplementedError

    def away(self) -> AbstractContextManager[None]:
        """Let the server answer nobody within the block."""
        raise NotImplementedError

    async def unreachable(self) -> IndexReader:
        dead = self.settings.model_copy(update={"url": self.dead_url, "timeout_s": 0.5})
        partition = Partition("acme", "docs", 1)
        return await open_reader(partition, "server", {"server": dead}, Path())


class PgvectorEngine(ServerEngine):
    """PostgreSQL with pgvector, a database of its own."""

    dead_url = "postgresql://127.0.0.1:9/nowhere"

    def __init__(self, settings: IndexServerConfig, server: Server) -> None:
        super().__init__(settings)
        self._server = server

    async def reader_with_clock(
        self, partition: Partition, clock: Callable[[], float]
    ) -> IndexReader:
        return await open_pgvector_reader(partition, self.settings, clock)

    @contextmanager
    def away(self) -> Generator[None]:
        """Admit nobody to the database, and cut who is there."""
        name = name_of(self.settings.url)
        self._server.execute(
            f"ALTER DATABASE {name} CONNECTION LIMIT 0",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{name}' AND pid <> pg_backend_pid()",
        )
        try:
            yield
        finally:
            self._server.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")

    async def left_behind(self, partition: Partition) -> list[str]:
        connection = await asyncpg.connect(self.settings.url)
        try:
            rows = await connection.fetch(
                "SELECT relname AS name FROM pg_class WHERE relname ~ '^santral_[0-9]' UNION ALL "
                "SELECT collection FROM santral_partitions"
            )
        finally:
            await connection.close()
        return [row["name"] for row in rows]


class QdrantEngine(ServerEngine):
    """Qdrant's engine behind a REST interface of the tests."""

    dense_tolerance = 1e-5
    dead_url = "http://127.0.0.1:9"

    def __init__(self, front: QdrantFront) -> None:
        super().__init__(IndexServerConfig(kind="qdrant", url=front.url, timeout_s=10))
        self.front = front

    async def reader_with_clock(
        self, partition: Partition, clock: Callable[[], float]
    ) -> IndexReader:
        return await open_qdrant_reader(partition, self.settings, clock)

    @contextmanager
    def away(self) -> Generator[None]:
        """Answer as a proxy does whose server is gone."""
        self.front.fault = lambda *_: web.Response(status=502, text="bad gateway")
        try:
            yield
        finally:
            self.front.fault = lambda *_: None

    async def left_behind(self, partition: Partition) -> list[str]:
        return [name for name in self.front.shards if name != "santral_partitions"]


class EmbeddedEngine:
    """The embedded index in a folder."""

    # Impacts are kept in a byte, vectors in a byte for each dimension.
    lexical_tolerance = 0.02
    dense_tolerance = 0.02
    counts_hidden = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def reader(self, partition: Partition) -> IndexReader:
        return await open_reader(partition, "embedded", {}, self.folder)

    async def writer(self, partition: Partition) -> IndexWriter:
        return await open_writer(partition, "embedded", {}, self.folder)

    async def unreachable(self) -> None:
        return None

    async def left_behind(self, partition: Partition) -> list[str]:
        found = self.folder.glob(f"index/*/*/v{partition.version}/**/*")
        return sorted(str(path) for path in found)
