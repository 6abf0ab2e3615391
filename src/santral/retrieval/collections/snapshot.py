"""Snapshots of an index: a copy of what is searched, and the way back to it.

An index can always be made again from the database; a snapshot saves the time, and moves an index to
another machine. Restored documents that have changed since are brought up to date by the next ingest.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from santral.audit.note import note
from santral.config.schema import Config
from santral.db.engine import Engine, reading, writing
from santral.db.store import bump_revision
from santral.errors import BadRequest, Conflict
from santral.retrieval.collection import Collection, Version
from santral.retrieval.collections import store
from santral.retrieval.collections.known import known_collection
from santral.retrieval.collections.versions import live_versions
from santral.retrieval.index.entry import IndexState, Partition
from santral.retrieval.index.registry import open_writer
from santral.tenants.permission import Action, Principal


async def save_snapshot(
    engine: Engine, config: Config, tenant: str, name: str, folder: Path, *, by: Principal
) -> Version:
    """Copy the index that is searched into a folder, which must be empty or not there.

    Raises:
        NotFound: no such collection.
        NotAllowed: no role that may read collections there.
        Conflict: nothing was published yet.
        BadRequest: the folder holds something.
        StoreError: an ingest is running, or the index cannot be read.
    """
    found, version = await _active(engine, config, tenant, name, "collections.read", by)
    await asyncio.to_thread(_require_empty, folder)
    writer = await open_writer(
        _partition(found, version), version.recipe.engine, config.indexes, config.data.folder
    )
    try:
        await writer.save_snapshot(folder)
    finally:
        await writer.close()
    async with writing(engine) as conn:
        await note(
            conn,
            by.actor,
            "collections.snapshot",
            f"collection:{name}",
            tenant_id=found.tenant_id,
            after={"version": version.version, "generation": version.generation},
        )
    return version


async def restore_snapshot(
    engine: Engine, config: Config, tenant: str, name: str, folder: Path, *, by: Principal
) -> IndexState:
    """Put a snapshot of the version that is searched in force, checked whole before.

    Raises:
        NotFound: no such collection.
        NotAllowed: no role that may write collections there.
        Conflict: nothing was published yet.
        StoreError: an ingest is running, or the snapshot is damaged or of another collection.
    """
    found, version = await _active(engine, config, tenant, name, "collections.write", by)
    writer = await open_writer(
        _partition(found, version), version.recipe.engine, config.indexes, config.data.folder
    )
    try:
        state = await writer.restore_snapshot(folder)
    finally:
        await writer.close()
    async with writing(engine) as conn:
        # Revision 0: what has changed since the snapshot is the next ingest's to find.
        await store.update_version(
            conn, found.tenant_id, name, version.version,
            revision=0, generation=state.generation, documents=state.documents, chunks=state.chunks,
        )  # fmt: skip
        await bump_revision(conn)
        await note(
            conn,
            by.actor,
            "collections.restore",
            f"collection:{name}",
            tenant_id=found.tenant_id,
            before={"generation": version.generation},
            after={"version": version.version, "generation": state.generation},
        )
    return state


async def _active(
    engine: Engine, config: Config, tenant: str, name: str, action: Action, by: Principal
) -> tuple[Collection, Version]:
    async with reading(engine) as conn:
        found = await known_collection(conn, config, tenant, name, action, by=by)
        for version in await live_versions(conn, found):
            if version.version == found.active_version:
                return found, version
    raise Conflict(
        f"Nothing was published of '{name}' yet. Run: santral ingest PATH --collection {name}",
        code="collection_empty",
    )


def _require_empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise BadRequest(f"{folder} is not empty. Name another folder.", code="folder_not_empty")
    folder.mkdir(parents=True, exist_ok=True)


def _partition(found: Collection, version: Version) -> Partition:
    return Partition(found.tenant_id, found.name, version.version)
