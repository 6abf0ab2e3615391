"""What removes an index when its collection or version is gone."""

from __future__ import annotations

from santral.config.schema import Config
from santral.retrieval.index.entry import Partition
from santral.retrieval.index.index import DropIndex
from santral.retrieval.index.registry import open_writer


def dropping(config: Config) -> DropIndex:
    """Return the function that drops a partition from the engine its recipe names."""

    async def drop(partition: Partition, engine: str) -> None:
        writer = await open_writer(partition, engine, config.indexes, config.data.folder)
        try:
            await writer.drop()
        finally:
            await writer.close()

    return drop
