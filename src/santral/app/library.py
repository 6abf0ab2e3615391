"""Opens the library of collections: for a gateway worker, the control process or a command."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from santral.config.schema import Config
from santral.retrieval.collection import Version
from santral.retrieval.embedding.model import EmbeddingModel
from santral.retrieval.embedding.registry import FindDeployment, Models
from santral.retrieval.index.entry import Partition
from santral.retrieval.index.index import IndexReader
from santral.retrieval.index.registry import open_reader
from santral.retrieval.library import Library, ReadCatalogue

if TYPE_CHECKING:
    from santral.db.engine import Engine


def models_of(
    config: Config, find_deployment: FindDeployment, engine: Engine | None = None
) -> Models:
    """Return what opens embedding models; a gateway has no database and reads files alone."""
    if engine is None:
        return Models(config.data.folder, find_deployment)
    # Imported here: a gateway has no use for what speaks SQL, which takes 25 MB.
    from santral.retrieval.embedding.fitted.keep import fetch_fit  # noqa: PLC0415

    fetch = partial(fetch_fit, engine, config.data.folder)
    return Models(config.data.folder, find_deployment, fetch)


def library_of(config: Config, read_catalogue: ReadCatalogue, models: Models) -> Library:
    """Return the library of what ``read_catalogue`` says there is; ``refresh`` opens it."""

    async def open_index(partition: Partition, version: Version) -> IndexReader:
        return await open_reader(
            partition, version.recipe.engine, config.indexes, config.data.folder
        )

    async def open_model(partition: Partition, version: Version) -> EmbeddingModel | None:
        recipe = version.recipe
        return await models.open(
            partition.tenant_id, recipe.embedding, recipe.dimensions, version.model
        )

    return Library(config.collections, read_catalogue, open_index, open_model)
