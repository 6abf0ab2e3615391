"""Versions of a collection: built beside the active one, switched, given up.

The one that was active before a switch stays alive: ingests keep it up to date, so that going back
takes a moment and shows no document that has been deleted since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from santral.audit.note import note
from santral.config.schema import Config
from santral.db.engine import Connection, Engine, writing
from santral.db.store import bump_revision
from santral.errors import BadRequest, Conflict, NotFound, nearest
from santral.retrieval.collection import Collection, Recipe, Version, recipe_of
from santral.retrieval.collections import store
from santral.retrieval.collections.known import checked_settings, known_collection, merged, written
from santral.retrieval.index.entry import Partition
from santral.retrieval.index.index import DropIndex
from santral.tenants.permission import Principal


async def add_version(
    engine: Engine,
    config: Config,
    tenant: str,
    name: str,
    changes: Mapping[str, Any],
    now: datetime,
    *,
    by: Principal,
) -> Version:
    """Add a version made with other settings beside the active one; the next ingest builds it.

    ``changes`` are settings of a recipe: engine, chunking, child_tokens, parent_tokens,
    overlap_tokens, embedding, dimensions. A live version of the same recipe is returned as it is.

    Raises:
        NotFound: no such collection.
        NotAllowed: no role that may write collections there.
        BadRequest: a change that is none of a recipe, or means nothing.
    """
    for setting in changes:
        if setting not in Recipe.__struct_fields__ or setting == "split_version":
            known = [field for field in Recipe.__struct_fields__ if field != "split_version"]
            raise BadRequest(
                f"'{setting}' does not make a version.{nearest(setting, known)} "
                f"These do: {', '.join(known)}.",
                param=setting,
            )
    async with writing(engine) as conn:
        found = await known_collection(conn, config, tenant, name, "collections.write", by=by)
        asked = merged(written(found.settings), changes)
        recipe = recipe_of(checked_settings(config, name, asked, is_declared=found.is_declared))
        version, is_new = await version_for(conn, found, recipe, now, by.actor.name)
        if is_new:
            await note(
                conn, by.actor, "collections.add_version", f"collection:{name}",
                tenant_id=found.tenant_id,
                after={"version": version.version, "recipe": msgspec.to_builtins(recipe)},
            )  # fmt: skip
        return version


async def switch_version(
    engine: Engine,
    config: Config,
    tenant: str,
    name: str,
    version: int | None,
    now: datetime,
    *,
    by: Principal,
) -> Version:
    """Let searches see another version from now on; None: the one that was active before.

    Raises:
        NotFound: no such collection or version.
        NotAllowed: no role that may write collections there.
        Conflict: the version is not complete, or behind the documents; says what to run.
    """
    async with writing(engine) as conn:
        found = await known_collection(conn, config, tenant, name, "collections.write", by=by)
        live = await live_versions(conn, found)
        wanted = _chosen(live, found, version)
        if wanted.revision < found.revision or (wanted.state == "building" and found.revision):
            raise Conflict(
                f"Version {wanted.version} of '{name}' is not complete. Bring it up to date first: "
                f"santral collections update {name}",
                code="version_incomplete",
            )
        await activate(conn, found, wanted.version, now)
        await note(
            conn, by.actor, "collections.switch", f"collection:{name}",
            tenant_id=found.tenant_id,
            before={"version": found.active_version}, after={"version": wanted.version},
        )  # fmt: skip
        return wanted


async def drop_version(
    engine: Engine,
    config: Config,
    tenant: str,
    name: str,
    version: int,
    *,
    by: Principal,
    drop: DropIndex,
) -> Version:
    """Give up a version that is not active: its chunks and its index go.

    Raises:
        NotFound: no such collection or version.
        NotAllowed: no role that may write collections there.
        Conflict: it is the active one.
    """
    async with writing(engine) as conn:
        found = await known_collection(conn, config, tenant, name, "collections.write", by=by)
        wanted = _chosen(await live_versions(conn, found), found, version)
        if wanted.version == found.active_version:
            raise Conflict(
                f"Version {version} of '{name}' is the one that is searched. Switch to another first.",
                code="version_active",
            )
        await retire(conn, found, wanted.version)
        await note(
            conn, by.actor, "collections.drop_version", f"collection:{name}",
            tenant_id=found.tenant_id, before={"version": version},
        )  # fmt: skip
    await drop(Partition(found.tenant_id, name, version), wanted.recipe.engine)
    return wanted


async def activate(conn: Connection, found: Collection, version: int, now: datetime) -> None:
    """Make a version the one that is searched; the one before stays beside it, kept up to date."""
    scope = (found.tenant_id, found.name)
    if found.active_version not in (0, version):
        await store.set_state(conn, *scope, found.active_version, "ready")
    await store.set_state(conn, *scope, version, "active")
    await store.set_active(conn, *scope, version, now)
    await bump_revision(conn)


async def retire(conn: Connection, found: Collection, version: int) -> None:
    """Give up a version in the database; its index is the caller's to drop, after the commit."""
    await store.set_state(conn, found.tenant_id, found.name, version, "retired")
    await store.delete_version_content(conn, found.tenant_id, found.name, version)


async def live_versions(conn: Connection, collection: Collection) -> list[Version]:
    """Return the versions that ingests keep up to date, the newest first: all but the retired."""
    found = await store.list_versions(conn, collection.tenant_id, collection.name)
    return [version for version in found if version.state != "retired"]


async def version_for(
    conn: Connection, collection: Collection, recipe: Recipe, now: datetime, created_by: str
) -> tuple[Version, bool]:
    """Return the live version of a recipe in its latest fit, and whether it had to be added."""
    every = await store.list_versions(conn, collection.tenant_id, collection.name)
    for version in every:  # the newest first
        same = replace(version.recipe, fit=recipe.fit) == recipe
        if version.state != "retired" and same and version.recipe.fit >= recipe.fit:
            return version, False
    added = Version(
        version=max((one.version for one in every), default=0) + 1,
        state="building",
        recipe=recipe,
        created_at=now,
        created_by=created_by,
    )
    await store.insert_version(conn, collection.tenant_id, collection.name, added)
    return added, True


async def refit_version(
    conn: Connection, collection: Collection, fitted: Version, now: datetime, created_by: str
) -> Version:
    """Return the version in which the fitted vectors of ``fitted`` are fitted anew, to be built."""
    recipe = replace(fitted.recipe, fit=fitted.recipe.fit + 1)
    return (await version_for(conn, collection, recipe, now, created_by))[0]


async def wanted_versions(
    conn: Connection, collection: Collection, now: datetime, created_by: str
) -> list[Version]:
    """Return the versions that an ingest has to bring up to date; first the one of the settings."""
    wanted, _ = await version_for(conn, collection, recipe_of(collection.settings), now, created_by)
    return [wanted, *(one for one in await live_versions(conn, collection) if one != wanted)]


def _chosen(live: Sequence[Version], found: Collection, version: int | None) -> Version:
    """Return the version meant; without a number the last one that was active before."""
    if version is None:
        earlier = [one for one in live if one.state == "ready" and one.published_at]
        if not earlier:
            raise Conflict(
                f"No other version of '{found.name}' is ready. See: "
                f"santral collections show {found.name}",
                code="no_other_version",
            )
        return max(earlier, key=lambda one: one.version)
    for one in live:
        if one.version == version:
            return one
    raise NotFound(
        f"'{found.name}' has no version {version}. It has "
        f"{', '.join(str(one.version) for one in live) or 'none'}.",
        code="version_not_found",
        param="version",
    )
