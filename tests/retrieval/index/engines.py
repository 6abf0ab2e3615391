"""What a test needs of an engine: its two sides, and how exact it is."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from santral.retrieval.index.entry import Partition
from santral.retrieval.index.index import IndexReader, IndexWriter
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
