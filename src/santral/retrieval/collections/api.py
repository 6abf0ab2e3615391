"""``/api/collections``: the admin API of collections and their versions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from santral.config.schema import Config
from santral.db.engine import Engine
from santral.retrieval.collection import Version, VersionState
from santral.retrieval.collections.change import (
    CollectionLine,
    change_collection,
    create_collection,
    delete_collection,
    list_collections,
    show_collection,
)
from santral.retrieval.collections.versions import add_version, drop_version, switch_version
from santral.retrieval.index.index import DropIndex
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT

_Tenant = Annotated[str, Query(max_length=128, description="Whose collections.")]
_Name = Annotated[str, Path(max_length=128, description="The collection.")]


class NewCollection(BaseModel):
    """A collection to make."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(DEFAULT_TENANT, max_length=128, description="Whose it will be.")
    name: str = Field(max_length=128, description="Letters, digits and . _ : @ -")
    settings: dict[str, Any] = Field(
        default_factory=dict[str, Any], description="As under [collections.NAME] in santral.toml."
    )


class ChangedCollection(BaseModel):
    """Settings to change; null takes one back to its default."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(DEFAULT_TENANT, max_length=128, description="Whose collection.")
    settings: dict[str, Any] = Field(description="Only what changes.")


class NewVersion(BaseModel):
    """A version to build beside the active one."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(DEFAULT_TENANT, max_length=128, description="Whose collection.")
    changes: dict[str, Any] = Field(
        description="What differs: engine, chunking, child_tokens, parent_tokens, overlap_tokens, "
        "embedding, dimensions."
    )


class SwitchBody(BaseModel):
    """The version to search from now on."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(DEFAULT_TENANT, max_length=128, description="Whose collection.")
    version: int | None = Field(
        None, ge=1, description="Its number; null: the one that was active before."
    )


class VersionBody(BaseModel):
    """A version: how it was made, and how far it is."""

    version: int
    state: VersionState
    recipe: dict[str, Any]
    model: dict[str, Any] | None
    documents: int
    chunks: int
    is_behind: bool = Field(description="Whether documents have changed since it was published.")
    created_by: str
    created_at: datetime
    published_at: datetime | None


class CollectionBody(BaseModel):
    """A collection."""

    tenant_id: str
    name: str
    description: str
    is_declared: bool = Field(description="Whether its settings stand in santral.toml.")
    settings: dict[str, Any] = Field(description="In force, defaults too.")
    documents: int
    quarantined: int
    active_version: int = Field(description="0: nothing was published yet.")
    is_behind: bool = Field(description="Whether documents have changed since it was published.")
    warning: str = Field(description="What is wrong with its model; empty: nothing.")
    versions: list[VersionBody]


class CollectionList(BaseModel):
    """The collections of a tenant, by name."""

    collections: list[CollectionBody]


def collections_router(
    engine: Engine,
    config: Config,
    authorise: Authorise,
    *,
    drop: DropIndex,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints; ``drop`` removes the index of what is deleted."""
    router = APIRouter(prefix="/api/collections", tags=["collections"])
    reader: Any = Depends(authorise("collections.read"))
    writer: Any = Depends(authorise("collections.write"))

    @router.get("")
    async def get_collections(
        tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> CollectionList:
        """List the collections of a tenant."""
        lines = await list_collections(engine, config, tenant_id, by=by)
        return CollectionList(collections=[_body(line) for line in lines])

    @router.post("", status_code=201)
    async def post_collection(body: NewCollection, by: Principal = writer) -> CollectionBody:
        """Make an empty collection."""
        made = await create_collection(
            engine, config, body.tenant_id, body.name, body.settings, clock(), by=by
        )
        return _body(CollectionLine(collection=made))

    @router.get("/{name}")
    async def get_collection(
        name: _Name, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> CollectionBody:
        """Show one collection."""
        return _body(await show_collection(engine, config, tenant_id, name, by=by))

    @router.patch("/{name}")
    async def patch_collection(
        name: _Name, body: ChangedCollection, by: Principal = writer
    ) -> CollectionBody:
        """Change settings. Those of a search hold within seconds, others with the next ingest."""
        await change_collection(engine, config, body.tenant_id, name, body.settings, clock(), by=by)
        return _body(await show_collection(engine, config, body.tenant_id, name, by=by))

    @router.delete("/{name}")
    async def remove_collection(
        name: _Name,
        tenant_id: _Tenant = DEFAULT_TENANT,
        force: Annotated[bool, Query(description="Although it holds documents.")] = False,
        by: Principal = writer,
    ) -> CollectionBody:
        """Delete a collection with its documents, sources and index."""
        return _body(
            await delete_collection(
                engine, config, tenant_id, name, by=by, drop=drop, is_forced=force
            )
        )

    @router.post("/{name}/versions", status_code=201)
    async def post_version(name: _Name, body: NewVersion, by: Principal = writer) -> VersionBody:
        """Add a version beside the active one; the next ingest builds it."""
        made = await add_version(engine, config, body.tenant_id, name, body.changes, clock(), by=by)
        return _version_body(made, is_behind=True)

    @router.delete("/{name}/versions/{version}")
    async def remove_version(
        name: _Name,
        version: Annotated[int, Path(ge=1, description="Its number.")],
        tenant_id: _Tenant = DEFAULT_TENANT,
        by: Principal = writer,
    ) -> VersionBody:
        """Give up a version that is not active."""
        gone = await drop_version(engine, config, tenant_id, name, version, by=by, drop=drop)
        return _version_body(gone, is_behind=True)

    @router.post("/{name}/switch")
    async def post_switch(name: _Name, body: SwitchBody, by: Principal = writer) -> VersionBody:
        """Search another version from now on, or the one before again."""
        now = await switch_version(
            engine, config, body.tenant_id, name, body.version, clock(), by=by
        )
        return _version_body(now, is_behind=False)

    del get_collections, post_collection, get_collection, patch_collection  # the router holds them
    del remove_collection, post_version, remove_version, post_switch
    return router


def _body(line: CollectionLine) -> CollectionBody:
    known = line.collection
    return CollectionBody(
        tenant_id=known.tenant_id,
        name=known.name,
        description=known.description,
        is_declared=known.is_declared,
        settings=known.settings.model_dump(mode="json"),
        documents=line.documents,
        quarantined=line.quarantined,
        active_version=known.active_version,
        is_behind=line.is_behind,
        warning=line.warning,
        versions=[
            _version_body(version, is_behind=version.revision < known.revision)
            for version in line.versions
        ],
    )


def _version_body(version: Version, *, is_behind: bool) -> VersionBody:
    return VersionBody(
        version=version.version,
        state=version.state,
        recipe=msgspec.to_builtins(version.recipe),
        model=None if version.model is None else msgspec.to_builtins(version.model),
        documents=version.documents,
        chunks=version.chunks,
        is_behind=is_behind,
        created_by=version.created_by,
        created_at=version.created_at,
        published_at=version.published_at,
    )
