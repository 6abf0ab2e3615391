"""SQL of collections and their versions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, delete, func, insert, select, update

from santral.db.engine import Connection
from santral.db.insert import upsert
from santral.db.tables import (
    chunks,
    collection_versions,
    collections,
    document_sources,
    documents,
    fitted_models,
    retrieval_runs,
    tenants,
    version_documents,
)
from santral.retrieval.analysis.language import Language
from santral.retrieval.collection import StoredCollection, Version, VersionState
from santral.retrieval.splitting.store import delete_unused_vectors

_COLLECTION = [collections.c[name] for name in StoredCollection.__struct_fields__]
_VERSION = [collection_versions.c[name] for name in Version.__struct_fields__]


async def insert_collection(
    conn: Connection,
    tenant_id: str,
    name: str,
    settings: Mapping[str, Any] | None,
    description: str,
    now: datetime,
) -> bool:
    """Make a collection where there is none of its name; return whether it was made."""
    statement = upsert(conn, collections).values(
        tenant_id=tenant_id,
        name=name,
        revision=0,
        generation=0,
        settings=settings,
        description=description,
        created_at=now,
        updated_at=now,
    )
    return (await conn.execute(statement.on_conflict_do_nothing())).rowcount == 1


async def find_collection(conn: Connection, tenant_id: str, name: str) -> StoredCollection | None:
    """Return a collection as its row says, or nothing."""
    statement = select(*_COLLECTION).where(
        collections.c.tenant_id == tenant_id, collections.c.name == name
    )
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else _collection(row)


async def list_collections(conn: Connection, tenant_id: str | None) -> list[StoredCollection]:
    """Return the collections of a tenant, or of all, by tenant and name."""
    statement = select(*_COLLECTION).order_by(collections.c.tenant_id, collections.c.name)
    if tenant_id is not None:
        statement = statement.where(collections.c.tenant_id == tenant_id)
    return [_collection(row) for row in (await conn.execute(statement)).all()]


async def update_settings(
    conn: Connection,
    tenant_id: str,
    name: str,
    settings: Mapping[str, Any],
    description: str,
    now: datetime,
) -> None:
    """Replace the settings of a collection."""
    await _update(
        conn, tenant_id, name, {"settings": settings, "description": description, "updated_at": now}
    )


async def set_active(
    conn: Connection, tenant_id: str, name: str, version: int, now: datetime
) -> None:
    """Let searches see another version."""
    await _update(conn, tenant_id, name, {"active_version": version, "updated_at": now})


async def count_documents(conn: Connection, tenant_id: str) -> dict[str, dict[str, int]]:
    """Return, by collection, how many documents a tenant has in each status."""
    statement = (
        select(documents.c.collection, documents.c.status, func.count())
        .where(documents.c.tenant_id == tenant_id)
        .group_by(documents.c.collection, documents.c.status)
    )
    counted: dict[str, dict[str, int]] = {}
    for collection, status, number in (await conn.execute(statement)).all():
        counted.setdefault(collection, {})[status] = number
    return counted


async def count_languages(conn: Connection, tenant_id: str) -> dict[str, dict[Language, int]]:
    """Return, by collection, how many documents a tenant has in each language."""
    statement = (
        select(documents.c.collection, documents.c.language, func.count())
        .where(documents.c.tenant_id == tenant_id, documents.c.status == "indexed")
        .group_by(documents.c.collection, documents.c.language)
    )
    counted: dict[str, dict[Language, int]] = {}
    for collection, language, number in (await conn.execute(statement)).all():
        counted.setdefault(collection, {})[language] = number
    return counted


async def insert_version(conn: Connection, tenant_id: str, name: str, version: Version) -> None:
    """Add a version; one of its number must not be there."""
    row: dict[str, Any] = msgspec.to_builtins(version, builtin_types=(datetime,))
    row |= {
        "tenant_id": tenant_id,
        "collection": name,
        "recipe_digest": version.recipe.digest,
    }
    await conn.execute(insert(collection_versions), row)


async def list_versions(conn: Connection, tenant_id: str, name: str) -> list[Version]:
    """Return every version of a collection, the newest first."""
    statement = (
        select(*_VERSION)
        .where(
            collection_versions.c.tenant_id == tenant_id,
            collection_versions.c.collection == name,
        )
        .order_by(collection_versions.c.version.desc())
    )
    return [_version(row) for row in (await conn.execute(statement)).all()]


async def active_versions(conn: Connection) -> list[tuple[StoredCollection, Version]]:
    """Return every tenant's collections that can be searched, with the version that is."""
    statement = (
        select(*_COLLECTION, *_VERSION)
        .join(
            collection_versions,
            (collection_versions.c.tenant_id == collections.c.tenant_id)
            & (collection_versions.c.collection == collections.c.name)
            & (collection_versions.c.version == collections.c.active_version),
        )
        .join(tenants, tenants.c.id == collections.c.tenant_id)
        .where(tenants.c.deleted_at.is_(None))
        .order_by(collections.c.tenant_id, collections.c.name)
    )
    width = len(_COLLECTION)
    rows = [tuple(row) for row in (await conn.execute(statement)).all()]
    return [(_collection(row[:width]), _version(row[width:])) for row in rows]


