"""The nouns: a collection, and a version of it: one way of splitting and embedding its documents."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct
from pydantic import ValidationError

from santral.config.collections import CollectionConfig
from santral.retrieval.embedding.model import ModelCard

log = logging.getLogger(__name__)

#: Dimensions of vectors that are fitted to a collection. Measured: docs/decisions/0007-retrieval.md.
FITTED_DIMENSIONS = 256

#: Version of the way documents are split: what another one split is another version. Raised whenever
#: ``splitting/`` gives other chunks than before.
SPLIT_VERSION = 2

VersionState: TypeAlias = Literal["building", "ready", "active", "retired"]


class Recipe(Struct, frozen=True, kw_only=True):
    """Everything on which chunks, vectors and index of a version depend: another one is another version.

    ``fit`` counts how often vectors that are fitted to the collection were fitted anew: the new fit is
    a version beside the old one, so that no search mixes the two.
    """

    engine: str = "embedded"
    chunking: str = "recursive"
    child_tokens: int = 300
    parent_tokens: int = 1500
    overlap_tokens: int = 60
    split_version: int = SPLIT_VERSION
    embedding: str = "lsa"
    dimensions: int | None = FITTED_DIMENSIONS
    fit: int = 0

    @property
    def digest(self) -> str:
        """What names the recipe: equal ones, and only they, have the same."""
        return sha256(msgspec.json.encode(self)).hexdigest()


class Version(Struct, frozen=True, kw_only=True):
    """One version of a collection. The active one is searched; others wait beside it, or are gone by.

    ``revision`` is that of the documents which its index holds, ``generation`` names that index.
    """

    version: int
    state: VersionState
    recipe: Recipe
    created_at: datetime
    created_by: str = ""
    model: ModelCard | None = None
    revision: int = 0
    generation: str = ""
    documents: int = 0
    chunks: int = 0
    published_at: datetime | None = None


class Collection(Struct, frozen=True, kw_only=True):
    """What a tenant's documents are kept in, and what is searched.

    ``is_declared`` says that its settings stand in santral.toml and are read-only elsewhere.
    """

    tenant_id: str
    name: str
    settings: CollectionConfig
    is_declared: bool
    revision: int = 0
    active_version: int = 0
    description: str = ""
    created_at: datetime | None = None


class StoredCollection(Struct, frozen=True):
    """A collection as its row says; ``settings`` only of one that was made by API."""

    tenant_id: str
    name: str
    revision: int
    settings: dict[str, Any] | None
    active_version: int
    description: str
    created_at: datetime


def recipe_of(settings: CollectionConfig) -> Recipe:
    """Return what the settings say about chunks, vectors and index."""
    is_fitted = settings.embedding == "lsa"
    return Recipe(
        engine=settings.engine,
        chunking=settings.chunking,
        child_tokens=settings.child_tokens,
        parent_tokens=settings.parent_tokens,
        overlap_tokens=settings.overlap_tokens if settings.chunking == "window" else 0,
        embedding=settings.embedding,
        dimensions=settings.dimensions or (FITTED_DIMENSIONS if is_fitted else None),
    )


def settings_of(
    declared: Mapping[str, CollectionConfig], row: StoredCollection
) -> CollectionConfig:
    """Return the settings in force of a collection: its own, the file's, or the defaults.

    Settings that this version cannot read (made by a newer one) are the defaults, with a warning.
    """
    if row.settings is None:
        return declared.get(row.name) or CollectionConfig.model_validate({})
    try:
        return CollectionConfig.model_validate(row.settings)
    except ValidationError as error:
        log.warning(
            "collection_settings_unreadable",
            extra={"collection": row.name, "reason": str(error.errors()[0]["msg"])},
        )
        return CollectionConfig.model_validate({})