async def update_version(
    conn: Connection,
    tenant_id: str,
    name: str,
    version: int,
    **changed: Any,
) -> None:
    """Change what is known of a version: its state, model, revision, generation, counts."""
    statement = (
        update(collection_versions)
        .where(
            collection_versions.c.tenant_id == tenant_id,
            collection_versions.c.collection == name,
            collection_versions.c.version == version,
        )
        .values(**msgspec.to_builtins(changed, builtin_types=(datetime,)))
    )
    await conn.execute(statement)


async def set_state(
    conn: Connection, tenant_id: str, name: str, version: int, state: VersionState
) -> None:
    """Move a version to another state."""
    await update_version(conn, tenant_id, name, version, state=state)


async def delete_version_content(conn: Connection, tenant_id: str, name: str, version: int) -> None:
    """Remove the chunks of a version, and what says which documents it has split."""
    for table in (chunks, version_documents):
        statement = delete(table).where(
            table.c.tenant_id == tenant_id,
            table.c.collection == name,
            table.c.version == version,
        )
        await conn.execute(statement)


async def delete_collection(conn: Connection, tenant_id: str, name: str) -> None:
    """Remove a collection with all that is in it; vectors that nothing refers to go as well."""
    for table in (
        chunks,
        version_documents,
        documents,  # their bodies with them
        document_sources,
        fitted_models,
        retrieval_runs,
        collection_versions,
    ):
        statement = delete(table).where(table.c.tenant_id == tenant_id, table.c.collection == name)
        await conn.execute(statement)
    await conn.execute(
        delete(collections).where(collections.c.tenant_id == tenant_id, collections.c.name == name)
    )
    await delete_unused_vectors(conn, tenant_id)


async def collections_of_deleted(conn: Connection) -> list[tuple[str, str]]:
    """Return tenant and name of every collection whose tenant was deleted."""
    statement = (
        select(collections.c.tenant_id, collections.c.name)
        .join(tenants, tenants.c.id == collections.c.tenant_id)
        .where(tenants.c.deleted_at.is_not(None))
        .order_by(collections.c.tenant_id, collections.c.name)
    )
    return [(row.tenant_id, row.name) for row in await conn.execute(statement)]


async def _update(conn: Connection, tenant_id: str, name: str, changed: Mapping[str, Any]) -> None:
    statement = (
        update(collections)
        .where(collections.c.tenant_id == tenant_id, collections.c.name == name)
        .values(**changed)
    )
    await conn.execute(statement)


def _collection(row: Row[Any] | tuple[Any, ...]) -> StoredCollection:
    return StoredCollection(*row)


def _version(row: Row[Any] | tuple[Any, ...]) -> Version:
    known = dict(zip(Version.__struct_fields__, row, strict=True))
    return msgspec.convert(known, Version)
